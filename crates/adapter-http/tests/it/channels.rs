//! The API of channels and credentials.

use std::time::{Duration, Instant};

use domain::ChannelCalls;
use ports::ChannelStore as _;
use ports::Integrator as _;
use serde_json::{Value, json};
use testkit::builders::{channel_id, time};

use crate::client::Request;
use crate::fixture::{PUBLIC_URL, on_memory};

/// Returns `base` with the members of `more`.
fn merged(base: &Value, more: &Value) -> Value {
    let mut merged = base.clone();
    let members = more.as_object().unwrap().clone();
    merged.as_object_mut().unwrap().extend(members);
    merged
}

#[tokio::test]
async fn channel_is_created_with_its_first_credential() {
    let (running, _) = on_memory().await;
    let body = json!({
        "id": "202105102694809992",
        "integrator": "twilio",
        "name": "Service desk",
        "user": "webhook",
        "label": "first",
        "senders": ["whatsapp:+15550109999"],
        "public_url": "https://a:b@other.example.com",
        "signing_token": "12345678901234567890123456789012",
        "keep_messages_days": 30,
        "expires": "2027-01-01T00:00:00Z",
    });
    let answer = running.api("POST /channels", body).await;
    answer.assert("201");
    let location = "/api/v1/channels/202105102694809992";
    assert_eq!(answer.header("location"), Some(location));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.json();
    let password = made["password"].as_str().unwrap();
    assert_eq!(password.len(), 43);
    let callback_url = |credentials: &str| {
        format!(
            "https://{credentials}other.example.com/social/on/whatsapp/twilio/report/\
             202105102694809992#rc=5&rp=ct,rt,5xx"
        )
    };
    let with_credentials = callback_url(&format!("webhook:{password}@"));
    assert_eq!(made["callback_url"], with_credentials);
    let channel = json!({
        "id": "202105102694809992",
        "integrator": "twilio",
        "name": "Service desk",
        "enabled": true,
        "senders": ["whatsapp:+***9999"],
        "public_url": "https://***@other.example.com",
        "signature_required": true,
        "keep_messages_days": 30,
        "forward_url": null,
        "created": "2026-11-22T18:06:17.000000Z",
        "updated": "2026-11-22T18:06:17.000000Z",
        "version": 1,
    });
    assert_eq!(made["channel"], channel);
    let credential = json!({
        "id": made["credential"]["id"],
        "user": "webhook",
        "label": "first",
        "created": "2026-11-22T18:06:17.000000Z",
        "expires": "2027-01-01T00:00:00.000000Z",
        "last_used": null,
    });
    assert_eq!(made["credential"], credential);

    let more = json!({
        "callback_url": callback_url(""),
        "setup_steps": adapter_integrators::twilio::Twilio::new().setup_steps(),
        "credentials": [credential],
        "calls": {
            "challenged": 0,
            "refused": 0,
            "last_refused_at": null,
            "rejected": 0,
            "last_authenticated_at": null,
        },
        "separate_messages": 0,
        "forwarding": null,
        "warnings": [],
    });
    let shown = merged(&channel, &more);
    let found = running.get(location).await;
    assert_eq!(found.json(), shown);
    assert!(!found.text().contains(password));
    let listed = running.shown("/api/v1/channels").await;
    let without_calls = merged(&shown, &json!({"calls": null, "separate_messages": null}));
    assert_eq!(listed, json!({"items": [without_calls]}));

    let revealed = running.shown(&format!("{location}?reveal=true")).await;
    assert_eq!(revealed["senders"], json!(["whatsapp:+15550109999"]));
    assert_eq!(revealed["public_url"], "https://a:b@other.example.com");
}

#[tokio::test]
async fn chosen_password_is_accepted() {
    let (running, _) = on_memory().await;
    let password = json!({"password": "pä:ss wörd"});
    let made = running.add_channel("1", password).await;
    assert_eq!(made.password, "pä:ss wörd");
    let start = "https://webhook:p%C3%A4%3Ass%20w%C3%B6rd@reports.example.com/";
    let url = &made.callback_url;
    assert!(url.starts_with(start), "{url}");
    assert!(PUBLIC_URL.ends_with("reports.example.com"));
}

