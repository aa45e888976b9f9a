//! Spilling to the journal.

use std::time::{Duration, Instant};

use domain::Effect;
use domain::report::FIELDS_LENGTH_MAX;
use ports::error::error_chain;
use ports::{RejectionStore as _, ReportStore as _};
use testkit::builders::{report, twilio_sid};
use usecases::ingest::journal_replay::{ReplayError, Replayed};
use usecases::ingest::queue::{IngestError, RecordedIn};

use crate::{HASTY, Running, SETTINGS, numbered, submit_together, twilio};

const fn replayed(moved: usize, more: bool) -> Replayed {
    Replayed { moved, more }
}

#[tokio::test]
async fn store_that_refuses_a_whole_batch_is_suspected_and_no_report_is_refused() {
    let running = Running::start(SETTINGS, true);
    for number in 0..8 {
        running.store.refuse(&twilio_sid(number));
    }
    for outcome in submit_together(&running).await {
        assert_eq!(outcome.unwrap(), RecordedIn::Journal);
    }
    assert!(running.breaker.is_open());
    let replay = running.replay();
    assert!(matches!(replay.run().await, Err(ReplayError::Store(_))));
    running.store.refuse_none();
    while replay.run().await.unwrap().more {}
    assert_eq!(running.store.logged_reports(), 9);
}

#[tokio::test]
async fn locked_message_goes_to_the_journal_and_the_others_are_recorded() {
    let running = Running::start(SETTINGS, true);
    running.store.set_locked(&twilio_sid(3), true);
    let outcomes = submit_together(&running).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let expected = if number == 3 {
            RecordedIn::Journal
        } else {
            RecordedIn::Store(Effect::Advanced)
        };
        assert_eq!(outcome.unwrap(), expected, "{number}");
    }
    assert!(!running.breaker.is_open());
    running.store.set_locked(&twilio_sid(3), false);
    running.replay().run().await.unwrap();
    assert_eq!(running.store.logged_reports(), 9);
}

#[tokio::test]
async fn unavailable_store_spills_to_the_journal_which_is_replayed() {
    let running = Running::start(SETTINGS, true);
    running.store.set_unavailable(true);
    for number in 0..10 {
        let recorded = running.record(number).await.unwrap();
        assert_eq!(recorded, RecordedIn::Journal);
    }
    // The breaker is open after the first one: the store is not asked again.
    assert!(running.breaker.is_open());
    assert_eq!(running.store.record_calls(), 1);
    let replay = running.replay();
    assert!(matches!(replay.run().await, Err(ReplayError::Store(_))));
    assert!(running.breaker.is_open());

    running.store.set_unavailable(false);
    assert_eq!(replay.run().await.unwrap(), replayed(4, true));
    assert!(!running.breaker.is_open());
    // New reports go to the store while the journal is replayed.
    let recorded = running.record(50).await.unwrap();
    assert_eq!(recorded, RecordedIn::Store(Effect::Advanced));
    assert_eq!(replay.run().await.unwrap(), replayed(4, true));
    assert_eq!(replay.run().await.unwrap(), replayed(2, false));
    assert_eq!(replay.run().await.unwrap(), replayed(0, false));
    assert_eq!(running.store.logged_reports(), 11);
}

#[tokio::test]
async fn report_that_is_too_long_for_the_journal_is_refused_alone() {
    let running = Running::start(SETTINGS, true);
    running.store.set_unavailable(true);
    let value = "x".repeat(FIELDS_LENGTH_MAX);
    let long = report(&twilio_sid(1)).fields([("long", &*value)]).build();
    let reports = vec![numbered(0), long, numbered(2)];
    let recorded = running.queue.record_all(&twilio(), reports).await;
    let [Ok(first), Err(IngestError::Refused(refusal)), Ok(last)] = recorded.as_slice() else {
        panic!("{recorded:?}")
    };
    assert_eq!([first, last], [&RecordedIn::Journal; 2]);
    assert!(error_chain(refusal.as_ref()).contains("too long"));
    let kept: Vec<_> = running.journal.entries();
    let kept = kept.iter().map(|entry| entry.report.clone());
    assert_eq!(kept.collect::<Vec<_>>(), [numbered(0), numbered(2)]);
}

#[tokio::test]
async fn slow_store_spills_to_the_journal_within_the_deadline() {
    let running = Running::start(HASTY, true);
    running.store.set_paused(true);
    let began = Instant::now();
    let recorded = running.record(1).await.unwrap();
    assert_eq!(recorded, RecordedIn::Journal);
    assert!(began.elapsed() < Duration::from_secs(10));
    let recorded = running.record(2).await.unwrap();
    assert_eq!(recorded, RecordedIn::Journal);
    assert_eq!(running.store.record_calls(), 1);
}

#[tokio::test]
async fn batch_of_unknown_outcome_is_recorded_once() {
    let running = Running::start(SETTINGS, true);
    running.store.record(&[numbered(1)]).await.unwrap();
    running.store.set_unavailable(true);
    running.record(1).await.unwrap();
    running.store.set_unavailable(false);
    running.replay().run().await.unwrap();
    assert_eq!(running.store.logged_reports(), 1);
}

#[tokio::test]
async fn unavailable_store_and_full_journal_is_an_error() {
    let running = Running::start(SETTINGS, true);
    running.store.set_unavailable(true);
    running.journal.set_full(true);
    let outcome = running.record(1).await;
    assert!(matches!(outcome, Err(IngestError::Unavailable(_))));
    // With nothing in the journal to probe with, the store is asked.
    assert!(running.breaker.is_open());
    running.store.set_unavailable(false);
    running.replay().run().await.unwrap();
    assert!(!running.breaker.is_open());
    assert!(running.record(1).await.is_ok());
}

#[tokio::test]
async fn refused_report_in_the_journal_becomes_a_rejection() {
    let running = Running::start(SETTINGS, true);
    running.store.set_unavailable(true);
    for number in 0..4 {
        running.record(number).await.unwrap();
    }
    running.store.set_unavailable(false);
    running.store.refuse(&twilio_sid(2));
    assert_eq!(running.replay().run().await.unwrap(), replayed(4, false));
    assert_eq!(running.store.logged_reports(), 3);
    let page = running
        .store
        .list(None, None, domain::page::PageSize::default())
        .await
        .unwrap();
    let [stored] = page.items.as_slice() else {
        panic!("one rejection: {page:?}")
    };
    assert_eq!(stored.rejection.reason.as_str(), "refused_by_store");
    let shown = format!("{:?}", stored.rejection.fields);
    assert!(
        !shown.contains("15550100001") && shown.contains("***0001"),
        "{shown}"
    );
}
