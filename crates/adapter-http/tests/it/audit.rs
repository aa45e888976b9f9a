//! The audit log.

use serde_json::{Value, json};

use crate::access::{send, token_text};
use crate::client::{Answer, Request};
use crate::fixture::{Running, on_memory};

/// The audited actions with object, details and operator, oldest first.
async fn entries(running: &Running) -> Vec<String> {
    let listed = running.shown("/api/v1/audit?limit=500").await;
    let items = listed["items"].as_array().unwrap().iter().rev();
    items
        .map(|entry| {
            assert_eq!(entry["source"], "127.0.0.1");
            let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
            ["operator", "action", "object", "details"]
                .map(text)
                .join(" | ")
        })
        .collect()
}

/// An operator who calls the API.
struct Caller<'a> {
    running: &'a Running,
    token: String,
}

impl Caller<'_> {
    /// Sends `call`, a method and a path below `/api/v1`. No body is sent if it is null.
    async fn api(&self, call: &str, body: Value) -> Answer {
        let (method, path) = call.split_once(' ').unwrap();
        let request = Request::new(method, &format!("/api/v1{path}"));
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        send(self.running, &self.token, request).await
    }

    /// Sends a call that succeeds, and returns the answer.
    async fn call(&self, call: &str, body: Value) -> Value {
        let answer = self.api(call, body).await;
        assert!(answer.status < 300, "{call}: {}", answer.text());
        if answer.body.is_empty() {
            Value::Null
        } else {
            answer.json()
        }
    }
}

/// Checks the entries of `anna`, who was added by the admin.
async fn assert_entries(running: &Running, expected: &[String]) {
    let mut found = entries(running).await;
    assert!(found.remove(0).starts_with("admin | token.add | "));
    let expected: Vec<_> = expected.iter().map(|it| format!("anna | {it}")).collect();
    assert_eq!(found, expected);
}

async fn anna(running: &Running) -> Caller<'_> {
    let token = token_text(running, "anna", "admin", &["reveal"]).await;
    Caller { running, token }
}

#[tokio::test]
async fn changes_of_channels_and_cursors_are_audited() {
    let (running, _) = on_memory().await;
    let anna = anna(&running).await;
    let channel = json!({"id": "1", "integrator": "twilio", "name": "n", "user": "u"});
    let added = anna.call("POST /channels", channel.clone()).await;
    let first = added["credential"]["id"].as_str().unwrap();
    let refused = anna.api("POST /channels", channel).await;
    refused.assert("409 channel_exists");
    let changes = json!({"name": "m", "enabled": false});
    anna.call("PATCH /channels/1", changes).await;
    let credential = anna.call("POST /channels/1/credentials", json!({"user": "v"}));
    let credential = credential.await;
    let second = credential["credential"]["id"].as_str().unwrap();
    let remove = format!("DELETE /channels/1/credentials/{first}");
    anna.call(&remove, Value::Null).await;
    anna.call("PUT /cursors/c", json!({"position": "latest"}))
        .await;
    anna.call("DELETE /cursors/c", Value::Null).await;
    anna.call("DELETE /channels/1", Value::Null).await;
    let expected = [
        "channel.add | 1 | -".to_owned(),
        "channel.change | 1 | changed: name, enabled".to_owned(),
        format!("credential.add | 1/{second} | -"),
        format!("credential.remove | 1/{first} | -"),
        "cursor.set | c | -".to_owned(),
        "cursor.remove | c | -".to_owned(),
        "channel.remove | 1 | -".to_owned(),
    ];
    assert_entries(&running, &expected).await;
}

#[tokio::test]
async fn changes_of_subscriptions_and_erasures_are_audited() {
    let (running, _) = on_memory().await;
    let anna = anna(&running).await;
    let url = json!({"url": "https://subscriber.example.com/"});
    let subscription = anna.call("POST /subscriptions", url).await;
    let id = subscription["id"].as_str().unwrap();
    let path = format!("/subscriptions/{id}");
    let changes = json!({"description": "d", "types": []});
    anna.call(&format!("PATCH {path}"), changes).await;
    for (action, body) in [
        ("pause", Value::Null),
        ("resume", Value::Null),
        ("secret", json!({})),
        ("test", Value::Null),
        ("replay", json!({"after": "oldest"})),
        ("deliveries/retry", Value::Null),
    ] {
        anna.call(&format!("POST {path}/{action}"), body).await;
    }
    anna.call(&format!("DELETE {path}"), Value::Null).await;
    let erased = anna.call("POST /erasures", json!({"recipient": "+15550100001"}));
    let erased = erased.await;
    let erasure = erased["id"].as_str().unwrap();
    let expected = [
        format!("subscription.add | {id} | -"),
        format!("subscription.change | {id} | changed: types, description"),
        format!("subscription.pause | {id} | -"),
        format!("subscription.resume | {id} | -"),
        format!("subscription.rotate_secret | {id} | -"),
        format!("subscription.test | {id} | -"),
        format!("subscription.replay | {id} | -"),
        format!("delivery.retry | {id} | -"),
        format!("subscription.remove | {id} | -"),
        format!("recipient.erase | {erasure} | -"),
    ];
    assert_entries(&running, &expected).await;
}

