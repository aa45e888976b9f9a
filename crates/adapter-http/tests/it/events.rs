//! Events: pulled, and subscribed to.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::builders::twilio_sid;

use crate::client::Request;
use crate::fixture::{Running, on_memory};
use crate::service::{MadeChannel, fields};

pub async fn report(running: &Running, channel: &MadeChannel, sid: &str, status: &str) {
    running.clock.advance(Duration::from_secs(1));
    let request = Request::post(&channel.path())
        .form(&fields(sid, status))
        .basic(&channel.user, &channel.password);
    assert_eq!(request.send(running.service.public).await.status, 204);
}

async fn pulled(running: &Running, query: &str) -> Value {
    running
        .service
        .shown(&format!("/api/v1/events{query}"))
        .await
}

fn types(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn events_are_pulled_page_by_page_and_filtered() {
    let (running, _) = on_memory().await;
    let one = running.service.add_channel("1", json!({})).await;
    let two = running.service.add_channel("2", json!({})).await;
    let sid = twilio_sid(1);
    for status in ["sent", "delivered", "delivered", "queued", "failed", "read"] {
        report(&running, &one, &sid, status).await;
    }
    report(&running, &two, &sid, "read").await;

    let all = pulled(&running, "").await;
    let expected = [
        "message.sent",
        "message.delivered",
        "message.contradicted",
        "message.read",
        "message.read",
    ];
    assert_eq!(types(&all), expected);
    assert_eq!(all["more"], false);
    let event = &all["items"][1];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["source"], "/channels/1");
    assert_eq!(event["subject"], json!(sid));
    assert_eq!(event["data"]["previous_status"], "sent");
    assert_eq!(event["data"]["to"], "whatsapp:+***0001");

    let (mut query, mut seen) = ("?limit=1".to_owned(), Vec::new());
    for _ in 0..5 {
        let page = pulled(&running, &query).await;
        seen.extend(types(&page).into_iter().map(str::to_owned));
        query = format!("?limit=1&after={}", page["next"].as_str().unwrap());
    }
    assert_eq!(seen, expected);
    assert_eq!(types(&pulled(&running, &query).await), [""; 0]);

    let some = pulled(&running, "?channel=2,3&types=message.read,message.failed").await;
    assert_eq!(types(&some), ["message.read"]);
    let shown = pulled(&running, "?reveal=true&limit=1").await;
    assert!(
        shown["items"][0]["data"]["to"]
            .as_str()
            .unwrap()
            .contains("+1555")
    );
    assert_eq!(types(&pulled(&running, "?after=latest").await), [""; 0]);
    let late = pulled(&running, "?since=2026-11-22T18:06:23Z").await;
    assert_eq!(types(&late), ["message.read", "message.read"]);
}

