//! Positions in the log, in all requests that take one.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::Timestamp;
use ports::{EventLog as _, Maintenance as _, ReportStore as _};
use serde_json::{Value, json};
use testkit::builders::report;
use testkit::memory::MemoryStore;

use crate::client::Request;
use crate::fixture::on_memory;

/// 9223372036854775807, a position after the end of every log.
pub const BEYOND_THE_END: &str = "OTIyMzM3MjAzNjg1NDc3NTgwNw";

/// Removes all reports from the log.
pub async fn prune(store: &MemoryStore) {
    let always = Timestamp::EPOCH.plus_micros(i64::MAX / 2);
    let budget = NonZeroU32::new(100).unwrap();
    store.prune_reports(always, budget).await.unwrap();
}

async fn record(store: &MemoryStore, sids: &[&str]) {
    let reports: Vec<_> = sids.iter().map(|sid| report(sid).build()).collect();
    store.record(&reports).await.unwrap();
}

/// Waits for a condition: reports recorded by another process are seen a little later.
async fn eventually(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition is not met");
}

#[tokio::test]
async fn position_after_the_end_of_the_log_is_refused() {
    let (running, store) = on_memory().await;
    record(&store, &["SM1"]).await;
    let subscription = running.add_subscription(json!({})).await;
    let after = json!({"after": BEYOND_THE_END});
    let subscription_after = json!({"url": "https://s.example/", "after": BEYOND_THE_END});
    for (call, body, field) in [
        (
            format!("GET /events?after={BEYOND_THE_END}"),
            Value::Null,
            "after",
        ),
        // The request does not wait for events it would miss.
        (
            format!("GET /events?after={BEYOND_THE_END}&wait=60"),
            Value::Null,
            "after",
        ),
        (
            format!("GET /events/stream?after={BEYOND_THE_END}"),
            Value::Null,
            "after",
        ),
        (
            "POST /subscriptions".to_owned(),
            subscription_after,
            "after",
        ),
        (subscription.call("POST", "/replay"), after, "after"),
        (
            "PUT /cursors/a".to_owned(),
            json!({"position": BEYOND_THE_END}),
            "position",
        ),
    ] {
        let answer = running.api(&call, body).await;
        answer.assert_for(&call, &format!("422 beyond_the_end {field}"));
    }
    let stream = Request::get("/api/v1/events/stream").header("Last-Event-ID", BEYOND_THE_END);
    let answer = running.operator(stream).await;
    answer.assert("422 beyond_the_end Last-Event-ID");
    let subscriptions = running.shown("/api/v1/subscriptions").await;
    assert_eq!(subscriptions["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn position_from_another_process_is_accepted() {
    let (running, store) = on_memory().await;
    record(&store, &["SM1"]).await;
    let pulled = running.shown("/api/v1/events").await;
    // The cache of this process is not notified of it.
    record(&store, &["SM2"]).await;
    let given = adapter_http::wire::position_text(store.head().await.unwrap());
    assert_ne!(pulled["next"], given);
    let page = running
        .shown(&format!("/api/v1/events?after={given}"))
        .await;
    assert_eq!((&page["items"], &page["next"]), (&json!([]), &json!(given)));
}

#[tokio::test]
async fn replay_never_moves_a_subscription_forward() {
    let (running, store) = on_memory().await;
    let subscription = running.add_subscription(json!({})).await;
    let shown = async || running.shown(&subscription.path()).await;
    let replay = async |after: &str| {
        let call = subscription.call("POST", "/replay");
        running.api(&call, json!({"after": after})).await
    };
    let start = shown().await["position"].clone();
    record(&store, &["SM1"]).await;
    replay("latest").await.assert("422 nothing_to_replay after");
    let next = running.shown("/api/v1/events").await["next"].clone();
    replay(next.as_str().unwrap()).await.assert("202");
    assert_eq!(shown().await["position"], start);
    assert_ne!(start, next);
    // The event that it has not reached yet is still to be sent.
    eventually(async || shown().await["lag"]["events"] == 1).await;
}

#[tokio::test]
async fn page_after_a_removed_position_names_the_one_to_resume_after() {
    let (running, store) = on_memory().await;
    record(&store, &["SM1", "SM2"]).await;
    let first = running.shown("/api/v1/events?limit=1").await;
    prune(&store).await;
    let get = async |after: &Value| {
        let after = after.as_str().unwrap();
        running.get(&format!("/api/v1/events?after={after}")).await
    };
    let answer = get(&first["next"]).await;
    answer.assert("410 pruned after");
    get(&answer.json()["resume_after"]).await.assert("200");
}

#[tokio::test]
async fn resumed_subscription_skips_only_removed_reports() {
    let (running, store) = on_memory().await;
    let subscription = running.add_subscription(json!({})).await;
    let shown = async || running.shown(&subscription.path()).await;
    let resume = async || {
        let call = subscription.call("POST", "/resume");
        running.api(&call, Value::Null).await.assert("200");
    };
    let start = shown().await["position"].clone();
    record(&store, &["SM1", "SM2"]).await;
    resume().await;
    assert_eq!(shown().await["position"], start, "nothing was removed");
    prune(&store).await;
    record(&store, &["SM3"]).await;
    eventually(async || {
        resume().await;
        let lag = shown().await["lag"].clone();
        lag["reports"] == 1 && lag["pruned"] == false
    })
    .await;
}
