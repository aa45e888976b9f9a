//! Writers that panic, and saturated queues.

use std::sync::Arc;
use std::time::Duration;

use domain::{Effect, IntegratorName, RejectionReason, ReportedStatus};
use ports::Metrics;
use ports::metrics::NoMetrics;
use testkit::builders::{report, twilio_sid};
use testkit::memory::{MemoryJournal, MemoryStore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use usecases::ingest::queue::{IngestError, IngestSettings, RecordedIn};
use usecases::{GroupCommitWriters, StoreCircuitBreaker};

/// Panics on each commit.
struct PanickingMetrics;

impl Metrics for PanickingMetrics {
    fn recorded(&self, _: &IntegratorName, _: &ReportedStatus, _: Effect) {}

    fn committed(&self, _: usize, _: Duration) {
        panic!("on purpose");
    }

    fn commit_failed(&self, _: usize) {}
    fn rejected(&self, _: RejectionReason) {}
    fn channels_known(&self, _: usize) {}
}

async fn assert_panic_ends_ingest(writers: usize) {
    let settings = IngestSettings {
        writers,
        ..IngestSettings::default()
    };
    let store = Arc::new(MemoryStore::new());
    let (queue, running) = GroupCommitWriters::new(store, Arc::new(PanickingMetrics), settings);
    let twilio = IntegratorName::parse("twilio").unwrap();
    let submit = async {
        // The waiting request is answered.
        let first = queue.record(&twilio, report(&twilio_sid(1)).build()).await;
        assert!(matches!(first, Err(IngestError::Overloaded)), "{first:?}");
    };
    let both = async { tokio::join!(running.run(), submit) };
    let (ended, ()) = timeout(Duration::from_secs(5), both).await.unwrap();
    assert!(ended.is_err());
}

#[tokio::test]
async fn panicked_writer_ends_ingest() {
    assert_panic_ends_ingest(1).await;
}

#[tokio::test]
async fn one_panicked_writer_of_several_ends_ingest() {
    assert_panic_ends_ingest(3).await;
}

/// Submits reports at once to a store that does not answer, with a journal.
async fn submit_to_stalled_store(reports: u64) -> Vec<Result<RecordedIn, IngestError>> {
    let settings = IngestSettings {
        queue: 64,
        batch: 4,
        deadline: Duration::from_mins(1),
        ..IngestSettings::default()
    };
    let store = MemoryStore::new();
    store.set_paused(true);
    let (queue, running) =
        GroupCommitWriters::new(Arc::new(store.clone()), Arc::new(NoMetrics), settings);
    let breaker = Arc::new(StoreCircuitBreaker::default());
    let mut tasks = JoinSet::new();
    let running = running.with_journal(Arc::new(MemoryJournal::default()), breaker);
    let twilio = IntegratorName::parse("twilio").unwrap();
    let depth = queue.depth();
    assert_eq!(depth.usage(), (0, 64));
    for number in 0..reports {
        let (queue, twilio) = (queue.clone(), twilio.clone());
        tasks.spawn(async move {
            queue
                .record(&twilio, report(&twilio_sid(number)).build())
                .await
        });
    }
    drop(queue);
    let answers = timeout(Duration::from_secs(5), async {
        let (ended, answers) = tokio::join!(running.run(), tasks.join_all());
        ended.unwrap();
        answers
    });
    let answers = answers.await.unwrap_or_default();
    assert!(
        answers.is_empty() || depth.usage() == (0, 0),
        "the handle does not keep the queue open"
    );
    answers
}

#[tokio::test]
async fn saturated_queue_spills_long_before_the_deadline() {
    let recorded = submit_to_stalled_store(40).await;
    assert_eq!(recorded.len(), 40);
    let journaled = |recorded: &Result<RecordedIn, _>| matches!(recorded, Ok(RecordedIn::Journal));
    assert!(recorded.iter().all(journaled), "{recorded:?}");
}

#[tokio::test]
async fn few_reports_wait_for_a_slow_store_until_the_deadline() {
    assert!(submit_to_stalled_store(20).await.is_empty());
}
