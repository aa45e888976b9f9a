//! Group commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Effect;
use ports::ReportStore as _;
use ports::metrics::NoMetrics;
use testkit::builders::{key, twilio_sid};
use testkit::memory::MemoryStore;
use usecases::ingest::queue::{IngestError, RecordedIn};
use usecases::{GroupCommitWriters, Throttle};

use crate::{HASTY, Running, SETTINGS, numbered, spawn, submit_together, twilio, until};

#[tokio::test]
async fn single_report_is_recorded_at_once() {
    let running = Running::start(SETTINGS, false);
    let recorded = running.record(1).await.unwrap();
    assert_eq!(recorded, RecordedIn::Store(Effect::Advanced));
    assert!(
        running
            .store
            .message(&key(&twilio_sid(1)))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn reports_queued_during_one_commit_are_recorded_in_the_next() {
    let running = Running::start(SETTINGS, false);
    running.store.set_paused(true);
    let first = running.submit(0);
    until("the first commit", || running.store.record_calls() == 1).await;
    let rest: Vec<_> = (1..=16).map(|number| running.submit(number)).collect();
    tokio::task::yield_now().await;
    running.store.set_paused(false);
    for waiting in rest.into_iter().chain([first]) {
        assert_eq!(
            waiting.await.unwrap().unwrap(),
            RecordedIn::Store(Effect::Advanced)
        );
    }
    assert_eq!(running.store.record_calls(), 2);
}

#[tokio::test]
async fn full_batches_throttle_event_delivery() {
    let store = MemoryStore::new();
    let throttle = Arc::new(Throttle::default());
    let (queue, writers) =
        GroupCommitWriters::new(Arc::new(store.clone()), Arc::new(NoMetrics), SETTINGS);
    let writers = spawn(writers.throttling(throttle.clone()).run());
    let throttled = || throttle.batch_taken(0, SETTINGS.batch, Instant::now().into());
    queue.record(&twilio(), numbered(0)).await.unwrap();
    assert!(throttled().is_zero());
    store.set_paused(true);
    let many: Vec<_> = (1..=64)
        .map(|number| {
            let queue = queue.clone();
            spawn(async move { queue.record(&twilio(), numbered(number)).await })
        })
        .collect();
    until("the first of them", || store.record_calls() == 2).await;
    store.set_paused(false);
    for waiting in many {
        waiting.await.unwrap().unwrap();
    }
    assert!(!throttled().is_zero());
    drop(queue);
    writers.await.unwrap().unwrap();
}

#[tokio::test]
async fn refused_report_does_not_affect_its_batch() {
    let running = Running::start(SETTINGS, false);
    running.store.refuse(&twilio_sid(5));
    running.store.set_paused(true);
    let waiting: Vec<_> = (0..16).map(|number| running.submit(number)).collect();
    until("the first commit", || running.store.record_calls() >= 1).await;
    running.store.set_paused(false);
    for (number, waiting) in waiting.into_iter().enumerate() {
        let outcome = waiting.await.unwrap();
        assert_eq!(
            matches!(outcome, Err(IngestError::Refused(_))),
            number == 5,
            "{outcome:?}"
        );
    }
    assert_eq!(running.store.logged_reports(), 15);
}

#[tokio::test]
async fn without_a_journal_a_locked_message_is_unavailable_alone() {
    let running = Running::start(SETTINGS, false);
    running.store.set_locked(&twilio_sid(3), true);
    let outcomes = submit_together(&running).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let unavailable = matches!(outcome, Err(IngestError::Unavailable(_)));
        assert_eq!(unavailable, number == 3, "{outcome:?}");
    }
}

#[tokio::test]
async fn full_queue_refuses_immediately() {
    let running = Running::start(SETTINGS, false);
    running.store.set_paused(true);
    let first = running.submit(0);
    until("the first commit", || running.store.record_calls() == 1).await;
    let queued: Vec<_> = (1..=64).map(|number| running.submit(number)).collect();
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let refused = running.record(99).await;
    assert!(matches!(refused, Err(IngestError::Overloaded)));
    assert!(began.elapsed() < Duration::from_secs(10));
    running.store.set_paused(false);
    for waiting in queued.into_iter().chain([first]) {
        let _ = waiting.await.unwrap();
    }
}

#[tokio::test]
async fn reports_of_one_request_are_recorded_together() {
    let running = Running::start(SETTINGS, false);
    let reports = (0..10).map(numbered).collect();
    let results = running.queue.record_all(&twilio(), reports).await;
    assert!(results.len() == 10 && results.iter().all(Result::is_ok));
    assert_eq!(running.store.record_calls(), 1);
    assert!(
        running
            .queue
            .record_all(&twilio(), Vec::new())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn request_larger_than_the_queue_is_recorded_in_parts() {
    let running = Running::start(SETTINGS, false);
    let reports = (0..1_000).map(numbered).collect();
    let results = running.queue.record_all(&twilio(), reports).await;
    assert!(results.len() == 1_000 && results.iter().all(Result::is_ok));
}

#[tokio::test]
async fn large_request_leaves_room_for_others() {
    let running = Running::start(SETTINGS, false);
    running.store.set_paused(true);
    let queue = running.queue.clone();
    let reports = (0..1_000).map(numbered).collect();
    let large = spawn(async move { queue.record_all(&twilio(), reports).await });
    until("its first part", || running.store.record_calls() == 1).await;
    let others: Vec<_> = (1_000..1_040)
        .map(|number| running.submit(number))
        .collect();
    running.store.set_paused(false);
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(large.await.unwrap().len(), 1_000);
}

#[tokio::test]
async fn full_queue_refuses_every_report_of_a_request() {
    let running = Running::start(SETTINGS, false);
    running.store.set_paused(true);
    let waiting: Vec<_> = (0..200).map(|number| running.submit(number)).collect();
    until("the queue is full", || {
        running.queue.depth().usage().0 == 64
    })
    .await;
    let reports = (300..305).map(numbered).collect();
    let results = running.queue.record_all(&twilio(), reports).await;
    let refused = |result: &Result<_, _>| matches!(result, Err(IngestError::Overloaded));
    assert!(results.len() == 5 && results.iter().all(refused));
    running.store.set_paused(false);
    for each in waiting {
        let _ = each.await.unwrap();
    }
}

#[tokio::test]
async fn unavailable_store_without_a_journal_is_an_error() {
    let running = Running::start(SETTINGS, false);
    running.store.set_unavailable(true);
    let outcome = running.record(1).await;
    assert!(matches!(outcome, Err(IngestError::Unavailable(_))));
    running.store.set_unavailable(false);
    assert!(running.record(1).await.is_ok());
}

#[tokio::test]
async fn slow_store_without_a_journal_is_an_error() {
    let running = Running::start(HASTY, false);
    running.store.set_paused(true);
    let outcome = running.record(1).await;
    assert!(matches!(outcome, Err(IngestError::Unavailable(_))));
}

#[tokio::test]
async fn queued_reports_are_recorded_on_shutdown() {
    let running = Running::start(SETTINGS, false);
    running.store.set_paused(true);
    let waiting: Vec<_> = (0..40).map(|number| running.submit(number)).collect();
    until("the first commit", || running.store.record_calls() >= 1).await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    drop(running.queue);
    running.store.set_paused(false);
    running.writers.await.unwrap().unwrap();
    for waiting in waiting {
        assert!(waiting.await.unwrap().is_ok());
    }
    assert_eq!(running.store.logged_reports(), 40);
}