#[tokio::test]
async fn reveals_are_audited_and_polls_for_events_once_a_minute() {
    let (running, _) = on_memory().await;
    let anna = anna(&running).await;
    for path in [
        "channels",
        "channels?reveal=true",
        "messages/1/SM1?reveal=true",
    ] {
        anna.api(&format!("GET /{path}"), Value::Null).await;
    }
    for _ in 0..3 {
        anna.call("GET /events?reveal=true", Value::Null).await;
    }
    let expected = [
        "data.reveal | channels | -".to_owned(),
        "data.reveal | messages/1/SM1 | -".to_owned(),
        "data.reveal | events | -".to_owned(),
    ];
    assert_entries(&running, &expected).await;
}

#[tokio::test]
async fn audit_log_contains_no_secret_and_no_recipient() {
    let (running, _) = on_memory().await;
    let anna = anna(&running).await;
    let password = "the webhook password";
    let channel = json!({"id": "1", "integrator": "twilio", "name": "n", "user": "u",
        "password": password});
    anna.call("POST /channels", channel).await;
    let signing_token = "a-signing-token-of-twilio";
    let senders = json!({"senders": ["+15550107777"], "signing_token": signing_token});
    anna.call("PATCH /channels/1", senders).await;
    let url = json!({"url": "https://subscriber.example.com/?key=secret-of-the-endpoint"});
    let subscription = anna.call("POST /subscriptions", url).await;
    let erase = json!({"recipient": "+15550100001", "reason": "ticket"});
    anna.call("POST /erasures", erase).await;
    let added = anna.call("POST /tokens", json!({"name": "b", "role": "viewer"}));
    let added = added.await;
    let log = running.shown("/api/v1/audit?limit=500").await.to_string();
    for secret in [
        anna.token.as_str(),
        password,
        signing_token,
        "secret-of-the-endpoint",
        "5550107777",
        "5550100001",
        subscription["secret"].as_str().unwrap(),
        added["token"].as_str().unwrap(),
    ] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn data_is_not_revealed_if_that_cannot_be_recorded() {
    let (running, store) = on_memory().await;
    running
        .add_channel("1", json!({"senders": ["+15550107777"]}))
        .await;
    let before = entries(&running).await.len();
    store.set_unavailable(true);
    let refused = running.get("/api/v1/channels?reveal=true").await;
    refused.assert("503 store_unavailable");
    store.set_unavailable(false);
    assert_eq!(entries(&running).await.len(), before);
    let shown = running.shown("/api/v1/channels?reveal=true").await;
    assert_eq!(shown["items"][0]["senders"], json!(["+15550107777"]));
    assert_eq!(entries(&running).await.len(), before + 1);
}

#[tokio::test]
async fn audit_log_is_filtered_and_paged() {
    let (running, _) = on_memory().await;
    for id in ["1", "2", "3"] {
        running.add_channel(id, json!({})).await;
        running.clock.advance(std::time::Duration::from_secs(1));
    }
    running
        .api("DELETE /channels/2", Value::Null)
        .await
        .assert("204");
    let objects = async |query: &str| {
        let (items, pages) = running.all_pages(&format!("/api/v1/audit?{query}")).await;
        let items = items.iter().map(|item| item["object"].as_str().unwrap());
        (items.collect::<Vec<_>>().join(" "), pages)
    };
    assert_eq!(objects("limit=3").await, ("2 3 2 1".to_owned(), 2));
    assert_eq!(objects("action=channel.add").await.0, "3 2 1");
    assert_eq!(objects("object=2&operator=admin").await.0, "2 2");
    assert_eq!(objects("operator=anna").await.0, "");
    let seconds = "since=2026-11-22T18:06:18Z&until=2026-11-22T18:06:20Z";
    assert_eq!(objects(seconds).await.0, "3 2");
    for query in ["action=nothing", "since=x", "limit=0", "cursor=x"] {
        let refused = running.get(&format!("/api/v1/audit?{query}")).await;
        refused.assert("400 invalid_value");
    }
}
