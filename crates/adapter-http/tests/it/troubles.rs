//! Troubles, their snoozes, the settings of their rules, and operator events.

use std::time::Duration;

use domain::trouble::{
    Finding, OperatorEvent, OperatorEventId, OperatorEventType, Trouble, TroubleId, TroubleKey,
    TroubleKind, TroubleState, TroubleSubject, Window,
};
use ports::TroubleStore as _;
use ports::troubles::TroubleChanges;
use serde_json::{Value, json};
use testkit::builders::{channel_id, time};
use testkit::memory::MemoryStore;

use crate::access::{send, token_text};
use crate::client::Request;
use crate::fixture::{Running, on_memory};

/// The time of the fixture's clock.
const NOW: &str = "2026-11-22T18:06:17.000000Z";
const ID: &str = "00000000-0000-0000-0000-000000000002";

fn uuid(number: u128) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

fn trouble(number: u128, state: TroubleState) -> Trouble {
    let key = TroubleKey {
        kind: TroubleKind::Silence,
        subject: TroubleSubject::Channel(channel_id("desk")),
    };
    let finding = Finding {
        since: time(1_795_000_000_000_000),
        seen: "No report.".to_owned(),
    };
    let window = Window::around(time(1_795_000_000_000_000), 60_000_000);
    let id = uuid(number).parse().map(TroubleId).unwrap();
    Trouble {
        state,
        ..Trouble::begin(id, key, finding, window, None)
    }
}

/// Stores a resolved and an open trouble, and an event.
async fn store_troubles(store: &MemoryStore) {
    let lease = store.lease_evaluation("test", Duration::from_mins(1)).await;
    let lease = lease.unwrap().unwrap();
    let opened_at = time(1_795_000_060_000_000);
    let resolved = TroubleState::Resolved {
        opened_at,
        resolved_at: time(1_795_000_120_000_000),
    };
    let changes = TroubleChanges {
        saved: vec![
            trouble(1, resolved),
            trouble(2, TroubleState::Open { opened_at }),
        ],
        dropped: Vec::new(),
        events: vec![OperatorEvent {
            id: uuid(7).parse().map(OperatorEventId).unwrap(),
            event_type: OperatorEventType::TroubleOpened,
            channel: None,
            at: opened_at,
            body: r#"{"type":"receiptd.trouble.opened"}"#.to_owned(),
        }],
    };
    assert!(store.save_troubles(&lease, &changes).await.unwrap());
}

#[tokio::test]
async fn troubles_are_listed_and_snoozed() {
    let (running, store) = on_memory().await;
    let empty = running.shown("/api/v1/troubles").await;
    assert_eq!(empty, json!({"items": [], "next": null}));
    store_troubles(&store).await;
    let open = running.shown("/api/v1/troubles?state=open").await;
    let expected = json!({
        "id": ID, "kind": "silence", "about": "channel/desk", "channel_id": "desk",
        "state": "open", "title": "No reports", "seen": "No report.",
        "advice": TroubleKind::Silence.advice(), "since": "2026-11-18T11:06:40.000000Z",
        "opened": "2026-11-18T11:07:40.000000Z", "resolved": null, "notices": 0,
        "last_notice": null, "snoozed_until": null, "snooze_reason": null, "snoozed_by": null,
    });
    assert_eq!(open["items"], json!([expected]));
    let page = running.shown("/api/v1/troubles?limit=1&channel=desk").await;
    assert_eq!(page["items"][0]["id"], ID);
    let next = page["next"].as_str().unwrap();
    let page = running
        .shown(&format!("/api/v1/troubles?cursor={next}"))
        .await;
    assert_eq!(page["items"][0]["state"], "resolved");
    assert_eq!(page["next"], Value::Null);

    let snooze = format!("PUT /troubles/{ID}/snooze");
    let body = json!({"until": "2026-11-23T08:00:00Z", "reason": "known"});
    let answer = running.api(&snooze, body.clone()).await;
    answer.assert("200");
    let snoozed = answer.json();
    assert_eq!(snoozed["snoozed_until"], "2026-11-23T08:00:00.000000Z");
    assert_eq!(snoozed["snooze_reason"], "known");
    assert_eq!(snoozed["snoozed_by"], "admin");
    let ended = running
        .api(&format!("DELETE /troubles/{ID}/snooze"), Value::Null)
        .await;
    ended.assert("200");
    assert_eq!(ended.json()["snoozed_until"], Value::Null);
    assert_audited(&running, "trouble.snooze").await;
    assert_audited(&running, "trouble.end_snooze").await;

    let resolved = "PUT /troubles/00000000-0000-0000-0000-000000000001/snooze";
    let refused = running.api(resolved, body.clone()).await;
    refused.assert("409 trouble_resolved");
    let unknown = "PUT /troubles/00000000-0000-0000-0000-000000000009/snooze";
    let refused = running.api(unknown, body).await;
    refused.assert("404 no_such_trouble");
    for (until, reason, answer) in [
        (NOW, "known", "422 invalid_snooze"),
        ("2027-11-22T18:06:17Z", "known", "422 invalid_snooze"),
        ("tomorrow", "known", "400 invalid_value"),
        ("2026-11-23T08:00:00Z", " ", "400 invalid_value"),
    ] {
        let body = json!({"until": until, "reason": reason});
        running.api(&snooze, body).await.assert(answer);
    }
}

