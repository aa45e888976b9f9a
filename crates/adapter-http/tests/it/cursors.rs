//! Cursors: pullers that keep their place on the server.

use serde_json::{Value, json};
use testkit::builders::twilio_sid;

use crate::client::{Answer, Request};
use crate::fixture::{Running, on_memory};

async fn put(running: &Running, name: &str, body: Value) -> Answer {
    let path = format!("/api/v1/cursors/{name}");
    let request = Request::new("PUT", &path).json(&body);
    running.service.operator(request).await
}

async fn pulled(running: &Running, query: &str) -> Value {
    let path = format!("/api/v1/events{query}");
    running.service.shown(&path).await
}

/// A service that has heard of three messages.
async fn with_events() -> Running {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    for number in 1..4 {
        let request = channel.report(&twilio_sid(number), "sent");
        assert_eq!(request.send(running.service.public).await.status, 204);
    }
    running
}

#[tokio::test]
async fn a_cursor_stays_where_it_is_until_it_is_put_elsewhere() {
    let running = with_events().await;
    let made = put(&running, "warehouse", json!({"position": "oldest"})).await;
    assert_eq!(
        (made.status, made.json()["name"].clone()),
        (201, json!("warehouse"))
    );
    let first = pulled(&running, "?cursor=warehouse&limit=2").await;
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    // Whoever fails before the page is dealt with gets it again.
    assert_eq!(pulled(&running, "?cursor=warehouse&limit=2").await, first);

    let shown = running.service.shown("/api/v1/cursors/warehouse").await;
    let lag = json!([
        shown["lag"]["reports"],
        shown["lag"]["events"],
        shown["lag"]["more"]
    ]);
    assert_eq!(lag, json!([3, 3, false]));
    let moved = put(
        &running,
        "warehouse",
        json!({"position": first["next"], "from": shown["position"]}),
    )
    .await;
    assert_eq!(
        (moved.status, &moved.json()["position"]),
        (200, &first["next"])
    );
    let rest = pulled(&running, "?cursor=warehouse").await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    let moved = put(&running, "warehouse", json!({"position": "latest"})).await;
    assert_eq!(moved.status, 200);
    let shown = running.service.shown("/api/v1/cursors/warehouse").await;
    assert_eq!(
        shown["lag"],
        json!({"reports": 0, "events": 0, "more": false, "since": null, "seconds": 0, "pruned": false})
    );
    // Back, to have them again.
    let back = put(&running, "warehouse", json!({"position": "oldest"})).await;
    assert_eq!(back.status, 200);
    assert_eq!(pulled(&running, "?cursor=warehouse&limit=2").await, first);
}

#[tokio::test]
async fn a_cursor_that_stands_elsewhere_is_not_moved() {
    let running = with_events().await;
    let next = pulled(&running, "?limit=1").await["next"].clone();
    let outdated = async |body: Value| {
        let answer = put(&running, "a", body).await;
        let problem = answer.json();
        (
            answer.status,
            problem["code"].clone(),
            problem["field"].clone(),
        )
    };
    let refused = (409, json!("outdated"), json!("from"));
    assert_eq!(
        outdated(json!({"position": next, "from": next})).await,
        refused
    );
    let made = put(&running, "a", json!({"position": "oldest", "from": null})).await;
    assert_eq!(made.status, 201);
    let oldest = made.json()["position"].clone();
    assert_eq!(
        outdated(json!({"position": next, "from": null})).await,
        refused
    );
    assert_eq!(
        outdated(json!({"position": next, "from": next})).await,
        refused
    );
    let moved = put(&running, "a", json!({"position": next, "from": oldest})).await;
    assert_eq!(moved.status, 200);
    assert_eq!(
        outdated(json!({"position": next, "from": oldest})).await,
        refused
    );
}

#[tokio::test]
async fn cursors_are_listed_by_name_and_forgotten() {
    let running = with_events().await;
    let service = &running.service;
    assert_eq!(service.shown("/api/v1/cursors").await, json!({"items": []}));
    for name in ["b", "a", "A.b~c_d-e"] {
        assert_eq!(
            put(&running, name, json!({"position": "latest"}))
                .await
                .status,
            201
        );
    }
    let listed = service.shown("/api/v1/cursors").await;
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().collect();
    assert_eq!(
        json!([names[0]["name"], names[1]["name"], names[2]["name"]]),
        json!(["A.b~c_d-e", "a", "b"])
    );
    let remove = async || {
        service
            .operator(Request::new("DELETE", "/api/v1/cursors/a"))
            .await
    };
    assert_eq!(remove().await.status, 204);
    let again = remove().await;
    assert_eq!(
        (again.status, again.problem().as_str()),
        (404, "no_such_cursor")
    );
    let shown = service.get("/api/v1/cursors/a").await;
    assert_eq!(
        (shown.status, shown.problem().as_str()),
        (404, "no_such_cursor")
    );
    let pulled = service.get("/api/v1/events?cursor=a").await;
    assert_eq!(pulled.status, 404);
    assert_eq!(pulled.json()["field"], "cursor");
}

#[tokio::test]
async fn what_is_wrong_with_a_cursor_is_named() {
    let running = with_events().await;
    // 9223372036854775807, which no log comes to.
    let beyond = "OTIyMzM3MjAzNjg1NDc3NTgwNw";
    for (name, body, status, field) in [
        ("a", json!({"position": "nowhere!"}), 400, "position"),
        ("a", json!({"position": beyond}), 422, "position"),
        ("a", json!({"position": "LTE"}), 400, "position"),
        (
            "a",
            json!({"position": "latest", "from": "latest"}),
            400,
            "from",
        ),
        (
            "a",
            json!({"position": "latest", "colour": 1}),
            400,
            "colour",
        ),
        ("a", json!({}), 400, "position"),
        ("%20", json!({"position": "latest"}), 400, "name"),
        ("a%2Fb", json!({"position": "latest"}), 400, "name"),
    ] {
        let answer = put(&running, name, body.clone()).await;
        assert_eq!(answer.status, status, "{name} {body}: {}", answer.text());
        assert_eq!(answer.json()["field"], field, "{name} {body}");
    }
    let long = "x".repeat(65);
    for (query, field) in [
        ("cursor=a&after=latest".to_owned(), "cursor"),
        ("cursor=a&since=2026-11-22T18:06:17Z".to_owned(), "cursor"),
        ("cursor=".to_owned(), "cursor"),
        (format!("cursor={long}"), "cursor"),
    ] {
        let answer = running
            .service
            .get(&format!("/api/v1/events?{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.json()["field"], field, "{query}");
    }
}

#[tokio::test]
async fn of_pullers_that_share_a_cursor_each_page_is_confirmed_by_one() {
    let running = with_events().await;
    assert_eq!(
        put(&running, "a", json!({"position": "oldest"}))
            .await
            .status,
        201
    );
    let from = running.service.shown("/api/v1/cursors/a").await["position"].clone();
    let next = pulled(&running, "?cursor=a&limit=1").await["next"].clone();
    let body = json!({"position": next, "from": from});
    let (one, other) = tokio::join!(put(&running, "a", body.clone()), put(&running, "a", body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}
