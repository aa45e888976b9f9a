//! The API of messages and rejections.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::builders::{server_secret, twilio_sid};
use testkit::clock::UtcDays;
use usecases::StatisticsReader;

use crate::client::Request;
use crate::fixture::{Running, on_memory};
use crate::service::{MadeChannel, fields};

/// Sends a report, one second after the previous one, and returns the status of the answer.
async fn report(running: &Running, channel: &MadeChannel, fields: &[(&str, &str)]) -> u16 {
    running.clock.advance(Duration::from_secs(1));
    let request = Request::post(&channel.path())
        .form(fields)
        .basic(&channel.user, &channel.password)
        .header("I-Twilio-Idempotency-Token", "token-1");
    request.send(running.public).await.status
}

#[tokio::test]
async fn message_is_shown_with_all_its_reports() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let sid = twilio_sid(1);
    let failed = [
        &fields(&sid, "undelivered")[..],
        &[
            ("ErrorCode", "63016"),
            ("ErrorMessage", "'To' +15550100001 is outside"),
            ("Body", "hello"),
        ],
        &[("ApiVersion", "2010-04-01"), ("Body", "you")],
    ]
    .concat();
    for report_fields in [&failed[..], &fields(&sid, "read"), &fields(&sid, "read")] {
        assert_eq!(report(&running, &channel, report_fields).await, 204);
    }
    let path = format!("/api/v1/messages/1/{sid}");
    let mut shown = running.shown(&path).await;
    let reports = shown["reports"].take();
    let error = shown["error"].take();
    assert_eq!(
        shown,
        json!({
            "channel_id": "1",
            "message_sid": sid,
            "test": false,
            "integrator": "twilio",
            "status": "read",
            "contradicted": true,
            "to": "whatsapp:+***0001",
            "from": "whatsapp:+***9999",
            "error": null,
            "timeline": [
                {"status": "undelivered", "first_reported_at": "2026-11-22T18:06:18.000000Z"},
                {"status": "read", "first_reported_at": "2026-11-22T18:06:19.000000Z"},
            ],
            "first_reported_at": "2026-11-22T18:06:18.000000Z",
            "last_reported_at": "2026-11-22T18:06:20.000000Z",
            "alias_of": null,
            "counters": {"reports": 2, "duplicates": 1},
            "reports": null,
        })
    );
    assert_eq!(error["code"], "63016");
    assert_eq!(error["text"], "'To' +***0001 is outside");
    assert_eq!(error["reported_at"], "2026-11-22T18:06:18.000000Z");
    for explained in ["title", "explanation", "actor", "permanence"] {
        assert!(error[explained].is_string(), "{explained}");
    }
    let credentials = running.shown("/api/v1/channels/1").await;
    let first = json!({
        "id": reports[0]["id"],
        "revision": 1,
        "arrived_at": "2026-11-22T18:06:18.000000Z",
        "happened_at": null,
        "status": "undelivered",
        "effect": "advanced",
        "error_code": "63016",
        "error_text": "'To' +***0001 is outside",
        "to": "whatsapp:+***0001",
        "from": "whatsapp:+***9999",
        "provenance": "callback",
        "credential_id": credentials["credentials"][0]["id"],
        "idempotency_token": "token-1",
        "fields": {"Body": ["***", "***"], "ApiVersion": "2010-04-01"},
    });
    assert_eq!(reports[0], first);
    assert_eq!(reports[1]["effect"], "advanced");
    assert_eq!(reports[1]["revision"], 2);
    assert_eq!(reports[1]["error_code"], json!(null));
    assert_eq!(reports[2], json!(null));

    let revealed = running.shown(&format!("{path}?reveal=true")).await;
    assert_eq!(revealed["to"], "whatsapp:+15550100001");
    let text = "'To' +15550100001 is outside";
    assert_eq!(revealed["error"]["text"], text);
    assert_eq!(revealed["reports"][0]["error_text"], text);
    assert_eq!(revealed["reports"][0]["from"], "whatsapp:+15550109999");
    let body = &revealed["reports"][0]["fields"]["Body"];
    assert_eq!(*body, json!(["hello", "you"]));
}

