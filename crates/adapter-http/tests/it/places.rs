//! Places in the log, wherever one is given.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::Timestamp;
use ports::{EventLog as _, ReportStore as _, Retention as _};
use serde_json::{Value, json};
use testkit::builders::report;
use testkit::memory::MemoryStore;

use crate::client::{Answer, Request};
use crate::fixture::{Running, on_memory};

/// 9223372036854775807, which no log comes to.
pub const BEYOND: &str = "OTIyMzM3MjAzNjg1NDc3NTgwNw";

async fn subscription(running: &Running) -> String {
    let request =
        Request::post("/api/v1/subscriptions").json(&json!({"url": "https://s.example/"}));
    let made = running.service.operator(request).await.json();
    format!("/api/v1/subscriptions/{}", made["id"].as_str().unwrap())
}

/// Removes all reports there are.
pub async fn prune(store: &MemoryStore) {
    let ever = Timestamp::EPOCH.plus_micros(i64::MAX / 2);
    let budget = NonZeroU32::new(100).unwrap();
    store.prune_reports(ever, budget).await.unwrap();
}

/// What was recorded elsewhere is seen a little later.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come to that");
}

fn said(answer: &Answer) -> (u16, String, Value) {
    let field = answer.json()["field"].clone();
    (answer.status, answer.problem(), field)
}

#[tokio::test]
async fn a_place_the_log_has_not_come_to_is_refused_wherever_it_is_given() {
    let (running, store) = on_memory().await;
    store.record(&[report("SM1").build()]).await.unwrap();
    let path = subscription(&running).await;
    let replay = format!("{path}/replay");
    let url = "https://s.example/";
    for (request, field) in [
        (
            Request::get(&format!("/api/v1/events?after={BEYOND}")),
            "after",
        ),
        // Nobody waits for what would be missed.
        (
            Request::get(&format!("/api/v1/events?after={BEYOND}&wait=60")),
            "after",
        ),
        (
            Request::get(&format!("/api/v1/events/stream?after={BEYOND}")),
            "after",
        ),
        (
            Request::get("/api/v1/events/stream").header("Last-Event-ID", BEYOND),
            "Last-Event-ID",
        ),
        (
            Request::post("/api/v1/subscriptions").json(&json!({"url": url, "after": BEYOND})),
            "after",
        ),
        (
            Request::post(&replay).json(&json!({"after": BEYOND})),
            "after",
        ),
        (
            Request::new("PUT", "/api/v1/cursors/a").json(&json!({"position": BEYOND})),
            "position",
        ),
    ] {
        let answer = running.service.operator(request.clone()).await;
        let refused = (422, "beyond_the_end".to_owned(), json!(field));
        assert_eq!(said(&answer), refused, "{request:?}");
    }
    assert_eq!(
        running.service.shown("/api/v1/subscriptions").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_place_that_another_process_has_just_given_is_taken() {
    let (running, store) = on_memory().await;
    store.record(&[report("SM1").build()]).await.unwrap();
    let pulled = running.service.shown("/api/v1/events").await;
    // Nobody here is told of it.
    store.record(&[report("SM2").build()]).await.unwrap();
    let given = adapter_http::wire::position_text(store.head().await.unwrap());
    assert_ne!(pulled["next"], given);
    let page = running
        .service
        .shown(&format!("/api/v1/events?after={given}"))
        .await;
    assert_eq!((&page["items"], &page["next"]), (&json!([]), &json!(given)));
}

#[tokio::test]
async fn a_replay_never_moves_a_subscription_on() {
    let (running, store) = on_memory().await;
    let path = subscription(&running).await;
    let replay =
        |from: &str| Request::post(&format!("{path}/replay")).json(&json!({"after": from}));
    let stands = async || running.service.shown(&path).await["position"].clone();
    let begun = stands().await;
    store.record(&[report("SM1").build()]).await.unwrap();
    let refused = running.service.operator(replay("latest")).await;
    assert_eq!(
        said(&refused),
        (422, "nothing_to_replay".to_owned(), json!("after"))
    );
    let next = running.service.shown("/api/v1/events").await["next"].clone();
    let later = running
        .service
        .operator(replay(next.as_str().unwrap()))
        .await;
    assert_eq!((later.status, stands().await), (202, begun.clone()));
    assert_ne!(begun, next);
    // What it has not been told of is still to come.
    until(async || running.service.shown(&path).await["lag"]["events"] == 1).await;
}

#[tokio::test]
async fn a_page_from_a_place_that_is_gone_says_where_there_is_something() {
    let (running, store) = on_memory().await;
    store
        .record(&[report("SM1").build(), report("SM2").build()])
        .await
        .unwrap();
    let first = running.service.shown("/api/v1/events?limit=1").await;
    prune(&store).await;
    let path = format!("/api/v1/events?after={}", first["next"].as_str().unwrap());
    let answer = running.service.get(&path).await;
    assert_eq!(said(&answer), (410, "pruned".to_owned(), json!("after")));
    let resume = answer.json()["resume_after"].clone();
    let path = format!("/api/v1/events?after={}", resume.as_str().unwrap());
    assert_eq!(running.service.get(&path).await.status, 200);
}

#[tokio::test]
async fn a_resumed_subscription_goes_on_past_what_is_gone_and_no_further() {
    let (running, store) = on_memory().await;
    let path = subscription(&running).await;
    let stands = async || running.service.shown(&path).await["position"].clone();
    let begun = stands().await;
    store
        .record(&[report("SM1").build(), report("SM2").build()])
        .await
        .unwrap();
    let resume = || Request::post(&format!("{path}/resume"));
    assert_eq!(running.service.operator(resume()).await.status, 200);
    assert_eq!(stands().await, begun, "nothing is gone");
    prune(&store).await;
    store.record(&[report("SM3").build()]).await.unwrap();
    until(async || {
        assert_eq!(running.service.operator(resume()).await.status, 200);
        let lag = running.service.shown(&path).await["lag"].clone();
        lag["reports"] == 1 && lag["pruned"] == false
    })
    .await;
}
