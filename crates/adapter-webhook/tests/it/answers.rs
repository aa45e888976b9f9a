//! What is sent, and what each answer means.

use std::time::Duration;

use domain::crypto::SigningSecret;
use domain::webhook::WebhookId;
use ports::Environment as _;
use ports::webhook_sender::{SendError, WebhookSender as _};
use rstest::rstest;
use testkit::clock::FixedClock;

use crate::server::{LIMIT, Server};
use crate::support::{deliver, event, retry, rotating_target, settings, sink, target};

#[tokio::test]
async fn an_event_is_posted_as_it_is_and_signed() {
    let (server, requests) = Server::recording();
    let url = format!("{}?tenant=7", server.url());
    let delivered = sink(settings())
        .deliver(&target(&url), &event())
        .await
        .unwrap();
    assert_eq!(delivered.answer.status, 204);
    assert_eq!(delivered.answer.excerpt.as_str(), "");

    let request = requests.recv_timeout(LIMIT).unwrap();
    let now = FixedClock::default().now();
    let signature = SigningSecret::from_random(&[1; 32]).sign(&event().id, now, &event().body);
    assert!(
        request
            .head
            .starts_with("POST /events?tenant=7 HTTP/1.1\r\n")
    );
    assert_eq!(request.body, &*event().body);
    for (name, value) in [
        ("content-type", "application/cloudevents+json"),
        (
            "user-agent",
            concat!("receiptd/", env!("CARGO_PKG_VERSION")),
        ),
        ("webhook-id", "evt_0123456789abcdef"),
        ("webhook-timestamp", "1795370777"),
        ("webhook-signature", &signature),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn two_live_secrets_make_two_signatures() {
    let (server, requests) = Server::recording();
    let target = rotating_target(&server.url());
    sink(settings()).deliver(&target, &event()).await.unwrap();

    let request = requests.recv_timeout(LIMIT).unwrap();
    let now = FixedClock::default().now();
    let signatures: Vec<_> = [2, 1]
        .map(|byte| SigningSecret::from_random(&[byte; 32]))
        .map(|secret| secret.sign(&event().id, now, &event().body))
        .into();
    assert_eq!(
        request.header("webhook-signature"),
        Some(signatures.join(" ").as_str())
    );
}

#[tokio::test]
async fn many_events_go_over_one_connection() {
    let (server, requests) = Server::recording();
    let (sink, target) = (sink(settings()), target(&server.url()));
    for number in 0..50 {
        let mut event = event();
        event.id = WebhookId::parse(&format!("evt_{number}")).unwrap();
        sink.deliver(&target, &event).await.unwrap();
        let id = requests.recv_timeout(LIMIT).unwrap();
        assert_eq!(id.header("webhook-id"), Some(event.id.as_str()));
    }
    assert_eq!(server.connections(), 1);
}

#[rstest]
#[case(200)]
#[case(202)]
#[case(299)]
#[tokio::test]
async fn any_2xx_is_a_delivery(#[case] status: u16) {
    let server = Server::answering(format!(
        "HTTP/1.1 {status} Fine\r\ncontent-length: 8\r\n\r\nthanks\x07\n"
    ));
    let delivered = deliver(settings(), &server.url()).await.unwrap();
    assert_eq!(delivered.answer.status, status);
    assert_eq!(delivered.answer.excerpt.as_str(), r"thanks\u{7}");
}

#[rstest]
#[case(101)]
#[case(300)]
#[case(304)]
#[case(400)]
#[case(401)]
#[case(404)]
#[case(422)]
#[case(429)]
#[case(500)]
#[case(503)]
#[case(599)]
#[case(999)]
#[tokio::test]
async fn any_other_status_is_retried(#[case] status: u16) {
    let server = Server::answering(format!(
        "HTTP/1.1 {status} Hm\r\ncontent-length: 4\r\n\r\noops"
    ));
    let retry = retry(settings(), &server.url()).await;
    assert_eq!(retry.answer.unwrap().status, status);
    assert_eq!(retry.after, None);
    assert!(retry.said.contains(&status.to_string()), "{}", retry.said);
}

#[tokio::test]
async fn a_410_ends_it() {
    let server = Server::answering("HTTP/1.1 410 Gone\r\ncontent-length: 3\r\n\r\nbye");
    match deliver(settings(), &server.url()).await {
        Err(SendError::Gone { answer, .. }) => assert_eq!(answer.excerpt.as_str(), "bye"),
        other => panic!("not gone: {other:?}"),
    }
}

/// The clock of the tests is stopped at 18:06:17.
#[rstest]
#[case(429, "30", 30)]
#[case(429, "Sun, 22 Nov 2026 18:07:17 GMT", 60)]
#[case(503, "Sun, 22 Nov 2026 18:00:00 GMT", 0)]
#[case(503, "1000000", 86_400)]
#[case(302, "5", 5)]
#[tokio::test]
async fn an_endpoint_may_delay_the_retry(
    #[case] status: u16,
    #[case] retry_after: &str,
    #[case] seconds: u64,
) {
    let server = Server::answering(format!(
        "HTTP/1.1 {status} Later\r\nretry-after: {retry_after}\r\ncontent-length: 0\r\n\r\n"
    ));
    let retry = retry(settings(), &server.url()).await;
    assert_eq!(retry.after, Some(Duration::from_secs(seconds)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (inner, _) = Server::recording();
    let server = Server::answering(format!(
        "HTTP/1.1 301 Moved\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
        inner.url()
    ));
    let retry = retry(settings(), &server.url()).await;
    assert_eq!(retry.answer.unwrap().status, 301);
    assert!(retry.said.contains("not followed"), "{}", retry.said);
    assert_eq!(inner.connections(), 0);
}
