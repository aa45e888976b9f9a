//! Adding, listing and revoking tokens.

use serde_json::{Value, json};

use crate::access::{send, token_text};
use crate::client::Request;
use crate::fixture::{on_memory, sized};

#[tokio::test]
async fn tokens_are_listed_without_their_text_and_revoked_at_once() {
    let (running, _) = on_memory().await;
    let body = json!({"name": "anna", "role": "operator", "expires": "2099-12-31T23:59:59Z"});
    let added = running.api("POST /tokens", body.clone()).await;
    added.assert("201");
    let issued = added.json();
    let (id, text) = (
        issued["id"].as_str().unwrap(),
        issued["token"].as_str().unwrap(),
    );
    assert_eq!(
        added.header("location"),
        Some(format!("/api/v1/tokens/{id}").as_str())
    );
    assert!(text.starts_with("rcpt_"));
    running
        .api("POST /tokens", body)
        .await
        .assert("409 token_exists");

    let channels = || Request::get("/api/v1/channels");
    send(&running, text, channels()).await.assert("200");
    let listed = running.shown("/api/v1/tokens").await;
    let expected = json!({
        "id": id, "name": "anna", "role": "operator", "rights": [], "state": "valid",
        "created": "2026-11-22T18:06:17.000000Z", "expires": "2099-12-31T23:59:59.000000Z",
        "last_used": "2026-11-22T18:06:17.000000Z", "revoked": null,
    });
    assert_eq!(listed["items"], json!([expected]));

    let revoke = format!("DELETE /tokens/{id}");
    running.api(&revoke, Value::Null).await.assert("204");
    let refused = send(&running, text, channels()).await;
    refused.assert("401 unauthorized");
    let listed = running.shown("/api/v1/tokens").await;
    assert_eq!(listed["items"][0]["state"], "revoked");
    running.api(&revoke, Value::Null).await.assert("204");
    let unknown = "DELETE /tokens/00000000-0000-0000-0000-000000000000";
    running
        .api(unknown, Value::Null)
        .await
        .assert("404 no_such_token");
    running
        .api("DELETE /tokens/anna", Value::Null)
        .await
        .assert("404 no_such_token");
}

#[tokio::test]
async fn invalid_tokens_are_not_added() {
    let (running, _) = on_memory().await;
    for (body, expected) in [
        (
            json!({"name": "admin", "role": "viewer"}),
            "400 invalid_value",
        ),
        (json!({"name": "a", "role": "root"}), "400 invalid_value"),
        (
            json!({"name": "a", "role": "viewer", "rights": ["all"]}),
            "400 invalid_value",
        ),
        (json!({"name": "a"}), "400 missing_field"),
        (
            json!({"name": "a", "role": "viewer", "expires": "2020-01-01T00:00:00Z"}),
            "422 expiry_in_the_past",
        ),
    ] {
        let answer = running.api("POST /tokens", body.clone()).await;
        answer.assert_for(&body.to_string(), expected);
    }
    assert_eq!(running.shown("/api/v1/tokens").await["items"], json!([]));
}

#[tokio::test]
async fn token_expires() {
    let (running, _) = on_memory().await;
    let body = json!({"name": "a", "role": "viewer", "expires": "2026-11-22T19:06:17Z"});
    let added = running.api("POST /tokens", body).await.json();
    let text = added["token"].as_str().unwrap();
    let channels = || Request::get("/api/v1/channels");
    send(&running, text, channels()).await.assert("200");
    running.clock.advance(std::time::Duration::from_hours(1));
    send(&running, text, channels())
        .await
        .assert("401 unauthorized");
}

#[tokio::test]
async fn named_tokens_are_unavailable_with_the_store_and_the_bootstrap_token_is_not() {
    let (running, store) = on_memory().await;
    let text = token_text(&running, "a", "viewer", &[]).await;
    store.set_unavailable(true);
    let metrics = || Request::get("/metrics");
    let named = send(&running, &text, metrics()).await;
    named.assert("503 store_unavailable");
    assert_eq!(named.header("retry-after"), Some("1"));
    running.operator(metrics()).await.assert("200");
    let ready = send(&running, &text, Request::get("/readyz")).await;
    ready.assert("503");
}

#[tokio::test]
async fn request_that_waits_for_events_is_refused_if_its_token_is_revoked_meanwhile() {
    let (running, _) = sized(|size| size.streams.token_check = std::time::Duration::ZERO).await;
    let text = token_text(&running, "a", "viewer", &[]).await;
    let waits = Request::get("/api/v1/events?wait=2");
    let revoked = async {
        loop {
            let listed = running.shown("/api/v1/tokens").await;
            let token = &listed["items"][0];
            if token["last_used"].is_string() {
                let revoke = format!("DELETE /tokens/{}", token["id"].as_str().unwrap());
                return running.api(&revoke, Value::Null).await;
            }
        }
    };
    let (answer, revoked) = tokio::join!(send(&running, &text, waits), revoked);
    revoked.assert("204");
    answer.assert("401 unauthorized");
}
