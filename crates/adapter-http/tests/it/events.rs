//! Pulling events.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::builders::twilio_sid;

use crate::client::Request;
use crate::fixture::{Running, on_memory};
use crate::service::MadeChannel;

/// Sends a report, one second after the previous one.
pub async fn report(running: &Running, channel: &MadeChannel, sid: &str, status: &str) {
    running.clock.advance(Duration::from_secs(1));
    let report = channel.report(sid, status);
    report.send(running.public).await.assert("204");
}

async fn pulled(running: &Running, query: &str) -> Value {
    running.shown(&format!("/api/v1/events{query}")).await
}

fn types(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_are_pulled_page_by_page_and_filtered() {
    let (running, _) = on_memory().await;
    let one = running.add_channel("1", json!({})).await;
    let two = running.add_channel("2", json!({})).await;
    let sid = twilio_sid(1);
    for status in ["sent", "delivered", "delivered", "queued", "failed", "read"] {
        report(&running, &one, &sid, status).await;
    }
    report(&running, &two, &sid, "read").await;

    let all = pulled(&running, "").await;
    let expected = [
        "message.sent",
        "message.delivered",
        "message.contradicted",
        "message.read",
        "message.read",
    ];
    assert_eq!(types(&all), expected);
    assert_eq!(all["more"], false);
    let event = &all["items"][1];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["source"], "/channels/1");
    assert_eq!(event["subject"], json!(sid));
    assert_eq!(event["data"]["previous_status"], "sent");
    assert_eq!(event["data"]["to"], "whatsapp:+***0001");

    let (mut query, mut seen) = ("?limit=1".to_owned(), Vec::new());
    for _ in 0..5 {
        let page = pulled(&running, &query).await;
        seen.extend(types(&page).into_iter().map(str::to_owned));
        query = format!("?limit=1&after={}", page["next"].as_str().unwrap());
    }
    assert_eq!(seen, expected);
    assert_eq!(types(&pulled(&running, &query).await), [""; 0]);

    let some = pulled(&running, "?channel=2,3&types=message.read,message.failed").await;
    assert_eq!(types(&some), ["message.read"]);
    let shown = pulled(&running, "?reveal=true&limit=1").await;
    let to = shown["items"][0]["data"]["to"].as_str().unwrap();
    assert!(to.contains("+1555"));
    assert_eq!(types(&pulled(&running, "?after=latest").await), [""; 0]);
    let late = pulled(&running, "?since=2026-11-22T18:06:23Z").await;
    assert_eq!(types(&late), ["message.read", "message.read"]);
}

#[tokio::test]
async fn waiting_request_is_answered_when_an_event_occurs() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let (page, ()) = tokio::join!(pulled(&running, "?after=latest&wait=30"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        report(&running, &channel, &twilio_sid(1), "sent").await;
    });
    assert_eq!(types(&page), ["message.sent"]);
}

#[tokio::test]
async fn invalid_parameter_is_named() {
    let (running, _) = on_memory().await;
    for (query, field) in [
        ("?after=nowhere!", "after"),
        ("?since=yesterday", "since"),
        ("?after=latest&since=2026-11-22T18:06:17Z", "since"),
        ("?channel=a/b", "channel"),
        ("?types=message.teleported", "types"),
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?wait=61", "wait"),
        ("?reveal=maybe", "reveal"),
    ] {
        let answer = running.get(&format!("/api/v1/events{query}")).await;
        answer.assert(&format!("400 invalid_value {field}"));
    }
    let answer = running.get("/api/v1/events?since_when=1").await;
    answer.assert("400 unknown_field since_when");
    let stream = Request::get("/api/v1/events/stream").header("Last-Event-ID", "nowhere!");
    let answer = running.operator(stream).await;
    answer.assert("400 invalid_value Last-Event-ID");
}