#[tokio::test]
async fn message_outlives_its_channel() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let status = report(&running, &channel, &fields("SM1", "teleported")).await;
    assert_eq!(status, 204);
    let removed = running.api("DELETE /channels/1", Value::Null).await;
    removed.assert("204");
    let shown = running.shown("/api/v1/messages/1/SM1").await;
    assert_eq!(shown["integrator"], json!(null));
    assert_eq!(shown["status"], json!(null));
    assert_eq!(shown["reports"][0]["status"], "teleported");
    assert_eq!(shown["reports"][0]["effect"], "unknown_status");
}

#[tokio::test]
async fn unreported_message_is_not_found() {
    let (running, _) = on_memory().await;
    for path in ["1/SM1", "1/a%20b", "a%2Fb/SM1"] {
        let answer = running.get(&format!("/api/v1/messages/{path}")).await;
        answer.assert("404 no_such_message");
    }
    let detail = async |path: &str| {
        let answer = running.get(path).await.json();
        answer["detail"].as_str().unwrap().to_owned()
    };
    let gone = detail("/api/v1/messages/999/SM1").await;
    assert_eq!(gone, "there is no channel 999");
    running.add_channel("999", json!({})).await;
    let unknown = detail("/api/v1/messages/999/SM1").await;
    assert!(unknown.contains("message SM1 on channel 999"), "{unknown}");
    let cursor = detail("/api/v1/messages?cursor=x").await;
    let expected = "cursor is not valid: pass the `next` of the previous page unchanged";
    assert_eq!(cursor, expected);
}

#[tokio::test]
async fn messages_are_listed_page_by_page() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let sids: Vec<_> = (0..5).map(twilio_sid).collect();
    for sid in &sids {
        assert_eq!(report(&running, &channel, &fields(sid, "sent")).await, 204);
    }
    let (items, pages) = running.all_pages("/api/v1/messages?limit=2").await;
    assert!(items.iter().all(|item| item.get("reports").is_none()));
    let listed = items
        .iter()
        .map(|item| item["message_sid"].as_str().unwrap());
    let mut listed: Vec<_> = listed.map(str::to_owned).collect();
    listed.reverse();
    assert_eq!((listed, pages), (sids, 3));
    let page = running.shown("/api/v1/messages?limit=2").await;
    let mut cursor = page["next"].as_str().unwrap().bytes();
    assert!(cursor.all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
}

#[tokio::test]
async fn messages_are_filtered() {
    let (running, store) = on_memory().await;
    let first = running.add_channel("1", json!({})).await;
    let second = running.add_channel("2", json!({})).await;
    let mut failed = fields("SM-failed", "failed").to_vec();
    failed.push(("ErrorCode", "63016"));
    report(&running, &first, &failed).await;
    report(&running, &first, &fields("SM-both", "failed")).await;
    report(&running, &first, &fields("SM-both", "read")).await;
    let mut elsewhere = fields("SM-elsewhere", "read");
    elsewhere[2].1 = "whatsapp:US.13491208655302741918";
    report(&running, &second, &elsewhere).await;
    let store = Arc::new(store);
    let reader = StatisticsReader::new(store, Arc::new(UtcDays), server_secret());
    reader.step().await.unwrap();

    for (query, found) in [
        ("", vec!["SM-elsewhere", "SM-both", "SM-failed"]),
        ("channel=2", vec!["SM-elsewhere"]),
        ("status=read", vec!["SM-elsewhere", "SM-both"]),
        ("status=read&channel=1", vec!["SM-both"]),
        ("contradicted=true", vec!["SM-both"]),
        ("contradicted=false&status=failed", vec!["SM-failed"]),
        ("error_code=63016", vec!["SM-failed"]),
        ("to=whatsapp:%2B15550100001", vec!["SM-both", "SM-failed"]),
        ("to=whatsapp:+15550100001", vec!["SM-both", "SM-failed"]),
        ("to=whatsapp:US.13491208655302741918", vec!["SM-elsewhere"]),
        (
            "since=2026-11-22T18:06:19Z",
            vec!["SM-elsewhere", "SM-both"],
        ),
        ("until=2026-11-22T18:06:19Z", vec!["SM-failed"]),
        ("until=2026-11-22T20:06:19%2B02:00", vec!["SM-failed"]),
        ("until=2026-11-22T20:06:19+02:00", vec!["SM-failed"]),
    ] {
        let page = running.shown(&format!("/api/v1/messages?{query}")).await;
        let items = page["items"].as_array().unwrap().iter();
        let sids: Vec<_> = items
            .map(|item| item["message_sid"].as_str().unwrap())
            .collect();
        assert_eq!((sids, &page["next"]), (found, &Value::Null), "{query}");
    }
    let page = running
        .shown("/api/v1/messages?channel=2&reveal=true")
        .await;
    assert_eq!(page["items"][0]["to"], "whatsapp:US.13491208655302741918");
    let page = running.shown("/api/v1/messages?error_code=63016").await;
    assert_eq!(page["items"][0]["to"], "whatsapp:+***0001");
    assert!(page["items"][0]["error"]["title"].is_string());
}

