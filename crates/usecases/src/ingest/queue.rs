//! The ingest queue: requests put their reports here and wait until they are durable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Effect, IntegratorName, Report};
use ports::journal::JournalError;
use ports::{JournalEntry, StoreError};
use tokio::sync::{mpsc, oneshot};

/// Sizes and times of ingest.
#[derive(Clone, Copy, Debug)]
pub struct IngestSettings {
    /// Reports that may be queued; further ones are refused immediately.
    pub queue: usize,
    /// Reports per batch, at most.
    pub batch: usize,
    /// Batches that may be written to the store concurrently.
    pub writers: usize,
    /// How long a report may wait for the store, including its time in the queue.
    pub deadline: Duration,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            queue: 4_096,
            batch: 256,
            writers: 1,
            deadline: Duration::from_secs(5),
        }
    }
}

/// Where a report is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedIn {
    /// In the store, with this effect on its message.
    Store(Effect),
    /// In the journal; its effect is known when the journal is replayed.
    Journal,
}

/// Why a report was not recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IngestError {
    /// The queue is full, or the service is stopping.
    #[error("too many reports are waiting")]
    Overloaded,
    /// Neither the store nor the journal recorded the report.
    #[error("the report was not recorded")]
    Unavailable(#[source] Arc<BatchFailure>),
    /// The store will never accept the report.
    #[error("the store will never accept the report")]
    Refused(#[source] Arc<StoreError>),
}

/// Why a batch was recorded neither in the store nor in the journal.
#[derive(Debug, thiserror::Error)]
pub enum BatchFailure {
    /// The store failed, and there is no journal.
    #[error(transparent)]
    Store(StoreError),
    /// The store did not answer in time, and there is no journal.
    #[error("the store did not answer in time")]
    TooSlow,
    /// Another session holds the row of the message, and there is no journal.
    #[error("another session holds a lock on the row of the message")]
    Locked,
    /// The store is unavailable, and the journal failed too.
    #[error(transparent)]
    Journal(JournalError),
}

/// Accepts reports of authenticated callers.
#[derive(Clone)]
pub struct IngestQueue(mpsc::Sender<QueuedReport>);

/// A report, and the channel that its request waits on.
pub(super) struct QueuedReport {
    pub(super) entry: JournalEntry,
    pub(super) since: Instant,
    pub(super) answer: oneshot::Sender<Result<RecordedIn, IngestError>>,
}

impl QueuedReport {
    /// Returns a report to enqueue, and where its result arrives.
    fn new(
        integrator: &IntegratorName,
        report: Report,
    ) -> (Self, oneshot::Receiver<Result<RecordedIn, IngestError>>) {
        let (answer, answered) = oneshot::channel();
        let entry = JournalEntry {
            integrator: integrator.clone(),
            report,
        };
        let queued = Self {
            entry,
            since: Instant::now(),
            answer,
        };
        (queued, answered)
    }
}

impl IngestQueue {
    /// Creates a queue of at most `size` reports, and its receiving end.
    pub(super) fn new(size: usize) -> (Self, mpsc::Receiver<QueuedReport>) {
        let (queue, reports) = mpsc::channel(size.max(1));
        (Self(queue), reports)
    }

    /// Returns a handle that reads the queue's depth.
    #[must_use]
    pub fn depth(&self) -> QueueDepth {
        QueueDepth(self.0.downgrade())
    }

    /// Enqueues a report and returns when it is durable.
    pub async fn record(
        &self,
        integrator: &IntegratorName,
        report: Report,
    ) -> Result<RecordedIn, IngestError> {
        let (queued, answered) = QueuedReport::new(integrator, report);
        self.0
            .try_send(queued)
            .map_err(|_| IngestError::Overloaded)?;
        answered.await.unwrap_or(Err(IngestError::Overloaded))
    }

    /// Enqueues the reports of one request together and returns when all are durable, with the
    /// result of each. A request takes at most a quarter of the queue at a time: one that is larger
    /// than the queue is recorded in parts, and leaves room for others.
    pub async fn record_all(
        &self,
        integrator: &IntegratorName,
        mut reports: Vec<Report>,
    ) -> Vec<Result<RecordedIn, IngestError>> {
        if reports.len() == 1
            && let Some(report) = reports.pop()
        {
            return vec![self.record(integrator, report).await];
        }
        let part = (self.0.max_capacity() / 4).max(1);
        let mut results = Vec::with_capacity(reports.len());
        let mut reports = reports.into_iter();
        while reports.len() > 0 {
            let Ok(places) = self.0.try_reserve_many(part.min(reports.len())) else {
                results.extend(reports.map(|_| Err(IngestError::Overloaded)));
                break;
            };
            let mut answers = Vec::with_capacity(part);
            // The shorter one goes first: `zip` takes from it before it finds the other one empty.
            for (place, report) in places.zip(&mut reports) {
                let (queued, answered) = QueuedReport::new(integrator, report);
                place.send(queued);
                answers.push(answered);
            }
            for answered in answers {
                results.push(answered.await.unwrap_or(Err(IngestError::Overloaded)));
            }
        }
        results
    }
}

/// After this time in a batch, queue saturation is checked. Many reports may arrive at once
/// without the store being slow.
const SATURATION_CHECK_DELAY: Duration = Duration::from_millis(100);

/// How often queue saturation is checked from then on.
const SATURATION_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Reads the depth of an ingest queue, without keeping the queue open.
#[derive(Clone)]
pub struct QueueDepth(mpsc::WeakSender<QueuedReport>);

impl QueueDepth {
    /// Returns the queued reports and the capacity; zeros once the queue is closed.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        self.0.upgrade().map_or((0, 0), |queue| {
            let capacity = queue.max_capacity();
            (capacity - queue.capacity(), capacity)
        })
    }

    fn is_half_full(&self) -> bool {
        let (queued, capacity) = self.usage();
        capacity > 0 && queued >= capacity.div_ceil(2)
    }

    /// Returns when so many reports queue behind a batch that others would soon be refused. With
    /// a journal, the batch is spilled then instead of waiting for its deadline.
    pub(super) async fn saturated(&self) {
        tokio::time::sleep(SATURATION_CHECK_DELAY).await;
        while !self.is_half_full() {
            tokio::time::sleep(SATURATION_CHECK_INTERVAL).await;
        }
    }
}
