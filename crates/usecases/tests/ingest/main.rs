//! Ingest: group commit, spilling to the journal, and replaying it.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod group_commit;
mod journal_replay;
mod spill;
mod writers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{IntegratorName, Report};
use ports::metrics::NoMetrics;
use testkit::builders::{report, twilio_sid};
use testkit::memory::{MemoryJournal, MemoryStore};
use tokio::task::JoinHandle;
use usecases::ingest::group_commit::WriterDied;
use usecases::ingest::queue::{IngestError, IngestSettings, RecordedIn};
use usecases::{GroupCommitWriters, IngestQueue, ReplayJournal, StoreCircuitBreaker};

pub(crate) const SETTINGS: IngestSettings = IngestSettings {
    queue: 64,
    batch: 16,
    writers: 1,
    deadline: Duration::from_secs(30),
};

/// For tests with a store that does not answer.
pub(crate) const HASTY: IngestSettings = IngestSettings {
    deadline: Duration::from_millis(200),
    ..SETTINGS
};

pub(crate) fn twilio() -> IntegratorName {
    IntegratorName::parse("twilio").unwrap()
}

pub(crate) fn numbered(number: u64) -> Report {
    report(&twilio_sid(number)).build()
}

/// An ingest queue on a memory store, with running writers.
pub(crate) struct Running {
    pub(crate) store: MemoryStore,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) breaker: Arc<StoreCircuitBreaker>,
    pub(crate) queue: IngestQueue,
    pub(crate) writers: JoinHandle<Result<(), WriterDied>>,
}

impl Running {
    pub(crate) fn start(settings: IngestSettings, with_journal: bool) -> Self {
        let store = MemoryStore::new();
        let journal = Arc::new(MemoryJournal::default());
        let breaker = Arc::new(StoreCircuitBreaker::default());
        let (queue, writers) =
            GroupCommitWriters::new(Arc::new(store.clone()), Arc::new(NoMetrics), settings);
        let writers = if with_journal {
            writers.with_journal(journal.clone(), breaker.clone())
        } else {
            writers
        };
        Self {
            store,
            journal,
            breaker,
            queue,
            writers: spawn(writers.run()),
        }
    }

    pub(crate) async fn record(&self, number: u64) -> Result<RecordedIn, IngestError> {
        self.queue.record(&twilio(), numbered(number)).await
    }

    pub(crate) fn submit(&self, number: u64) -> JoinHandle<Result<RecordedIn, IngestError>> {
        let queue = self.queue.clone();
        spawn(async move { queue.record(&twilio(), numbered(number)).await })
    }

    pub(crate) fn replay(&self) -> ReplayJournal {
        ReplayJournal::new(
            self.journal.clone(),
            Arc::new(self.store.clone()),
            Arc::new(self.store.clone()),
            self.breaker.clone(),
            Arc::new(NoMetrics),
            4,
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "tests await what they start")]
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Waits until a condition holds, five seconds at most.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "waited for: {what}"
        );
        tokio::task::yield_now().await;
    }
}

/// Submits eight reports that are recorded in one batch, and returns their outcomes.
pub(crate) async fn submit_together(running: &Running) -> Vec<Result<RecordedIn, IngestError>> {
    running.store.set_paused(true);
    let first = running.submit(99);
    until("the first commit", || running.store.record_calls() == 1).await;
    let waiting: Vec<_> = (0..8).map(|number| running.submit(number)).collect();
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    running.store.set_paused(false);
    first.await.unwrap().unwrap();
    let mut outcomes = Vec::new();
    for each in waiting {
        outcomes.push(each.await.unwrap());
    }
    outcomes
}
