//! Requests that are forwarded as they arrived.

use domain::ForwardedRequest;
use domain::webhook::{SpecialNetwork, TargetUrl};
use ports::RequestForwarder as _;
use ports::webhook_sender::SendError;

use adapter_webhook::WebhookSettings;

use crate::server::Server;
use crate::support::{settings, sink};

fn url(server: &Server) -> TargetUrl {
    TargetUrl::parse(&server.url()).expect("a URL")
}

fn request(headers: &[(&str, &[u8])], body: &[u8]) -> ForwardedRequest {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| ((*name).to_owned(), value.to_vec()));
    ForwardedRequest::new(headers.collect(), body.to_vec())
}

#[tokio::test]
async fn header_lines_and_body_are_sent_as_they_are() {
    let (server, received) = Server::recording();
    let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let headers: [(&str, &[u8]); 2] = [
        ("Content-Type", b"application/json; charset=UTF-8"),
        ("X-Hub-Signature-256", b"sha256=00ff"),
    ];
    let forwarded = sink(settings())
        .forward(&url(&server), &request(&headers, &body))
        .await;
    assert_eq!(forwarded.expect("an answer").answer.status, 204);
    let received = received.recv().expect("a request");
    assert!(received.head.starts_with("POST /events HTTP/1.1\r\n"));
    assert_eq!(received.body, body);
    assert_eq!(
        received.header("content-type"),
        Some("application/json; charset=UTF-8")
    );
    assert_eq!(received.header("x-hub-signature-256"), Some("sha256=00ff"));
    for absent in ["webhook-id", "webhook-signature", "authorization"] {
        assert_eq!(received.header(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn header_line_that_cannot_be_sent_fails_the_attempt() {
    let (server, _received) = Server::recording();
    let headers: [(&str, &[u8]); 1] = [("X-Hub-Signature", b"a\r\nX-Other: b")];
    let failed = sink(settings())
        .forward(&url(&server), &request(&headers, b""))
        .await;
    assert!(matches!(failed, Err(SendError::Retry { .. })), "{failed:?}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn private_address_is_refused() {
    let (server, _received) = Server::recording();
    let public_only = WebhookSettings {
        private_targets: false,
        ..settings()
    };
    let refused = sink(public_only)
        .forward(&url(&server), &request(&[], b"{}"))
        .await;
    let network = match refused {
        Err(SendError::Refused { network, .. }) => network,
        other => panic!("it is not refused: {other:?}"),
    };
    assert_eq!(network, SpecialNetwork::Loopback);
    assert_eq!(server.connections(), 0);
}
