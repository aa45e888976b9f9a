//! Cursors: positions that clients store on the server.

use serde_json::{Value, json};
use testkit::builders::twilio_sid;

use crate::client::Answer;
use crate::fixture::{Running, on_memory};
use crate::positions::BEYOND_THE_END;

async fn put(running: &Running, name: &str, body: Value) -> Answer {
    running.api(&format!("PUT /cursors/{name}"), body).await
}

async fn pulled(running: &Running, query: &str) -> Value {
    running.shown(&format!("/api/v1/events{query}")).await
}

/// Starts a service with three events.
async fn with_events() -> Running {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    for number in 1..4 {
        let report = channel.report(&twilio_sid(number), "sent");
        report.send(running.public).await.assert("204");
    }
    running
}

#[tokio::test]
async fn cursor_moves_only_when_it_is_put() {
    let running = with_events().await;
    let put = async |body: Value| put(&running, "warehouse", body).await;
    let shown = async || running.shown("/api/v1/cursors/warehouse").await;
    let made = put(json!({"position": "oldest"})).await;
    made.assert("201");
    assert_eq!(made.json()["name"], "warehouse");
    let first = pulled(&running, "?cursor=warehouse&limit=2").await;
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    // A client that fails before it has processed the page gets it again.
    assert_eq!(pulled(&running, "?cursor=warehouse&limit=2").await, first);

    let before = shown().await;
    let lag = &before["lag"];
    let lag = json!([lag["reports"], lag["events"], lag["more"]]);
    assert_eq!(lag, json!([3, 3, false]));
    let body = json!({"position": first["next"], "from": before["position"]});
    let moved = put(body).await;
    moved.assert("200");
    assert_eq!(moved.json()["position"], first["next"]);
    let rest = pulled(&running, "?cursor=warehouse").await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    put(json!({"position": "latest"})).await.assert("200");
    let no_lag = json!({
        "reports": 0, "events": 0, "more": false, "since": null, "seconds": 0, "pruned": false,
    });
    assert_eq!(shown().await["lag"], no_lag);
    // Moving it back returns the events again.
    put(json!({"position": "oldest"})).await.assert("200");
    assert_eq!(pulled(&running, "?cursor=warehouse&limit=2").await, first);
}

#[tokio::test]
async fn cursor_at_another_position_is_not_moved() {
    let running = with_events().await;
    let next = pulled(&running, "?limit=1").await["next"].clone();
    let put = async |from: &Value| {
        let body = json!({"position": next, "from": from});
        put(&running, "a", body).await
    };
    let outdated = "409 outdated from";
    put(&next).await.assert(outdated);
    let body = json!({"position": "oldest", "from": null});
    let made = self::put(&running, "a", body).await;
    made.assert("201");
    let oldest = made.json()["position"].clone();
    put(&Value::Null).await.assert(outdated);
    put(&next).await.assert(outdated);
    put(&oldest).await.assert("200");
    put(&oldest).await.assert(outdated);
}

#[tokio::test]
async fn cursors_are_listed_by_name_and_removed() {
    let running = with_events().await;
    let none = running.shown("/api/v1/cursors").await;
    assert_eq!(none, json!({"items": []}));
    for name in ["b", "a", "A.b~c_d-e"] {
        let made = put(&running, name, json!({"position": "latest"})).await;
        made.assert("201");
    }
    let listed = running.shown("/api/v1/cursors").await;
    let names = listed["items"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|each| each["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["A.b~c_d-e", "a", "b"]);
    let remove = async || running.api("DELETE /cursors/a", Value::Null).await;
    remove().await.assert("204");
    remove().await.assert("404 no_such_cursor");
    let shown = running.get("/api/v1/cursors/a").await;
    shown.assert("404 no_such_cursor");
    let pulled = running.get("/api/v1/events?cursor=a").await;
    pulled.assert("404 no_such_cursor cursor");
}

#[tokio::test]
async fn invalid_field_is_named() {
    let running = with_events().await;
    let latest = json!({"position": "latest"});
    let from_latest = json!({"position": "latest", "from": "latest"});
    let unknown = json!({"position": "latest", "colour": 1});
    for (name, body, expected) in [
        (
            "a",
            json!({"position": "nowhere!"}),
            "400 invalid_value position",
        ),
        (
            "a",
            json!({"position": BEYOND_THE_END}),
            "422 beyond_the_end position",
        ),
        (
            "a",
            json!({"position": "LTE"}),
            "400 invalid_value position",
        ),
        ("a", from_latest, "400 invalid_value from"),
        ("a", unknown, "400 unknown_field colour"),
        ("a", json!({}), "400 missing_field position"),
        ("%20", latest.clone(), "400 invalid_value name"),
        ("a%2Fb", latest, "400 invalid_value name"),
    ] {
        put(&running, name, body).await.assert(expected);
    }
    let long = format!("cursor={}", "x".repeat(65));
    for query in [
        "cursor=a&after=latest",
        "cursor=a&since=2026-11-22T18:06:17Z",
        "cursor=",
        &long,
    ] {
        let answer = running.get(&format!("/api/v1/events?{query}")).await;
        answer.assert_for(query, "400 invalid_value cursor");
    }
}

#[tokio::test]
async fn one_of_concurrent_clients_moves_a_shared_cursor() {
    let running = with_events().await;
    let made = put(&running, "a", json!({"position": "oldest"})).await;
    made.assert("201");
    let from = running.shown("/api/v1/cursors/a").await["position"].clone();
    let next = pulled(&running, "?cursor=a&limit=1").await["next"].clone();
    let body = json!({"position": next, "from": from});
    let (one, other) = tokio::join!(put(&running, "a", body.clone()), put(&running, "a", body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}
