//! Twilio's Event Streams and Debugger: requests about an account, not about one channel.

use std::num::NonZeroU16;
use std::path::PathBuf;

use domain::ChannelId;
use ports::ReconciliationStore as _;
use serde_json::{Value, json};
use testkit::memory::MemoryStore;

use crate::client::{Answer, Request};
use crate::fixture::{Running, on_memory};
use crate::service::MadeChannel;

const EVENTS: &str = "/social/on/whatsapp/twilio/events/202105102694809992";

async fn channel(running: &Running, senders: &[&str]) -> MadeChannel {
    let fields = json!({ "senders": senders });
    running.add_channel("202105102694809992", fields).await
}

fn fixture(file: &str) -> Vec<u8> {
    let folder = "../adapter-integrators/tests/fixtures/twilio";
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    std::fs::read(folder.join(file)).unwrap()
}

async fn send_events(running: &Running, channel: &MadeChannel, events: &Value) -> Answer {
    let request = Request::post(EVENTS)
        .json(events)
        .basic(&channel.user, &channel.password);
    request.send(running.public).await
}

fn event(sid: &str, from: &str) -> Value {
    json!({
        "type": "com.twilio.messaging.message.sent",
        "data": {
            "messageSid": sid, "messageStatus": "SENT", "from": from,
            "to": "whatsapp:+15550100001", "timestamp": "2026-11-20T09:15:42.318Z",
        },
    })
}

async fn shown_sids(running: &Running) -> Vec<String> {
    let messages = running.shown("/api/v1/messages").await;
    let items = messages["items"].as_array().unwrap().iter();
    let mut sids: Vec<_> = items
        .map(|message| message["message_sid"].as_str().unwrap().to_owned())
        .collect();
    sids.sort();
    sids
}

#[tokio::test]
async fn batch_of_event_streams_is_received() {
    let (running, _) = on_memory().await;
    let channel = channel(&running, &[]).await;
    let request = Request::post(EVENTS)
        .header("Content-Type", "application/json; charset=UTF-8")
        .body(fixture("event_streams_delivered.json"));
    let challenged = request.clone().send(running.public).await;
    assert_eq!(challenged.status, 401);
    // At once with credentials, and once more: a repeated event changes nothing.
    for _ in 0..2 {
        let answer = request
            .clone()
            .basic(&channel.user, &channel.password)
            .send(running.public)
            .await;
        assert_eq!((answer.status, answer.text()), (204, ""));
    }
    let path = "/api/v1/messages/202105102694809992/SM00000000000000000000000000000001";
    let message = running.shown(path).await;
    assert_eq!(message["status"], "delivered");
    assert_eq!(message["reports"].as_array().unwrap().len(), 1);
    let report = &message["reports"][0];
    assert_eq!(report["happened_at"], "2026-11-20T09:15:42.318000Z");
}

#[tokio::test]
async fn events_of_other_senders_of_the_account_are_ignored() {
    let (running, _) = on_memory().await;
    let channel = channel(&running, &["whatsapp:+15550100900"]).await;
    let events = json!([
        event("SM1", "whatsapp:+15550100900"),
        event("SM2", "whatsapp:+15550109999"),
        event("SM3", "+15550100900"),
        { "type": "com.twilio.messaging.message.sent", "data": {} },
        { "type": "com.twilio.voice.insights.call-summary.complete", "data": {} },
    ]);
    assert_eq!(send_events(&running, &channel, &events).await.status, 204);
    assert_eq!(shown_sids(&running).await, ["SM1"]);
    let rejections = running.shown("/api/v1/rejections").await;
    let rejections = rejections["items"].as_array().unwrap();
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0]["detail"], "element 3: from: from is missing");
    for kind in ["other-sender", "not-whatsapp", "other"] {
        let name =
            format!(r#"receiptd_ignored_elements_total{{integrator="twilio",kind="{kind}"}}"#);
        assert_eq!(running.metric(&name).await, Some(1.0), "{kind}");
    }
}

#[tokio::test]
async fn events_come_again_while_they_cannot_be_recorded() {
    let (running, store) = on_memory().await;
    let channel = channel(&running, &[]).await;
    let events = json!([event("SM1", "whatsapp:+15550100900"), 7]);
    store.set_unavailable(true);
    assert_eq!(send_events(&running, &channel, &events).await.status, 503);
    store.set_unavailable(false);
    // What is never valid is acknowledged, or the valid ones would come again for hours.
    assert_eq!(send_events(&running, &channel, &events).await.status, 204);
    assert_eq!(shown_sids(&running).await, ["SM1"]);
    let wrong = Request::post(EVENTS)
        .json(&json!({}))
        .basic(&channel.user, &channel.password);
    assert_eq!(wrong.send(running.public).await.status, 204);
}

/// A request of the Debugger about the callback of a message.
fn debugger(sid: &str, url: &str) -> Request {
    let payload = json!({
        "error_code": "11200", "resource_sid": sid,
        "webhook": { "request": { "url": url } },
    });
    let path = "/social/on/whatsapp/twilio/debugger/202105102694809992";
    Request::post(path).form(&[("Sid", "NO1"), ("Payload", &payload.to_string())])
}

async fn alerted_sids(store: &MemoryStore) -> Vec<String> {
    let channel = ChannelId::parse("202105102694809992").unwrap();
    let limit = NonZeroU16::new(10).unwrap();
    let alerts = store.due_callback_alerts(&channel, limit).await.unwrap();
    let alerts = alerts.iter();
    alerts.map(|alert| alert.sid.as_str().to_owned()).collect()
}

#[tokio::test]
async fn failed_callback_of_the_channel_becomes_an_alert() {
    let (running, store) = on_memory().await;
    let channel = channel(&running, &[]).await;
    let sample = Request::post("/social/on/whatsapp/twilio/debugger/202105102694809992")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(fixture("debugger_11200.form.txt"));
    for (request, status) in [
        (sample, 204),
        (debugger("SM2", "https://other.example/callback"), 204),
        (
            debugger(
                "SM3",
                "https://aicc.example.com/social/on/whatsapp/twilio/report/1",
            ),
            204,
        ),
        (debugger("SM4", "not a url"), 204),
    ] {
        let request = request.basic(&channel.user, &channel.password);
        assert_eq!(request.send(running.public).await.status, status);
    }
    let error_log: Value =
        serde_json::from_slice(&fixture("event_streams_error_log.json")).unwrap();
    let mut error_log = error_log.clone();
    error_log[0]["data"]["resource_sid"] = "SM5".into();
    assert_eq!(
        send_events(&running, &channel, &error_log).await.status,
        204
    );
    let mut alerted = alerted_sids(&store).await;
    alerted.sort();
    assert_eq!(
        alerted,
        ["SM00000000000000000000000000000001", "SM4", "SM5"]
    );
    let failed = r#"receiptd_failed_callbacks_total{integrator="twilio"}"#;
    assert_eq!(running.metric(failed).await, Some(3.0));
    let ignored = r#"receiptd_ignored_elements_total{integrator="twilio",kind="other-callback"}"#;
    assert_eq!(running.metric(ignored).await, Some(2.0));
}

#[tokio::test]
async fn alert_that_cannot_be_stored_is_not_acknowledged() {
    let (running, store) = on_memory().await;
    let channel = channel(&running, &[]).await;
    let request = debugger("SM1", "").basic(&channel.user, &channel.password);
    store.set_unavailable(true);
    assert_eq!(request.send(running.public).await.status, 503);
    store.set_unavailable(false);
    assert_eq!(request.send(running.public).await.status, 204);
    assert_eq!(alerted_sids(&store).await, ["SM1"]);
}