#[tokio::test]
async fn whoever_waits_is_answered_when_something_happens() {
    let (running, _) = on_memory().await;
    let channel = running.service.add_channel("1", json!({})).await;
    let (page, ()) = tokio::join!(pulled(&running, "?after=latest&wait=30"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        report(&running, &channel, &twilio_sid(1), "sent").await;
    });
    assert_eq!(types(&page), ["message.sent"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_for_events_is_named() {
    let (running, _) = on_memory().await;
    for (query, field) in [
        ("?after=nowhere!", "after"),
        ("?since=yesterday", "since"),
        ("?after=latest&since=2026-11-22T18:06:17Z", "since"),
        ("?channel=a/b", "channel"),
        ("?types=message.teleported", "types"),
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?wait=61", "wait"),
        ("?reveal=maybe", "reveal"),
        ("?since_when=1", "since_when"),
    ] {
        let answer = running.service.get(&format!("/api/v1/events{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(answer.json()["field"], field, "{query}");
    }
    let stream = Request::get("/api/v1/events/stream").header("Last-Event-ID", "nowhere!");
    let answer = running.service.operator(stream).await;
    assert_eq!(
        (answer.status, answer.json()["field"].clone()),
        (400, json!("Last-Event-ID"))
    );
}

fn problem_field(answer: &Value) -> &str {
    answer["field"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_subscription_is_made_changed_paused_and_removed() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let request = Request::post("/api/v1/subscriptions").json(&json!({
        "url": "https://workbench.example.com/hooks?token=secret",
        "channels": ["1"],
        "types": ["message.failed"],
        "description": "workbench",
    }));
    let answer = service.operator(request).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert!(!made["url"].as_str().unwrap().contains("secret"));
    let path = format!("/api/v1/subscriptions/{}", made["id"].as_str().unwrap());

    let shown = service.shown(&path).await;
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["secret"], Value::Null);
    assert_eq!(shown["lag"]["reports"], 0);
    assert_eq!(
        service.shown("/api/v1/subscriptions").await["items"][0]["id"],
        made["id"]
    );

    let change =
        Request::new("PATCH", &path).json(&json!({"types": [], "reveal": true, "version": 1}));
    let changed = service.operator(change.clone()).await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(changed.json()["types"], json!([]));
    assert_eq!(changed.json()["channels"], json!(["1"]));
    assert_eq!(service.operator(change).await.status, 409);

    for (verb, state) in [("pause", "paused"), ("resume", "active")] {
        let answer = service
            .operator(Request::post(&format!("{path}/{verb}")))
            .await;
        assert_eq!(
            (answer.status, &answer.json()["state"]),
            (200, &json!(state))
        );
    }
    let rotate = Request::post(&format!("{path}/secret")).json(&json!({"overlap_hours": 1}));
    let rotated = service.operator(rotate).await.json();
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!(
        rotated["previous_secret_expires"],
        "2026-11-22T19:06:17.000000Z"
    );
    let tested = service
        .operator(Request::post(&format!("{path}/test")))
        .await
        .json();
    assert_eq!(
        tested,
        json!({"delivered": true, "status": 202, "error": null, "answer": "thank you"})
    );

    assert_eq!(
        service.operator(Request::new("DELETE", &path)).await.status,
        204
    );
    assert_eq!(service.get(&path).await.status, 404);
    assert_eq!(
        service.operator(Request::new("DELETE", &path)).await.status,
        404
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_subscription_is_named() {
    let (running, _) = on_memory().await;
    let good = json!({"url": "https://subscriber.example.com/"});
    for (field, value, status) in [
        ("url", json!("ftp://subscriber.example.com/"), 400),
        (
            "url",
            json!("https://user:password@subscriber.example.com/"),
            400,
        ),
        ("url", json!("http://127.0.0.1:9/"), 422),
        ("url", json!("http://0x7f.1/"), 422),
        ("url", json!("http://[fd00::1]/"), 422),
        ("types", json!(["message.teleported"]), 400),
        ("channels", json!(["a/b"]), 400),
        ("secret", json!("whsec_c2hvcnQ="), 400),
        ("secret", json!("short"), 400),
        ("description", json!("a\nb"), 400),
        ("after", json!("nowhere!"), 400),
        ("since", json!("yesterday"), 400),
        ("colour", json!("red"), 400),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let request = Request::post("/api/v1/subscriptions").json(&body);
        let answer = running.service.operator(request).await;
        assert_eq!(answer.status, status, "{field}: {value}: {}", answer.text());
        assert_eq!(problem_field(&answer.json()), field, "{value}");
    }
}

#[tokio::test]
async fn a_message_is_replayed_and_its_deliveries_are_listed() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let channel = service.add_channel("1", json!({})).await;
    let sid = twilio_sid(1);
    for status in ["sent", "failed", "delivered"] {
        report(&running, &channel, &sid, status).await;
    }
    let request =
        Request::post("/api/v1/subscriptions").json(&json!({"url": "https://s.example/"}));
    let made = service.operator(request).await.json();
    let path = format!("/api/v1/subscriptions/{}", made["id"].as_str().unwrap());
    let replay = |body: Value| Request::post(&format!("{path}/replay")).json(&body);

    let message = json!({"message": {"channel_id": "1", "message_sid": sid}});
    let replayed = service.operator(replay(message)).await;
    assert_eq!(
        (replayed.status, replayed.json()),
        (202, json!({"events": 4}))
    );
    let all = service.shown(&format!("{path}/deliveries")).await;
    let states = all["items"].as_array().unwrap().iter();
    let states: Vec<_> = states.map(|each| each["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["waiting", "waiting", "waiting", "retrying"]);
    let page = service.shown(&format!("{path}/deliveries?limit=3")).await;
    let next = page["next"].as_str().unwrap();
    let rest = service
        .shown(&format!("{path}/deliveries?limit=3&cursor={next}"))
        .await;
    assert_eq!(rest["items"][0], all["items"][3]);
    let waiting = service
        .shown(&format!(
            "{path}/deliveries?state=waiting&type=message.contradicted"
        ))
        .await;
    assert_eq!(waiting["items"].as_array().unwrap().len(), 1);
    let id = all["items"][3]["id"].as_str().unwrap();
    assert_eq!(
        service.shown(&format!("/api/v1/deliveries/{id}")).await,
        all["items"][3]
    );
    let due = service
        .operator(Request::post(&format!("/api/v1/deliveries/{id}/retry")))
        .await;
    assert_eq!(
        (due.status, &due.json()["code"]),
        (409, &json!("not_retriable"))
    );

    let all = service.operator(replay(json!({"after": "oldest"}))).await;
    assert_eq!((all.status, all.json()), (202, json!({"events": null})));
    let shown = service.shown(&path).await;
    let lag = &shown["lag"];
    assert_eq!(json!([lag["reports"], lag["events"]]), json!([3, 4]));
    assert_eq!(
        lag["seconds"], 2,
        "the oldest report came two seconds before"
    );
    assert_eq!(shown["rates"]["hour"]["delivered"], 0);
    for (body, field) in [
        (json!({}), "after"),
        (
            json!({"after": "oldest", "since": "2026-11-22T18:06:17Z"}),
            "since",
        ),
        (
            json!({"message": {"channel_id": "/", "message_sid": "1"}}),
            "channel_id",
        ),
    ] {
        let answer = service.operator(replay(body)).await;
        assert_eq!((answer.status, problem_field(&answer.json())), (400, field));
    }
    let unknown = json!({"message": {"channel_id": "1", "message_sid": "SM1"}});
    assert_eq!(service.operator(replay(unknown)).await.status, 404);
    for query in ["state=lost", "type=x", "channel_id=1", "since=x"] {
        let answer = service.get(&format!("{path}/deliveries?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}
