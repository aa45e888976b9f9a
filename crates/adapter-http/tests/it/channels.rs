//! The API of channels and credentials.

use std::time::Duration;

use domain::ChannelCalls;
use ports::ChannelStore as _;
use serde_json::json;
use testkit::builders::channel_id;

use crate::client::{Answer, Request};
use crate::fixture::{PUBLIC_URL, on_memory};
use crate::service::{Service, fields};

async fn send(service: &Service, method: &str, path: &str, body: serde_json::Value) -> Answer {
    let request = Request::new(method, path).json(&body);
    service.operator(request).await
}

#[tokio::test]
async fn a_channel_is_made_with_its_first_credential() {
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
    let answer = send(&running.service, "POST", "/api/v1/channels", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let location = "/api/v1/channels/202105102694809992";
    assert_eq!(answer.header("location"), Some(location));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.json();
    let password = made["password"].as_str().unwrap();
    assert_eq!(password.len(), 43);
    let callback_url = format!(
        "https://webhook:{password}@other.example.com/social/on/whatsapp/twilio/report/\
         202105102694809992#rc=5&rp=ct,rt,5xx"
    );
    assert_eq!(made["callback_url"], callback_url);
    let channel = json!({
        "id": "202105102694809992",
        "integrator": "twilio",
        "name": "Service desk",
        "enabled": true,
        "senders": ["whatsapp:+***9999"],
        "public_url": "https://***@other.example.com",
        "signature_required": true,
        "keep_messages_days": 30,
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

    let mut shown = channel;
    let more = json!({
        "callback_url": "https://other.example.com/social/on/whatsapp/twilio/report/\
                         202105102694809992#rc=5&rp=ct,rt,5xx",
        "credentials": [credential],
    });
    let fields = shown.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    shown["calls"] = json!({
        "challenged": 0,
        "refused": 0,
        "last_refused_at": null,
        "rejected": 0,
        "last_authenticated_at": null,
    });
    shown["warnings"] = json!([]);
    let found = running.service.get(location).await;
    assert_eq!(found.json(), shown);
    shown["calls"] = json!(null);
    assert!(!found.text().contains(password));
    let listed = running.service.shown("/api/v1/channels").await;
    assert_eq!(listed, json!({"items": [shown]}));

    let revealed = running
        .service
        .shown(&format!("{location}?reveal=true"))
        .await;
    assert_eq!(revealed["senders"], json!(["whatsapp:+15550109999"]));
    assert_eq!(revealed["public_url"], "https://a:b@other.example.com");
}

#[tokio::test]
async fn a_chosen_password_is_taken() {
    let (running, _) = on_memory().await;
    let password = json!({"password": "pä:ss wörd"});
    let made = running.service.add_channel("1", password).await;
    assert_eq!(made.password, "pä:ss wörd");
    let start = "https://webhook:p%C3%A4%3Ass%20w%C3%B6rd@reports.example.com/";
    assert!(
        made.callback_url.starts_with(start),
        "{}",
        made.callback_url
    );
    assert!(PUBLIC_URL.ends_with("reports.example.com"));
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named_and_its_value_is_not_told() {
    let (running, _) = on_memory().await;
    let good = json!({"id": "1", "integrator": "twilio", "name": "a", "user": "webhook"});
    let long = "x".repeat(1_000);
    for (field, value, code) in [
        ("id", json!("a/b-secret"), "invalid_value"),
        ("integrator", json!("Twilio-secret"), "invalid_value"),
        ("name", json!("secret\n"), "invalid_value"),
        ("user", json!("sec:ret"), "invalid_value"),
        ("password", json!("secret"), "invalid_value"),
        ("senders", json!(["secret\u{0}"]), "invalid_value"),
        ("senders", json!(["whatsapp:+1secret"]), "invalid_value"),
        (
            "public_url",
            json!("https://x/social/on/whatsapp/twilio/report/other"),
            "invalid_value",
        ),
        ("public_url", json!("secret"), "invalid_value"),
        ("signing_token", json!("secret "), "invalid_value"),
        ("keep_messages_days", json!(0), "invalid_value"),
        ("keep_messages_days", json!(36_501), "invalid_value"),
        ("keep_messages_days", json!(-1), "invalid_value"),
        ("label", json!("secret\u{0}"), "invalid_value"),
        ("label", json!(long), "invalid_value"),
        ("expires", json!("secret"), "invalid_value"),
        ("passwort", json!("secret"), "unknown_field"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = send(&running.service, "POST", "/api/v1/channels", body).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, code),
            "{field}"
        );
        assert_eq!(answer.json()["field"], field);
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
    for (body, code, field) in [
        (
            json!({"id": "1"}).to_string(),
            "missing_field",
            json!("integrator"),
        ),
        (json!({"id": 5}).to_string(), "wrong_type", json!(null)),
        (json!([]).to_string(), "wrong_type", json!(null)),
        (
            "{\"id\":\"1\",\"id\":\"2\"}".to_owned(),
            "duplicate_field",
            json!("id"),
        ),
        ("{".to_owned(), "invalid_json", json!(null)),
        (String::new(), "invalid_json", json!(null)),
    ] {
        let request = Request::post("/api/v1/channels")
            .header("Content-Type", "application/json")
            .body(body.clone());
        let answer = running.service.operator(request).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (400, code),
            "{body}"
        );
        assert_eq!(answer.json()["field"], field, "{body}");
    }
    let request = Request::post("/api/v1/channels").form(&[("id", "1")]);
    let answer = running.service.operator(request).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (415, "unsupported_media_type")
    );
    let answer = running.service.get("/api/v1/channels?revael=true").await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (400, "unknown_field")
    );
    assert_eq!(answer.json()["field"], "revael");
    let answer = running.service.get("/api/v1/channels?reveal=yes").await;
    assert_eq!(answer.json()["field"], "reveal");
}

#[tokio::test]
async fn what_cannot_be_done_has_a_stable_code() {
    let (running, store) = on_memory().await;
    let service = &running.service;
    service.add_channel("1", json!({})).await;
    let new = |change: serde_json::Value| {
        let mut body = json!({"id": "2", "integrator": "twilio", "name": "a", "user": "webhook"});
        let fields = body.as_object_mut().unwrap();
        fields.extend(change.as_object().unwrap().clone());
        body
    };
    let credential = json!({"user": "webhook"});
    let unknown = "DELETE /channels/1/credentials/00000000-0000-7000-8000-000000000000";
    let past = "2026-11-22T18:06:17Z";
    let rows = [
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
        (
            "POST /channels",
            new(json!({"expires": past})),
            "422 expiry_in_the_past",
        ),
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
    ];
    for (what, body, expected) in rows {
        let (method, path) = what.split_once(' ').unwrap();
        let answer = send(service, method, &format!("/api/v1{path}"), body).await;
        let got = format!("{} {}", answer.status, answer.problem());
        assert_eq!(got, expected, "{what}: {}", answer.text());
    }
    let path = "/api/v1/channels/1/credentials";
    assert_eq!(
        send(service, "POST", path, credential.clone()).await.status,
        201
    );
    let third = send(service, "POST", path, credential).await;
    assert_eq!(
        (third.status, third.problem().as_str()),
        (409, "too_many_credentials")
    );
    store.set_unavailable(true);
    let away = service.get("/api/v1/channels/1").await;
    assert_eq!(
        (away.status, away.problem().as_str()),
        (503, "store_unavailable")
    );
    assert_eq!(away.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_channel_is_changed_field_by_field() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let more = json!({
        "public_url": "https://a.example.com",
        "signing_token": "12345678",
        "keep_messages_days": 1,
    });
    service.add_channel("1", more).await;
    running.clock.advance(Duration::from_mins(1));
    let path = "/api/v1/channels/1";
    let wanted = json!({"name": "Sales", "enabled": false, "version": 1});
    let changed = send(service, "PATCH", path, wanted).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let changed = changed.json();
    assert_eq!(changed["name"], "Sales");
    assert_eq!(changed["enabled"], false);
    assert_eq!(changed["version"], 2);
    assert_eq!(changed["public_url"], "https://a.example.com");
    assert_eq!(changed["signature_required"], true);
    assert_eq!(changed["keep_messages_days"], 1);
    assert_eq!(changed["created"], "2026-11-22T18:06:17.000000Z");
    assert_eq!(changed["updated"], "2026-11-22T18:07:17.000000Z");
    let wanted = json!({"public_url": null, "signing_token": null, "senders": ["rcs:brand"]});
    let changed = send(service, "PATCH", path, wanted).await.json();
    assert_eq!(changed["public_url"], json!(null));
    assert_eq!(changed["signature_required"], false);
    assert_eq!(changed["senders"], json!(["rcs:***"]));
    assert_eq!(changed["name"], "Sales");
    assert_eq!(changed["version"], 3);
    for days in [json!(36_500), json!(null)] {
        let wanted = json!({"keep_messages_days": days});
        let changed = send(service, "PATCH", path, wanted).await.json();
        assert_eq!(changed["keep_messages_days"], days);
        assert_eq!(
            service.shown(path).await["keep_messages_days"],
            changed["keep_messages_days"]
        );
    }
    for (wanted, field) in [
        (json!({"name": ""}), "name"),
        (json!({"keep_messages_days": 0}), "keep_messages_days"),
        (json!({"keep_messages_days": 40_000}), "keep_messages_days"),
        (json!({"public_url": "x"}), "public_url"),
        (json!({"signing_token": "x"}), "signing_token"),
        (json!({"senders": [""]}), "senders"),
        (json!({"integrator": "twilio"}), "integrator"),
    ] {
        let answer = send(service, "PATCH", path, wanted).await;
        assert_eq!(
            (answer.status, &answer.json()["field"]),
            (400, &json!(field))
        );
    }
}

#[tokio::test]
async fn a_second_credential_is_issued_and_the_first_removed() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    service.add_channel("1", json!({})).await;
    let path = "/api/v1/channels/1/credentials";
    let answer = send(
        service,
        "POST",
        path,
        json!({"user": "second", "label": "new"}),
    )
    .await;
    assert_eq!(answer.status, 201);
    let issued = answer.json();
    let id = issued["credential"]["id"].as_str().unwrap();
    let location = format!("{path}/{id}");
    assert_eq!(answer.header("location"), Some(location.as_str()));
    let start = format!("https://second:{}@", issued["password"].as_str().unwrap());
    assert!(issued["callback_url"].as_str().unwrap().starts_with(&start));
    let shown = service.shown("/api/v1/channels/1").await;
    assert_eq!(shown["credentials"][1], issued["credential"]);
    let first = shown["credentials"][0]["id"].as_str().unwrap();
    let removed = service
        .operator(Request::new("DELETE", &format!("{path}/{first}")))
        .await;
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    let shown = service.shown("/api/v1/channels/1").await;
    assert_eq!(shown["credentials"], json!([issued["credential"]]));
    let removed = service
        .operator(Request::new("DELETE", "/api/v1/channels/1"))
        .await;
    assert_eq!((removed.status, removed.body.len()), (204, 0));
    assert_eq!(
        service.shown("/api/v1/channels").await,
        json!({"items": []})
    );
}

#[tokio::test]
async fn calls_without_success_and_what_they_point_to_are_shown() {
    let (running, store) = on_memory().await;
    let service = &running.service;
    let channel = service.add_channel("1", json!({})).await;
    let calls = ChannelCalls {
        challenged: 412,
        refused: 3,
        rejected: 2,
        last_refused_at: Some(testkit::builders::time(7)),
    };
    store
        .count_calls(&[(channel_id("1"), calls)])
        .await
        .unwrap();
    let path = "/api/v1/channels/1";
    let disabled = send(service, "PATCH", path, json!({"enabled": false})).await;
    assert_eq!(disabled.json()["warnings"], json!([]));
    let report = Request::post(&channel.path())
        .form(&fields("SM1", "sent"))
        .basic(&channel.user, &channel.password);
    assert_eq!(report.send(service.public).await.status, 403);
    let shown = service.shown(path).await;
    let counted = json!({
        "challenged": 412,
        "refused": 3,
        "last_refused_at": "1970-01-01T00:00:00.000007Z",
        "rejected": 2,
        "last_authenticated_at": null,
    });
    assert_eq!(shown["calls"], counted);
    let warning = "reports rejected within the last hour: at least 1; the channel is disabled; \
                   enable it or take its callback URL away";
    assert_eq!(shown["warnings"], json!([warning]));
    let answer = service.get("/readyz").await;
    assert_eq!(answer.status, 200);
    let ready = answer.text();
    assert!(
        ready.contains("rejections") && ready.contains("the channel is disabled"),
        "{ready}"
    );
    // Put right, nothing is warned of any more.
    running.clock.advance(Duration::from_secs(1));
    let enabled = send(service, "PATCH", path, json!({"enabled": true})).await;
    assert_eq!(enabled.json()["warnings"], json!([]));
    let began = std::time::Instant::now();
    while service
        .get("/readyz")
        .await
        .text()
        .contains("the channel is disabled")
    {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it is still shown"
        );
    }
}
