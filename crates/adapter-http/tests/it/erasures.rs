//! Forgetting a recipient through the API.

use serde_json::{Value, json};
use testkit::builders::twilio_sid;

use crate::client::{Answer, Request};
use crate::fixture::{Running, on_memory};

const NUMBER: &str = "+15550100001";

async fn erase(running: &Running, body: &Value) -> Answer {
    let request = Request::post("/api/v1/erasures").json(body);
    running.service.operator(request).await
}

#[tokio::test]
async fn a_recipient_is_erased_and_only_that_it_was_remains() {
    let (running, _) = on_memory().await;
    let service = &running.service;
    let channel = service.add_channel("1", json!({})).await;
    let sid = twilio_sid(1);
    let sent = channel.report(&sid, "sent").send(service.public).await;
    assert_eq!(sent.status, 204);
    // From the end of the log on, so that it is kept for others.
    let events = service.shown("/api/v1/events?reveal=true").await;
    let head = events["next"].as_str().unwrap();
    service.shown(&format!("/api/v1/events?after={head}")).await;
    let read = channel.report(&sid, "read").send(service.public).await;
    assert_eq!(read.status, 204);
    let live = format!("/api/v1/events?after={head}&wait=5&reveal=true");
    assert!(service.shown(&live).await.to_string().contains(NUMBER));

    let body = json!({ "recipient": NUMBER, "reason": "ticket 4711" });
    let answer = erase(&running, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let erasure = answer.json();
    assert_eq!(erasure["recipient"], "+***0001");
    assert_eq!(erasure["reason"], "ticket 4711");
    assert_eq!(erasure["asked_through"], "api");
    assert_eq!(
        (&erasure["messages"], &erasure["reports"]),
        (&json!(1), &json!(2))
    );
    let location = answer.header("location").unwrap();
    assert_eq!(service.shown(location).await, erasure);

    let paths = [
        "/api/v1/messages?reveal=true".to_owned(),
        "/api/v1/events?reveal=true".to_owned(),
        format!("/api/v1/messages/1/{sid}?reveal=true"),
        live,
    ];
    for path in paths {
        let shown = service.shown(&path).await.to_string();
        assert!(
            !shown.contains("***0001") && !shown.contains(NUMBER),
            "{path}: {shown}"
        );
        assert!(shown.contains(r#""to":"erased""#), "{shown}");
    }
    let filtered = "/api/v1/messages?to=whatsapp:%2B15550100001";
    assert_eq!(service.shown(filtered).await["items"], json!([]));
}

#[tokio::test]
async fn erasures_are_listed_from_the_latest() {
    let (running, _) = on_memory().await;
    for number in ["+15550100001", "+15550100002", "+15550100003"] {
        let answer = erase(&running, &json!({ "recipient": number })).await;
        assert_eq!(answer.status, 201);
    }
    let (mut seen, mut query) = (Vec::new(), String::new());
    loop {
        let page = running
            .service
            .shown(&format!("/api/v1/erasures?limit=2{query}"))
            .await;
        for erasure in page["items"].as_array().unwrap() {
            seen.push(erasure["recipient"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        query = format!("&cursor={next}");
    }
    assert_eq!(seen, ["+***0003", "+***0002", "+***0001"]);
}

#[tokio::test]
async fn what_cannot_be_erased_is_a_problem_of_its_field() {
    let (running, _) = on_memory().await;
    for (body, code, field) in [
        (json!({}), "missing_field", "recipient"),
        (json!({ "recipient": "" }), "invalid_value", "recipient"),
        (
            json!({ "recipient": "017155501" }),
            "invalid_value",
            "recipient",
        ),
        (
            json!({ "recipient": "+15559999999", "reason": "1 555 999 9999 wrote" }),
            "invalid_value",
            "reason",
        ),
        (
            json!({ "recipient": "+15559999999", "reason": "\n" }),
            "invalid_value",
            "reason",
        ),
        (
            json!({ "recipient": "+15559999999", "why": "x" }),
            "unknown_field",
            "why",
        ),
    ] {
        let answer = erase(&running, &body).await;
        assert_eq!(answer.status, 400, "{body}");
        let problem = answer.json();
        assert_eq!(
            (&problem["code"], &problem["field"]),
            (&json!(code), &json!(field))
        );
        assert!(!answer.text().contains("5559999"));
    }
    for id in ["x", "01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c"] {
        let answer = running.service.get(&format!("/api/v1/erasures/{id}")).await;
        assert_eq!(answer.problem(), "no_such_erasure");
    }
    let all = running.service.shown("/api/v1/erasures").await;
    assert_eq!(all["items"], json!([]));
}

#[tokio::test]
async fn erasures_need_the_token() {
    let (running, _) = on_memory().await;
    for request in [
        Request::get("/api/v1/erasures"),
        Request::post("/api/v1/erasures").json(&json!({ "recipient": NUMBER })),
    ] {
        assert_eq!(request.send(running.service.operator).await.status, 401);
    }
}