#[tokio::test]
async fn invalid_parameter_is_named() {
    let (running, _) = on_memory().await;
    for (query, expected) in [
        ("channel=a/b", "400 invalid_value channel"),
        ("channel=", "400 invalid_value channel"),
        ("status=teleported", "400 invalid_value status"),
        ("contradicted=1", "400 invalid_value contradicted"),
        ("to=", "400 invalid_value to"),
        ("error_code=a%20b", "400 invalid_value error_code"),
        ("since=yesterday", "400 invalid_value since"),
        ("until=2026-11-22", "400 invalid_value until"),
        ("limit=0", "400 invalid_value limit"),
        ("limit=501", "400 invalid_value limit"),
        ("limit=70000", "400 invalid_value limit"),
        ("limit=x", "400 invalid_value limit"),
        ("cursor=x", "400 invalid_value cursor"),
        ("cursor=", "400 invalid_value cursor"),
        ("cursor=MSAyIDM", "200"),
        ("reveal=1", "400 invalid_value reveal"),
        ("page=2", "400 unknown_field page"),
        ("limit=1&limit=2", "400 duplicate_field limit"),
    ] {
        let answer = running.get(&format!("/api/v1/messages?{query}")).await;
        answer.assert_for(query, expected);
    }
}

#[tokio::test]
async fn rejections_are_listed_with_their_reason() {
    let (running, _) = on_memory().await;
    let first = running.add_channel("1", json!({})).await;
    let senders = json!({"senders": ["whatsapp:+15550107777"]});
    let second = running.add_channel("2", senders).await;
    let mut without_sender = fields("SM1", "sent").to_vec();
    without_sender.retain(|(name, _)| *name != "From");
    without_sender.push(("Body", "a private word"));
    assert_eq!(report(&running, &first, &without_sender).await, 400);
    assert_eq!(report(&running, &second, &fields("SM2", "sent")).await, 403);

    let page = running.get("/api/v1/rejections").await;
    assert!(!page.text().contains("private"));
    assert!(!page.text().contains("15550109999"), "{}", page.text());
    let page = page.json();
    let newest = &page["items"][0];
    assert_eq!(newest["channel_id"], "2");
    assert_eq!(newest["integrator"], "twilio");
    assert_eq!(newest["reason"], "sender_not_allowed");
    assert_eq!(newest["arrived_at"], "2026-11-22T18:06:19.000000Z");
    let oldest = &page["items"][1];
    assert_eq!(oldest["reason"], "invalid_report");
    assert!(oldest["detail"].as_str().unwrap().starts_with("From: "));
    let sid = json!({"name": "MessageSid", "value": "*** (3 bytes)"});
    assert_eq!(oldest["fields"][0], sid);
    assert_eq!(page["next"], json!(null));

    let page = running.shown("/api/v1/rejections?channel=1").await;
    assert_eq!(page["items"], json!([oldest]));
    let (items, pages) = running.all_pages("/api/v1/rejections?limit=1").await;
    assert_eq!((json!(items), pages), (json!([newest, oldest]), 2));
    for (query, expected) in [
        ("cursor=x", "400 invalid_value cursor"),
        ("channel=a/b", "400 invalid_value channel"),
        ("to=x", "400 unknown_field to"),
    ] {
        let answer = running.get(&format!("/api/v1/rejections?{query}")).await;
        answer.assert(expected);
    }
}
