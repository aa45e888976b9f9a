//! Erasing a recipient through the API.

use serde_json::json;
use testkit::builders::twilio_sid;

use crate::fixture::on_memory;

const NUMBER: &str = "+15550100001";

#[tokio::test]
async fn only_the_record_of_the_erasure_remains() {
    let (running, _) = on_memory().await;
    let channel = running.add_channel("1", json!({})).await;
    let sid = twilio_sid(1);
    let report = async |status: &str| {
        let report = channel.report(&sid, status);
        report.send(running.public).await.assert("204");
    };
    report("sent").await;
    // Reading at the end of the log fills the cache of its newest events.
    let events = running.shown("/api/v1/events?reveal=true").await;
    let end = events["next"].as_str().unwrap();
    running.shown(&format!("/api/v1/events?after={end}")).await;
    report("read").await;
    let live = format!("/api/v1/events?after={end}&wait=5&reveal=true");
    assert!(running.shown(&live).await.to_string().contains(NUMBER));

    let body = json!({"recipient": NUMBER, "reason": "ticket 4711"});
    let answer = running.api("POST /erasures", body).await;
    answer.assert("201");
    let erasure = answer.json();
    assert_eq!(erasure["recipient"], "+***0001");
    assert_eq!(erasure["reason"], "ticket 4711");
    assert_eq!(erasure["asked_through"], "api");
    assert_eq!(erasure["messages"], 1);
    assert_eq!(erasure["reports"], 2);
    let location = answer.header("location").unwrap();
    assert_eq!(running.shown(location).await, erasure);

    for path in [
        "/api/v1/messages?reveal=true",
        "/api/v1/events?reveal=true",
        &format!("/api/v1/messages/1/{sid}?reveal=true"),
        &live,
    ] {
        let shown = running.shown(path).await.to_string();
        let erased = !shown.contains("***0001") && !shown.contains(NUMBER);
        assert!(erased, "{path}: {shown}");
        assert!(shown.contains(r#""to":"erased""#), "{shown}");
    }
    let filtered = "/api/v1/messages?to=whatsapp:%2B15550100001";
    assert_eq!(running.shown(filtered).await["items"], json!([]));
}

#[tokio::test]
async fn erasures_are_listed_newest_first() {
    let (running, _) = on_memory().await;
    for number in ["+15550100001", "+15550100002", "+15550100003"] {
        let body = json!({"recipient": number});
        running.api("POST /erasures", body).await.assert("201");
    }
    let (items, _) = running.all_pages("/api/v1/erasures?limit=2").await;
    let recipients: Vec<_> = items
        .iter()
        .map(|each| each["recipient"].as_str())
        .collect();
    let expected = ["+***0003", "+***0002", "+***0001"].map(Some);
    assert_eq!(recipients, expected);
}

#[tokio::test]
async fn invalid_field_is_named_without_the_recipient() {
    let (running, _) = on_memory().await;
    let with_reason = |reason| json!({"recipient": "+15559999999", "reason": reason});
    for (body, expected) in [
        (json!({}), "missing_field recipient"),
        (json!({"recipient": ""}), "invalid_value recipient"),
        (json!({"recipient": "017155501"}), "invalid_value recipient"),
        (with_reason("1 555 999 9999 wrote"), "invalid_value reason"),
        (with_reason("\n"), "invalid_value reason"),
        (
            json!({"recipient": "+15559999999", "why": "x"}),
            "unknown_field why",
        ),
    ] {
        let answer = running.api("POST /erasures", body).await;
        answer.assert(&format!("400 {expected}"));
        assert!(!answer.text().contains("5559999"));
    }
    for id in ["x", "01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c"] {
        let answer = running.get(&format!("/api/v1/erasures/{id}")).await;
        answer.assert("404 no_such_erasure");
    }
    let all = running.shown("/api/v1/erasures").await;
    assert_eq!(all["items"], json!([]));
}
