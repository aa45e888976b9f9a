//! What each role and right allows.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::fixture::{Running, on_memory};
use crate::service::DOCUMENT;

/// What a viewer, an operator and an admin may do, none of them with further rights. Each line is
/// an operation of the document; a test fails if one is missing.
const ALLOWED: &str = "\
    GET /channels: viewer operator admin
    POST /channels: operator admin
    GET /channels/{channel}: viewer operator admin
    PATCH /channels/{channel}: operator admin
    DELETE /channels/{channel}: operator admin
    POST /channels/{channel}/test: operator admin
    POST /channels/{channel}/credentials: operator admin
    DELETE /channels/{channel}/credentials/{credential}: operator admin
    GET /channels/{channel}/reconciliation: viewer operator admin
    PUT /channels/{channel}/reconciliation: operator admin
    DELETE /channels/{channel}/reconciliation: operator admin
    GET /messages: viewer operator admin
    GET /messages/{channel}/{sid}: viewer operator admin
    GET /events: viewer operator admin
    GET /events/stream: viewer operator admin
    GET /cursors: viewer operator admin
    GET /cursors/{name}: viewer operator admin
    PUT /cursors/{name}: operator admin
    DELETE /cursors/{name}: operator admin
    GET /subscriptions: viewer operator admin
    POST /subscriptions: operator admin
    GET /subscriptions/{subscription}: viewer operator admin
    PATCH /subscriptions/{subscription}: operator admin
    DELETE /subscriptions/{subscription}: operator admin
    POST /subscriptions/{subscription}/pause: operator admin
    POST /subscriptions/{subscription}/resume: operator admin
    POST /subscriptions/{subscription}/secret: operator admin
    POST /subscriptions/{subscription}/test: operator admin
    POST /subscriptions/{subscription}/replay: operator admin
    GET /subscriptions/{subscription}/deliveries: viewer operator admin
    POST /subscriptions/{subscription}/deliveries/retry: operator admin
    GET /deliveries/{delivery}: viewer operator admin
    POST /deliveries/{delivery}/retry: operator admin
    GET /erasures: viewer operator admin
    POST /erasures: admin
    GET /erasures/{erasure}: viewer operator admin
    GET /rejections: viewer operator admin
    GET /stats: viewer operator admin
    GET /troubles: viewer operator admin
    PUT /troubles/{trouble}/snooze: operator admin
    DELETE /troubles/{trouble}/snooze: operator admin
    GET /operator-events: viewer operator admin
    GET /trouble-settings: viewer operator admin
    PUT /trouble-settings: operator admin
    GET /channels/{channel}/trouble-settings: viewer operator admin
    PUT /channels/{channel}/trouble-settings: operator admin
    DELETE /channels/{channel}/trouble-settings: operator admin
    GET /tokens: admin
    POST /tokens: admin
    DELETE /tokens/{token}: admin
    GET /audit: admin";

const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

/// Adds a token and returns its text.
pub async fn token_text(running: &Running, name: &str, role: &str, rights: &[&str]) -> String {
    let body = json!({"name": name, "role": role, "rights": rights});
    let answer = running.api("POST /tokens", body).await;
    answer.assert("201");
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// Sends a request with a token.
pub async fn send(running: &Running, token: &str, request: Request) -> Answer {
    request.bearer(token).send(running.operator).await
}

/// The operations of the API: method and path below `/api/v1`.
fn operations() -> Vec<String> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let paths = paths.filter_map(|(path, item)| Some((path.strip_prefix("/api/v1")?, item)));
    paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_ascii_uppercase()))
        })
        .collect()
}

fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let lines = ALLOWED.lines().map(|line| line.trim().split_once(": "));
    let lines = lines.map(|line| line.expect("an operation and roles"));
    lines
        .map(|(operation, roles)| (operation, roles.split(' ').collect()))
        .collect()
}

fn request(operation: &str, query: &str) -> Request {
    let (method, path) = operation.split_once(' ').unwrap();
    let path = path.replace(['{', '}'], "");
    Request::new(method, &format!("/api/v1{path}{query}"))
}

#[tokio::test]
async fn each_role_may_do_what_the_table_says() {
    let (running, _) = on_memory().await;
    let table = allowed();
    let mut tokens = Vec::new();
    for role in ROLES {
        tokens.push((
            role,
            token_text(&running, &format!("a {role}"), role, &[]).await,
        ));
    }
    let operations = operations();
    assert_eq!(operations.len(), table.len());
    for operation in &operations {
        let roles = table.get(operation.as_str()).expect(operation);
        // The answer to a valid request for a stream never ends.
        let query = ["", "?since=invalid"][usize::from(operation.ends_with("/stream"))];
        for (role, token) in &tokens {
            let answer = send(&running, token, request(operation, query)).await;
            if roles.contains(role) {
                assert_ne!(answer.status, 403, "{role}: {operation}");
            } else {
                answer.assert_for(operation, "403 forbidden");
            }
            if operation.starts_with("GET") {
                let head = request(operation, query).method("HEAD");
                let head = send(&running, token, head).await;
                assert_eq!(head.status == 403, !roles.contains(role), "{operation}");
            }
        }
    }
}

