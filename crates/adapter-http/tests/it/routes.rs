//! Which requests the operator's listener answers, and whom.

use serde_json::{Value, json};

use crate::client::{Connection, Request};
use crate::fixture::on_memory;
use crate::service::DOCUMENT;

#[tokio::test]
async fn data_requires_a_token() {
    let (running, _) = on_memory().await;
    let address = running.operator;
    for path in [
        "/api/v1/channels",
        "/api/v1/channels/1",
        "/api/v1/messages",
        "/api/v1/messages/1/SM1",
        "/api/v1/rejections",
        "/api/v1/nowhere",
        "/metrics",
    ] {
        let plain = || Request::get(path);
        let mut first = None;
        for request in [
            plain(),
            plain().header("Authorization", ""),
            plain().header("Authorization", "Bearer"),
            plain().basic("admin", &running.admin_token),
            plain().method("POST"),
        ] {
            let answer = request.send(address).await.undated();
            answer.assert_for(path, "401 unauthorized");
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, Some("Bearer realm=\"receiptd\""));
            let first = first.get_or_insert_with(|| answer.clone());
            assert_eq!(*first, answer);
        }
    }
    let wrong = Request::get("/metrics").bearer("wrong");
    let wrong = wrong.send(address).await;
    wrong.assert("401 unauthorized");
    let challenge = "Bearer realm=\"receiptd\", error=\"invalid_token\"";
    assert_eq!(wrong.header("www-authenticate"), Some(challenge));
    assert_eq!(
        wrong.json()["detail"],
        "the token is unknown, expired or revoked"
    );
    let lower = format!("bearer {}", running.admin_token);
    let request = Request::get("/api/v1/channels").header("authorization", &lower);
    request.send(address).await.assert("200");
}

#[tokio::test]
async fn erasures_require_a_token() {
    let (running, _) = on_memory().await;
    for request in [
        Request::get("/api/v1/erasures"),
        Request::post("/api/v1/erasures").json(&json!({"recipient": "+15550100001"})),
    ] {
        request.send(running.operator).await.assert("401");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let (running, _) = on_memory().await;
    for path in [
        "/api",
        "/%FF",
        "/api/v2/channels",
        "/social/on/whatsapp/twilio/report/1",
    ] {
        let answer = Request::get(path).send(running.operator).await;
        answer.assert_for(path, "404 not_found");
    }
    for path in [
        "nowhere",
        "channels/",
        "channels/1/",
        "messages/1",
        "messages/1/2/3",
        "channels/%FF",
        "messages/%FF/SM1",
        "messages/1/%FF",
    ] {
        let answer = running.get(&format!("/api/v1/{path}")).await;
        answer.assert_for(path, "404");
        answer.problem();
    }
    let answer = running.api("PUT /channels", Value::Null).await;
    answer.assert("405 method_not_allowed");
    assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let (running, _) = on_memory().await;
    running.add_channel("1", json!({})).await;
    let cursor = json!({"position": "oldest"});
    running.api("PUT /cursors/1", cursor).await.assert("201");
    let subscription = running.add_subscription(json!({})).await;
    let recipient = json!({"recipient": "+15550100001"});
    let erasure = running.api("POST /erasures", recipient).await;
    let erasure = erasure.header("location").unwrap();
    let mut seen = 0;
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/api/v1/channels",
        "/api/v1/channels/1",
        "/api/v1/messages",
        "/api/v1/messages/1/SM1",
        "/api/v1/events",
        "/api/v1/cursors",
        "/api/v1/cursors/1",
        "/api/v1/subscriptions",
        &subscription.path(),
        &format!("{}/deliveries", subscription.path()),
        "/api/v1/deliveries/1",
        "/api/v1/erasures",
        erasure,
        "/api/v1/rejections",
        "/api/v1/stats",
        "/api/v1/troubles",
        "/api/v1/operator-events",
        "/api/v1/trouble-settings",
        "/api/v1/channels/1/trouble-settings",
        "/api/v1/channels/1/reconciliation",
        "/api/v1/tokens",
        "/api/v1/audit",
    ] {
        let get = running.get(path).await.undated();
        let request = Request::new("HEAD", path).bearer(&running.admin_token);
        let head = request.send(running.operator).await.undated();
        let (head, get) = ((head.status, head.headers), (get.status, get.headers));
        assert_eq!(head, get, "{path}");
        seen += 1;
    }
    // A GET of the stream never ends, so only its head is checked.
    let request = Request::new("HEAD", "/api/v1/events/stream").bearer(&running.admin_token);
    let mut connection = Connection::open(running.operator).await;
    connection.write(&request.bytes()).await;
    let head = connection.head_of_answer().await;
    head.assert("200");
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert!(connection.is_closed().await);
    let gets = DOCUMENT["paths"].as_object().unwrap().values();
    let gets = gets.filter(|item| item["get"].is_object()).count();
    // The document does not contain itself.
    assert_eq!(seen, gets);
}