#[tokio::test]
async fn invalid_field_is_named_without_its_value() {
    let (running, _) = on_memory().await;
    let valid = json!({"id": "1", "integrator": "twilio", "name": "a", "user": "webhook"});
    let other_path = "https://x/social/on/whatsapp/twilio/report/other";
    for (field, value) in [
        ("id", json!("a/b-secret")),
        ("integrator", json!("Twilio-secret")),
        ("name", json!("secret\n")),
        ("user", json!("sec:ret")),
        ("password", json!("secret")),
        ("senders", json!(["secret\u{0}"])),
        ("senders", json!(["whatsapp:+1secret"])),
        ("public_url", json!(other_path)),
        ("public_url", json!("secret")),
        ("signing_token", json!("secret ")),
        ("keep_messages_days", json!(0)),
        ("keep_messages_days", json!(36_501)),
        ("keep_messages_days", json!(-1)),
        ("label", json!("secret\u{0}")),
        ("label", json!("x".repeat(1_000))),
        ("expires", json!("secret")),
        ("passwort", json!("secret")),
    ] {
        let body = merged(&valid, &json!({field: value}));
        let answer = running.api("POST /channels", body).await;
        let known = field != "passwort";
        let code = if known {
            "invalid_value"
        } else {
            "unknown_field"
        };
        answer.assert(&format!("400 {code} {field}"));
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
    for (body, expected) in [
        (r#"{"id":"1"}"#, "400 missing_field integrator"),
        (r#"{"id":5}"#, "400 wrong_type"),
        ("[]", "400 wrong_type"),
        (r#"{"id":"1","id":"2"}"#, "400 duplicate_field id"),
        ("{", "400 invalid_json"),
        ("", "400 invalid_json"),
    ] {
        let request = Request::post("/api/v1/channels")
            .header("Content-Type", "application/json")
            .body(body);
        let answer = running.operator(request).await;
        answer.assert_for(body, expected);
        let named = answer.json()["field"].is_string();
        assert_eq!(named, expected.split(' ').count() == 3, "{body}");
    }
    let request = Request::post("/api/v1/channels").form(&[("id", "1")]);
    let answer = running.operator(request).await;
    answer.assert("415 unsupported_media_type");
    let answer = running.get("/api/v1/channels?revael=true").await;
    answer.assert("400 unknown_field revael");
    let answer = running.get("/api/v1/channels?reveal=yes").await;
    answer.assert("400 invalid_value reveal");
}

#[tokio::test]
async fn conflicts_and_unknown_ids_have_stable_codes() {
    let (running, store) = on_memory().await;
    running.add_channel("1", json!({})).await;
    let base = json!({"id": "2", "integrator": "twilio", "name": "a", "user": "webhook"});
    let new = |change: Value| merged(&base, &change);
    let credential = json!({"user": "webhook"});
    let unknown = "DELETE /channels/1/credentials/00000000-0000-7000-8000-000000000000";
    let past = json!({"expires": "2026-11-22T18:06:17Z"});
    for (call, body, expected) in [
        (
            "POST /channels",
            new(json!({"id": "1"})),
            "409 channel_exists",
        ),
        (
            "POST /channels",
            new(json!({"integrator": "x"})),
            "422 unknown_integrator",
        ),
        ("POST /channels", new(past), "422 expiry_in_the_past"),
        ("GET /channels/2", json!({}), "404 no_such_channel"),
        ("GET /channels/a%2Fb", json!({}), "404 no_such_channel"),
        ("PATCH /channels/2", json!({}), "404 no_such_channel"),
        ("PATCH /channels/1", json!({"version": 7}), "409 outdated"),
        ("DELETE /channels/2", json!({}), "404 no_such_channel"),
        (
            "POST /channels/2/credentials",
            credential.clone(),
            "404 no_such_channel",
        ),
        (
            "DELETE /channels/1/credentials/x",
            json!({}),
            "404 no_such_credential",
        ),
        (unknown, json!({}), "404 no_such_credential"),
    ] {
        running.api(call, body).await.assert_for(call, expected);
    }
    let add = "POST /channels/1/credentials";
    running.api(add, credential.clone()).await.assert("201");
    let third = running.api(add, credential).await;
    third.assert("409 too_many_credentials");
    store.set_unavailable(true);
    let unavailable = running.get("/api/v1/channels/1").await;
    unavailable.assert("503 store_unavailable");
    assert_eq!(unavailable.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn channel_is_changed_field_by_field() {
    let (running, _) = on_memory().await;
    let more = json!({
        "public_url": "https://a.example.com",
        "signing_token": "12345678",
        "keep_messages_days": 1,
    });
    running.add_channel("1", more).await;
    running.clock.advance(Duration::from_mins(1));
    let change = async |body: Value| running.api("PATCH /channels/1", body).await;
    let changed = change(json!({"name": "Sales", "enabled": false, "version": 1})).await;
    changed.assert("200");
    let changed = changed.json();
    let expected = json!({
        "name": "Sales",
        "enabled": false,
        "version": 2,
        "public_url": "https://a.example.com",
        "signature_required": true,
        "keep_messages_days": 1,
        "created": "2026-11-22T18:06:17.000000Z",
        "updated": "2026-11-22T18:07:17.000000Z",
    });
    assert_eq!(merged(&changed, &expected), changed);
    let body = json!({"public_url": null, "signing_token": null, "senders": ["rcs:brand"]});
    let changed = change(body).await.json();
    let expected = json!({
        "public_url": null,
        "signature_required": false,
        "senders": ["rcs:***"],
        "name": "Sales",
        "version": 3,
    });
    assert_eq!(merged(&changed, &expected), changed);
    for days in [json!(36_500), json!(null)] {
        let changed = change(json!({"keep_messages_days": days})).await.json();
        assert_eq!(changed["keep_messages_days"], days);
        let shown = running.shown("/api/v1/channels/1").await;
        assert_eq!(shown["keep_messages_days"], days);
    }
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"keep_messages_days": 0}), "keep_messages_days"),
        (json!({"keep_messages_days": 40_000}), "keep_messages_days"),
        (json!({"public_url": "x"}), "public_url"),
        (json!({"signing_token": "x"}), "signing_token"),
        (json!({"senders": [""]}), "senders"),
        (json!({"integrator": "twilio"}), "integrator"),
    ] {
        let answer = change(body).await;
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (400, &json!(field))
        );
    }
}

#[tokio::test]
async fn second_credential_is_issued_and_the_first_removed() {
    let (running, _) = on_memory().await;
    running.add_channel("1", json!({})).await;
    let body = json!({"user": "second", "label": "new"});
    let answer = running.api("POST /channels/1/credentials", body).await;
    answer.assert("201");
    let issued = answer.json();
    let id = issued["credential"]["id"].as_str().unwrap();
    let location = format!("/api/v1/channels/1/credentials/{id}");
    assert_eq!(answer.header("location"), Some(location.as_str()));
    let start = format!("https://second:{}@", issued["password"].as_str().unwrap());
    assert!(issued["callback_url"].as_str().unwrap().starts_with(&start));
    let shown = running.shown("/api/v1/channels/1").await;
    assert_eq!(shown["credentials"][1], issued["credential"]);
    let first = shown["credentials"][0]["id"].as_str().unwrap();
    let remove = format!("DELETE /channels/1/credentials/{first}");
    let removed = running.api(&remove, Value::Null).await;
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    let shown = running.shown("/api/v1/channels/1").await;
    assert_eq!(shown["credentials"], json!([issued["credential"]]));
    let removed = running.api("DELETE /channels/1", Value::Null).await;
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    let all = running.shown("/api/v1/channels").await;
    assert_eq!(all, json!({"items": []}));
}

#[tokio::test]
async fn failed_calls_and_warnings_are_shown() {
    let (running, store) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let calls = ChannelCalls {
        challenged: 412,
        refused: 3,
        rejected: 2,
        last_refused_at: Some(time(7)),
    };
    let counted = [(channel_id("1"), calls)];
    store.count_calls(&counted).await.unwrap();
    let enable = async |enabled: bool| {
        let changed = running.api("PATCH /channels/1", json!({"enabled": enabled}));
        changed.await.json()["warnings"].clone()
    };
    assert_eq!(enable(false).await, json!([]));
    let report = channel.report("SM1", "sent");
    report.send(running.public).await.assert("403");
    let shown = running.shown("/api/v1/channels/1").await;
    let counted = json!({
        "challenged": 412,
        "refused": 3,
        "last_refused_at": "1970-01-01T00:00:00.000007Z",
        "rejected": 2,
        "last_authenticated_at": null,
    });
    assert_eq!(shown["calls"], counted);
    let warnings = shown["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let warning = warnings[0].as_str().unwrap();
    assert!(
        warning.contains("at least 1") && warning.contains(DISABLED),
        "{warning}"
    );
    let ready = running.get("/readyz").await;
    ready.assert("200");
    let text = ready.text();
    assert!(
        text.contains("rejections") && text.contains(DISABLED),
        "{text}"
    );
    // An enabled channel has no warnings.
    running.clock.advance(Duration::from_secs(1));
    assert_eq!(enable(true).await, json!([]));
    let start = Instant::now();
    while running.get("/readyz").await.text().contains(DISABLED) {
        let elapsed = start.elapsed();
        assert!(
            elapsed < Duration::from_secs(10),
            "the warning is still shown"
        );
    }
}

const DISABLED: &str = "the channel is disabled";
