//! The API of subscriptions and deliveries.

use serde_json::{Value, json};
use testkit::builders::twilio_sid;

use crate::events::report;
use crate::fixture::on_memory;

#[tokio::test]
async fn subscription_is_created_changed_paused_and_removed() {
    let (running, _) = on_memory().await;
    let body = json!({
        "url": "https://workbench.example.com/hooks?token=secret",
        "channels": ["1"],
        "types": ["message.failed"],
        "description": "workbench",
    });
    let answer = running.api("POST /subscriptions", body).await;
    answer.assert("201");
    let made = answer.json();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert!(!made["url"].as_str().unwrap().contains("secret"));
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/subscriptions/{id}");
    let call = async |method: &str, action: &str, body: Value| {
        let call = format!("{method} /subscriptions/{id}{action}");
        running.api(&call, body).await
    };

    let shown = running.shown(&path).await;
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["secret"], Value::Null);
    assert_eq!(shown["lag"]["reports"], 0);
    let all = running.shown("/api/v1/subscriptions").await;
    assert_eq!(all["items"][0]["id"], id);

    let change = json!({"types": [], "reveal": true, "version": 1});
    let changed = call("PATCH", "", change.clone()).await;
    changed.assert("200");
    assert_eq!(changed.json()["types"], json!([]));
    assert_eq!(changed.json()["channels"], json!(["1"]));
    call("PATCH", "", change).await.assert("409 outdated");

    for (action, state) in [("/pause", "paused"), ("/resume", "active")] {
        let answer = call("POST", action, Value::Null).await;
        answer.assert("200");
        assert_eq!(answer.json()["state"], state);
    }
    let rotated = call("POST", "/secret", json!({"overlap_hours": 1})).await;
    let rotated = rotated.json();
    assert_ne!(rotated["secret"], made["secret"]);
    let expires = "2026-11-22T19:06:17.000000Z";
    assert_eq!(rotated["previous_secret_expires"], expires);
    let tested = call("POST", "/test", Value::Null).await.json();
    let expected = json!({"delivered": true, "status": 202, "error": null, "answer": "thank you"});
    assert_eq!(tested, expected);

    call("DELETE", "", Value::Null).await.assert("204");
    running.get(&path).await.assert("404");
    call("DELETE", "", Value::Null).await.assert("404");
}

#[tokio::test]
async fn invalid_field_is_named() {
    let (running, _) = on_memory().await;
    for (field, value, expected) in [
        (
            "url",
            json!("ftp://subscriber.example.com/"),
            "400 invalid_value",
        ),
        (
            "url",
            json!("https://user:password@subscriber.example.com/"),
            "400 invalid_value",
        ),
        ("url", json!("http://127.0.0.1:9/"), "422 private_target"),
        ("url", json!("http://0x7f.1/"), "422 private_target"),
        ("url", json!("http://[fd00::1]/"), "422 private_target"),
        ("types", json!(["message.teleported"]), "400 invalid_value"),
        ("channels", json!(["a/b"]), "400 invalid_value"),
        ("secret", json!("whsec_c2hvcnQ="), "400 invalid_value"),
        ("secret", json!("short"), "400 invalid_value"),
        ("description", json!("a\nb"), "400 invalid_value"),
        ("after", json!("nowhere!"), "400 invalid_value"),
        ("since", json!("yesterday"), "400 invalid_value"),
        ("colour", json!("red"), "400 unknown_field"),
    ] {
        let mut body = json!({"url": "https://subscriber.example.com/"});
        body[field] = value;
        let answer = running.api("POST /subscriptions", body).await;
        answer.assert(&format!("{expected} {field}"));
    }
}

#[tokio::test]
async fn message_is_replayed_and_its_deliveries_are_listed() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let sid = twilio_sid(1);
    for status in ["sent", "failed", "delivered"] {
        report(&running, &channel, &sid, status).await;
    }
    let subscription = running.add_subscription(json!({})).await;
    let deliveries = async |query: &str| {
        let path = format!("{}/deliveries{query}", subscription.path());
        running.shown(&path).await
    };
    let replay = async |body: Value| {
        running
            .api(&subscription.call("POST", "/replay"), body)
            .await
    };

    let message = json!({"message": {"channel_id": "1", "message_sid": sid}});
    let replayed = replay(message).await;
    replayed.assert("202");
    assert_eq!(replayed.json(), json!({"events": 4}));
    let all = deliveries("").await;
    let states = all["items"].as_array().unwrap().iter();
    let states: Vec<_> = states.map(|each| each["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["waiting", "waiting", "waiting", "retrying"]);
    let page = deliveries("?limit=3").await;
    let next = page["next"].as_str().unwrap();
    let rest = deliveries(&format!("?limit=3&cursor={next}")).await;
    assert_eq!(rest["items"][0], all["items"][3]);
    let waiting = deliveries("?state=waiting&type=message.contradicted").await;
    assert_eq!(waiting["items"].as_array().unwrap().len(), 1);
    let id = all["items"][3]["id"].as_str().unwrap();
    let shown = running.shown(&format!("/api/v1/deliveries/{id}")).await;
    assert_eq!(shown, all["items"][3]);
    let due = format!("POST /deliveries/{id}/retry");
    let due = running.api(&due, Value::Null).await;
    due.assert("409 not_retriable");

    let all = replay(json!({"after": "oldest"})).await;
    all.assert("202");
    assert_eq!(all.json(), json!({"events": null}));
    let shown = running.shown(&subscription.path()).await;
    let lag = &shown["lag"];
    assert_eq!(json!([lag["reports"], lag["events"]]), json!([3, 4]));
    // The oldest report arrived two seconds before the newest.
    assert_eq!(lag["seconds"], 2);
    assert_eq!(shown["rates"]["hour"]["delivered"], 0);
    let both = json!({"after": "oldest", "since": "2026-11-22T18:06:17Z"});
    let invalid = json!({"message": {"channel_id": "/", "message_sid": "1"}});
    let unknown = json!({"message": {"channel_id": "1", "message_sid": "SM1"}});
    for (body, expected) in [
        (json!({}), "400 invalid_value after"),
        (both, "400 invalid_value since"),
        (invalid, "400 invalid_value channel_id"),
        (unknown, "404"),
    ] {
        replay(body).await.assert(expected);
    }
    for query in ["state=lost", "type=x", "channel_id=1", "since=x"] {
        let path = format!("{}/deliveries?{query}", subscription.path());
        running.get(&path).await.assert_for(query, "400");
    }
}
