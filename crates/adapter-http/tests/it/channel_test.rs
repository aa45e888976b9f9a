//! Sending a test report through the API.

use serde_json::json;

use crate::fixture::on_memory;

#[tokio::test]
async fn test_shows_the_steps_up_to_the_first_that_fails() {
    let (running, _) = on_memory().await;
    running.add_channel("1", json!({})).await;
    let answer = running.api("POST /channels/1/test", json!(null)).await;
    answer.assert("200");
    let report = answer.json();
    assert_eq!(report["passed"], false);
    let url = "https://reports.example.com/social/on/whatsapp/twilio/report/1";
    assert_eq!(report["url"], url);
    assert_eq!(report["certificate_expires_at"], json!(null));
    let steps = report["steps"].as_array().unwrap();
    let names: Vec<_> = steps
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["dns", "tcp", "tls", "challenge", "report", "message"]
    );
    let dns = json!({
        "step": "dns", "outcome": "failed", "detail": "the name has no address", "took_ms": 3,
    });
    assert_eq!(steps[0], dns);
    assert_eq!(steps[5]["outcome"], "skipped");
    // The credential of the test is removed, and the test is audited.
    let shown = running.api("GET /channels/1", json!(null)).await.json();
    assert_eq!(shown["credentials"].as_array().unwrap().len(), 1);
    let audit = running.api("GET /audit", json!(null)).await.json();
    let entry = &audit["items"][0];
    assert_eq!(entry["action"], "channel.test");
    assert_eq!(entry["object"], "1");
}

#[tokio::test]
async fn channel_that_cannot_be_tested_is_a_problem() {
    let (running, _) = on_memory().await;
    let missing = running.api("POST /channels/1/test", json!(null)).await;
    missing.assert("404 no_such_channel");
    running.add_channel("1", json!({})).await;
    running
        .api("PATCH /channels/1", json!({"enabled": false}))
        .await;
    let disabled = running.api("POST /channels/1/test", json!(null)).await;
    disabled.assert("409 channel_disabled");
}