async fn assert_audited(running: &Running, action: &str) {
    let path = format!("/api/v1/audit?action={action}");
    let entries = running.shown(&path).await;
    assert_eq!(entries["items"][0]["object"], ID, "{action}");
}

#[tokio::test]
async fn rules_have_settings_for_all_channels_and_for_one() {
    let (running, _) = on_memory().await;
    running.add_channel("desk", json!({})).await;
    let built_in = json!({
        "channel_id": null, "own": false, "off": [], "silence_minutes": 10, "challenges": 10,
        "code_share_percent": 3, "quiet_hours": null,
    });
    let all = "/api/v1/trouble-settings";
    let of_desk = "/api/v1/channels/desk/trouble-settings";
    assert_eq!(running.shown(all).await, built_in);
    let body = json!({
        "off": ["stuck_at_sent"], "silence_minutes": 30, "quiet_hours": "22:00-06:00",
    });
    running
        .api("PUT /trouble-settings", body)
        .await
        .assert("200");
    let changed = running.shown(of_desk).await;
    assert_eq!(changed["own"], false);
    assert_eq!(changed["silence_minutes"], 30);
    assert_eq!(changed["off"], json!(["stuck_at_sent"]));
    let own = running
        .api("PUT /channels/desk/trouble-settings", json!({}))
        .await;
    own.assert("200");
    assert_eq!(own.json()["silence_minutes"], 10);
    assert_eq!(running.shown(of_desk).await["own"], true);
    let removed = running
        .api("DELETE /channels/desk/trouble-settings", Value::Null)
        .await;
    removed.assert("200");
    assert_eq!(removed.json()["quiet_hours"], "22:00-06:00");
    running
        .api("PUT /channels/other/trouble-settings", json!({}))
        .await
        .assert("404 no_such_channel");
    for (field, value) in [
        ("off", json!(["noise"])),
        ("silence_minutes", json!(0)),
        ("challenges", json!(-1)),
        ("code_share_percent", json!(300)),
        ("quiet_hours", json!("22")),
    ] {
        let refused = running
            .api("PUT /trouble-settings", json!({field: value}))
            .await;
        refused.assert("400 invalid_value");
        assert_eq!(refused.json()["field"], field);
    }
    let viewer = token_text(&running, "reader", "viewer", &[]).await;
    let request = Request::new("PUT", all).json(&json!({}));
    let refused = send(&running, &viewer, request).await;
    refused.assert("403 forbidden");
}

#[tokio::test]
async fn operator_events_are_read_by_their_sequence() {
    let (running, store) = on_memory().await;
    store_troubles(&store).await;
    let events = running.shown("/api/v1/operator-events").await;
    assert_eq!(
        events,
        json!({
            "items": [{"sequence": 1, "event": {"type": "receiptd.trouble.opened"}}],
            "next": 1,
        })
    );
    let rest = running.shown("/api/v1/operator-events?after=1").await;
    assert_eq!(rest, json!({"items": [], "next": 1}));
    let refused = running.get("/api/v1/operator-events?after=-1").await;
    refused.assert("400 invalid_value");
}

#[tokio::test]
async fn metrics_count_open_troubles() {
    let (running, store) = on_memory().await;
    store_troubles(&store).await;
    let metrics = Request::get("/metrics").bearer(&running.admin_token);
    let metrics = metrics.send(running.operator).await;
    let text = metrics.text();
    assert!(
        text.contains("receiptd_open_troubles{kind=\"silence\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("receiptd_open_troubles{kind=\"error_code\"} 0"),
        "{text}"
    );
}

#[tokio::test]
async fn subscription_asks_for_operator_events_by_type() {
    let (running, _) = on_memory().await;
    let body = json!({
        "url": "https://ops.example.com/hook",
        "types": ["receiptd.trouble.opened", "receiptd.trouble.resolved"],
    });
    let added = running.api("POST /subscriptions", body).await;
    added.assert("201");
    let subscription = added.json();
    let types = json!(["receiptd.trouble.opened", "receiptd.trouble.resolved"]);
    assert_eq!(subscription["types"], types);
    let id = subscription["id"].as_str().unwrap();
    let all = running
        .api(&format!("PATCH /subscriptions/{id}"), json!({"types": []}))
        .await;
    all.assert("200");
    assert_eq!(all.json()["types"], json!([]));
}
