//! Requests that are not reports are stored until they are forwarded.

use domain::ForwardedRequestKey;
use domain::crypto::SealedSecret;
use domain::forwarding::MAX_WAITING_REQUESTS;
use ports::ForwardedRequestStore as _;
use ports::forwarding::NewForwardedRequest;
use serde_json::{Value, json};
use testkit::builders::{channel_id, time};

use crate::access::{send, token_text};
use crate::client::Request;
use crate::fixture::{Running, on_memory};
use crate::service::MadeChannel;

const URL: &str = "https://inbox.example.com/whatsapp?token=secret";

async fn channel(running: &Running, id: &str, url: Option<&str>) -> MadeChannel {
    let fields = json!({"integrator": "infobip", "forward_url": url});
    running.add_channel(id, fields).await
}

/// A request of Infobip with a report and an incoming message.
fn mixed(channel: &MadeChannel, message: &str) -> Request {
    let body = json!({"results": [
        {"messageId": message, "to": "15550100001", "status": {"groupId": 3, "id": 5}},
        {"messageId": "in", "receivedAt": "2026-11-20T09:15:42.318+0000", "message": {"text": "a"}},
    ]});
    Request::post(&format!(
        "/social/on/whatsapp/infobip/report/{}",
        channel.id
    ))
    .header("AccountKey", &channel.password)
    .json(&body)
}

async fn forwarding(running: &Running) -> Value {
    running.shown("/api/v1/channels/1").await["forwarding"].clone()
}

#[tokio::test]
async fn request_waits_and_is_shown_and_its_reports_are_recorded() {
    let (running, store) = on_memory().await;
    let forwarding_channel = channel(&running, "1", Some(URL)).await;
    let other = channel(&running, "2", None).await;
    assert_eq!(forwarding(&running).await["waiting"], 0);
    for channel in [&forwarding_channel, &other] {
        let answer = mixed(channel, "m1").send(running.public).await;
        answer.assert("200");
        assert_eq!(
            running
                .shown(&format!("/api/v1/messages/{}/m1", channel.id))
                .await["status"],
            "delivered"
        );
    }
    let waiting = forwarding(&running).await;
    assert_eq!(waiting["waiting"], 1);
    assert!(waiting["waiting_bytes"].as_u64() > Some(200), "{waiting}");
    assert!(waiting["oldest_at"].is_string() && waiting["last_error"].is_null());
    assert!(running.shown("/api/v1/channels/2").await["forwarding"].is_null());
    assert!(running.shown("/api/v1/channels").await["items"][0]["forwarding"].is_null());
    let metric = "receiptd_forwarding_waiting_requests{channel=\"1\"}";
    assert_eq!(running.metric(metric).await, Some(1.0));
    let metric = "receiptd_forwarded_requests_total{outcome=\"stored\"}";
    assert_eq!(running.metric(metric).await, Some(1.0));

    let removed = running
        .api("PATCH /channels/1", json!({"forward_url": null}))
        .await;
    removed.assert("200");
    assert!(removed.json()["forward_url"].is_null());
    let all = store.waiting_requests(None).await.unwrap();
    assert_eq!(all, [], "what waited is discarded");
}

#[tokio::test]
async fn request_that_cannot_be_stored_is_answered_503() {
    let (running, store) = on_memory().await;
    let channel = channel(&running, "1", Some(URL)).await;
    let requests = (0..MAX_WAITING_REQUESTS).map(|number| {
        let mut body_hash = [0xff; 32];
        body_hash[..8].copy_from_slice(&number.to_be_bytes());
        NewForwardedRequest {
            key: ForwardedRequestKey {
                channel: channel_id("1"),
                body_hash,
            },
            sealed: SealedSecret(Vec::new()),
            arrived_at: time(1_795_370_777_000_000),
        }
    });
    let requests: Vec<_> = requests.collect();
    store.store_requests(&requests).await.unwrap();
    let refused = mixed(&channel, "m1").send(running.public).await;
    refused.assert("503 forwarding_full");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        running.shown("/api/v1/messages/1/m1").await["status"],
        "delivered"
    );
    let metric = "receiptd_forwarded_requests_total{outcome=\"refused\"}";
    assert_eq!(running.metric(metric).await, Some(1.0));

    store
        .record_forwarding(&[requests[0].key.clone()], &[])
        .await
        .unwrap();
    mixed(&channel, "m1")
        .send(running.public)
        .await
        .assert("200");
}

#[tokio::test]
async fn forward_url_is_checked() {
    let (running, _) = on_memory().await;
    let add = async |integrator: &str, url: &str| {
        let body = json!({"id": "1", "integrator": integrator, "name": "N", "user": "u",
            "forward_url": url});
        running.api("POST /channels", body).await
    };
    for (integrator, url, expected) in [
        ("twilio", URL, "sends reports only"),
        ("koomessage", URL, "sends reports only"),
        ("infobip", "inbox.example.com", "a target is a URL"),
        ("infobip", "http://127.1/", "a loopback address"),
        ("infobip", "http://[fd00::1]/", "a private address"),
    ] {
        let refused = add(integrator, url).await;
        assert_eq!(refused.status, 400, "{url}: {}", refused.text());
        let problem = refused.json();
        assert_eq!(problem["field"], "forward_url", "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(expected),
            "{problem}"
        );
    }
    add("gupshup", URL).await.assert("201");
    let shown = running.shown("/api/v1/channels/1").await;
    assert_eq!(
        shown["forward_url"],
        "https://inbox.example.com/whatsapp?***"
    );
    let revealed = running.shown("/api/v1/channels/1?reveal=true").await;
    assert_eq!(revealed["forward_url"], URL);
    let private = json!({"forward_url": "https://10.0.0.1/"});
    let refused = running.api("PATCH /channels/1", private).await;
    assert_eq!(refused.json()["field"], "forward_url");
    let changed = running
        .api("PATCH /channels/1", json!({"name": "Other"}))
        .await;
    changed.assert("200");
    assert_eq!(changed.json()["forward_url"], shown["forward_url"]);
}

#[tokio::test]
async fn forward_url_is_set_by_those_who_may_reveal() {
    let (running, _) = on_memory().await;
    channel(&running, "1", Some(URL)).await;
    let operator = token_text(&running, "operator", "operator", &[]).await;
    let revealing = token_text(&running, "revealing", "operator", &["reveal"]).await;
    let add = |id: &str| {
        Request::post("/api/v1/channels").json(&json!({"id": id, "integrator": "infobip",
            "name": "N", "user": "u", "forward_url": URL}))
    };
    let patch = |url: Value| {
        let patch = Request::post("/api/v1/channels/1").method("PATCH");
        patch.json(&json!({"forward_url": url}))
    };
    let other = || json!("https://other.example.com/");
    send(&running, &operator, add("2"))
        .await
        .assert("403 forbidden");
    send(&running, &operator, patch(other()))
        .await
        .assert("403 forbidden");
    send(&running, &revealing, add("2")).await.assert("201");
    send(&running, &revealing, patch(other()))
        .await
        .assert("200");
    let log = running.shown("/api/v1/audit?action=channel.change").await;
    assert!(
        log["items"][0]["details"]
            .as_str()
            .unwrap()
            .contains("forward_url"),
        "{log}"
    );
    // Anyone who may change a channel may stop it.
    send(&running, &operator, patch(Value::Null))
        .await
        .assert("200");
}