#[tokio::test]
async fn document_says_what_each_operation_needs() {
    for (operation, roles) in allowed() {
        let (method, path) = operation.split_once(' ').unwrap();
        let item = &DOCUMENT["paths"][format!("/api/v1{path}")];
        let item = &item[method.to_ascii_lowercase()];
        let description = item["description"].as_str().unwrap();
        let needs = match roles.len() {
            3 => "Needs a token.",
            2 => "Needs the role operator or admin.",
            _ if path == "/audit" => "Needs the right audit or the role admin.",
            _ => "Needs the role admin.",
        };
        assert!(description.ends_with(needs), "{operation}: {description}");
    }
}

#[tokio::test]
async fn unlisted_methods_are_for_admins_and_unknown_paths_for_everyone() {
    let (running, _) = on_memory().await;
    let viewer = token_text(&running, "v", "viewer", &[]).await;
    let put = || Request::new("PUT", "/api/v1/channels");
    send(&running, &viewer, put()).await.assert("403 forbidden");
    let of_admin = running.operator(put()).await;
    of_admin.assert("405 method_not_allowed");
    let nowhere = Request::get("/api/v1/nowhere");
    let answer = send(&running, &viewer, nowhere).await;
    answer.assert("404 not_found");
    send(&running, &viewer, Request::get("/metrics"))
        .await
        .assert("200");
}

#[tokio::test]
async fn revealing_needs_the_right_whatever_the_role() {
    let (running, _) = on_memory().await;
    running.add_channel("1", json!({})).await;
    let admin = token_text(&running, "an admin", "admin", &[]).await;
    let viewer = token_text(&running, "a viewer", "viewer", &["reveal"]).await;
    for path in [
        "/channels?reveal=true",
        "/channels/1?reve%61l=true",
        "/messages?reveal=true",
        "/messages/1/SM1?reveal=true",
        "/events?reveal=true",
        "/events/stream?since=invalid&reveal=true",
    ] {
        let request = || Request::get(&format!("/api/v1{path}"));
        let refused = send(&running, &admin, request()).await;
        refused.assert_for(path, "403 forbidden");
        assert_eq!(refused.json()["detail"], "this needs the right reveal");
        let answer = send(&running, &viewer, request()).await;
        assert_ne!(answer.status, 403, "{path}");
    }
    let masked = Request::get("/api/v1/channels?reveal=false");
    send(&running, &admin, masked).await.assert("200");
}

#[tokio::test]
async fn unmasked_events_are_sent_only_where_an_operator_with_the_right_says() {
    let (running, _) = on_memory().await;
    let plain = token_text(&running, "plain", "operator", &[]).await;
    let revealing = token_text(&running, "revealing", "operator", &["reveal"]).await;
    let url = "https://subscriber.example.com/";
    let add = |reveal: bool| {
        let request = Request::post("/api/v1/subscriptions");
        request.json(&json!({"url": url, "reveal": reveal}))
    };
    send(&running, &plain, add(true))
        .await
        .assert("403 forbidden");
    let masked = send(&running, &plain, add(false)).await;
    masked.assert("201");
    let unmasked = send(&running, &revealing, add(true)).await;
    unmasked.assert("201");
    let patch = |added: &Answer, body: Value| {
        let id = added.json()["id"].as_str().unwrap().to_owned();
        Request::new("PATCH", &format!("/api/v1/subscriptions/{id}")).json(&body)
    };
    for (added, body, expected) in [
        (&masked, json!({"reveal": true}), "403 forbidden"),
        (&unmasked, json!({"url": url}), "403 forbidden"),
        (
            &unmasked,
            json!({"url": url, "reveal": true}),
            "403 forbidden",
        ),
        (&masked, json!({"url": url}), "200"),
        (&unmasked, json!({"description": "changed"}), "200"),
        (&unmasked, json!({"url": url, "reveal": false}), "200"),
    ] {
        let answer = send(&running, &plain, patch(added, body.clone())).await;
        answer.assert_for(&body.to_string(), expected);
    }
    let answer = send(
        &running,
        &revealing,
        patch(&masked, json!({"reveal": true})),
    )
    .await;
    answer.assert("200");
}

#[tokio::test]
async fn right_to_audit_opens_the_log_for_every_role() {
    let (running, _) = on_memory().await;
    let auditor = token_text(&running, "an auditor", "viewer", &["audit"]).await;
    let listed = send(&running, &auditor, Request::get("/api/v1/audit")).await;
    listed.assert("200");
    assert_eq!(
        listed.json()["items"][0]["details"],
        "an auditor: viewer, audit"
    );
    let tokens = send(&running, &auditor, Request::get("/api/v1/tokens")).await;
    tokens.assert("403 forbidden");
    assert_eq!(tokens.json()["detail"], "this needs the role admin");
}
