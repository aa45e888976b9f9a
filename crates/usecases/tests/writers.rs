//! Writers of the intake that die, or have more to do than they can.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use domain::{Effect, IntegratorName, RejectionReason, ReportedStatus};
use ports::Metrics;
use ports::metrics::NoMetrics;
use testkit::builders::{report, twilio_sid};
use testkit::memory::{MemoryJournal, MemoryStore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use usecases::ingest::group_commit::{IngestError, IngestSettings, Kept};
use usecases::{IngestQueue, StoreCircuitBreaker};

/// Does not survive what it sees.
struct Fragile;

impl Metrics for Fragile {
    fn recorded(&self, _: &IntegratorName, _: &ReportedStatus, _: Effect) {}

    fn committed(&self, _: usize, _: Duration) {
        panic!("on purpose");
    }

    fn commit_failed(&self, _: usize) {}
    fn rejected(&self, _: RejectionReason) {}
    fn channels_known(&self, _: usize) {}
}

async fn what_becomes_of(writers: usize) {
    let settings = IngestSettings {
        writers,
        ..IngestSettings::default()
    };
    let store = Arc::new(MemoryStore::new());
    let (intake, running) = IngestQueue::new(store, Arc::new(Fragile), settings);
    let twilio = IntegratorName::parse("twilio").unwrap();
    let take = async {
        // Whoever waited is told, so that he does not wait for ever.
        let first = intake.record(&twilio, report(&twilio_sid(1)).build()).await;
        assert!(matches!(first, Err(IngestError::Overloaded)), "{first:?}");
    };
    let both = async { tokio::join!(running.run(), take) };
    let (ended, ()) = timeout(Duration::from_secs(5), both).await.unwrap();
    assert!(ended.is_err());
}

#[tokio::test]
async fn a_writer_that_dies_is_noticed_at_once() {
    what_becomes_of(1).await;
}

#[tokio::test]
async fn one_of_several_writers_that_dies_is_noticed_while_the_others_live() {
    what_becomes_of(3).await;
}

/// A store that does not answer, and a journal; so many reports come at once.
async fn kept_of_crowd(reports: u64) -> Vec<Result<Kept, IngestError>> {
    let settings = IngestSettings {
        queue: 64,
        batch: 4,
        deadline: Duration::from_mins(1),
        ..IngestSettings::default()
    };
    let store = MemoryStore::new();
    store.set_paused(true);
    let (intake, running) =
        IngestQueue::new(Arc::new(store.clone()), Arc::new(NoMetrics), settings);
    let gate = Arc::new(StoreCircuitBreaker::default());
    let mut tasks = JoinSet::new();
    let running = running.with_journal(Arc::new(MemoryJournal::default()), gate);
    let twilio = IntegratorName::parse("twilio").unwrap();
    let backlog = intake.backlog();
    assert_eq!(backlog.usage(), (0, 64));
    for number in 0..reports {
        let (intake, twilio) = (intake.clone(), twilio.clone());
        tasks.spawn(async move {
            intake
                .record(&twilio, report(&twilio_sid(number)).build())
                .await
        });
    }
    drop(intake);
    let answers = timeout(Duration::from_secs(5), async {
        let (ended, answers) = tokio::join!(running.run(), tasks.join_all());
        ended.unwrap();
        answers
    });
    let answers = answers.await.unwrap_or_default();
    assert!(
        answers.is_empty() || backlog.usage() == (0, 0),
        "it is not kept open"
    );
    answers
}

#[tokio::test]
async fn a_crowd_behind_a_slow_batch_goes_to_the_journal_long_before_the_deadline() {
    let kept = kept_of_crowd(40).await;
    assert_eq!(kept.len(), 40);
    let journaled = |kept: &Result<Kept, _>| matches!(kept, Ok(Kept::InJournal));
    assert!(kept.iter().all(journaled), "{kept:?}");
}

#[tokio::test]
async fn a_few_wait_for_a_slow_store_until_the_deadline() {
    assert!(kept_of_crowd(20).await.is_empty());
}
