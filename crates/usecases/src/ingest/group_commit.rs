//! Group commit: a writer takes all queued reports, records them in one batch, and answers the
//! requests that wait for them.
//!
//! There is no timer. While one batch is being committed the next one accumulates, so batches grow
//! with the load and a single report does not wait.
//!
//! A batch that the store does not record in time, or before the queue is half full, is spilled to
//! the journal, if there is one. So every request is answered within the deadline plus the time of
//! one append.

use std::sync::Arc;
use std::time::Instant;

use crate::ingest::bisect::{Recorded, record_bisecting};
use domain::{IntegratorName, Report};
use ports::error::error_chain;
use ports::{Journal, JournalEntry, Metrics, ReportStore, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument as _;

use crate::delivery::throttle::Throttle;
use crate::events::tail_cache::LogTailCache;
use crate::ingest::circuit_breaker::StoreCircuitBreaker;
use crate::ingest::queue::{
    BatchFailure, IngestError, IngestQueue, IngestSettings, QueueDepth, QueuedReport, RecordedIn,
};
use crate::log_limit::LogLimit;

/// A writer panicked: reports are recorded late from now on, or not at all.
#[derive(Debug, thiserror::Error)]
#[error("a group-commit writer panicked")]
pub struct WriterDied(#[source] JoinError);

/// The writers of an ingest queue. They run until every [`IngestQueue`] is dropped and all queued
/// reports are recorded.
pub struct GroupCommitWriters {
    reports: Mutex<mpsc::Receiver<QueuedReport>>,
    depth: QueueDepth,
    store: Arc<dyn ReportStore>,
    journal: Option<Arc<dyn Journal>>,
    log: Option<Arc<LogTailCache>>,
    throttle: Option<Arc<Throttle>>,
    breaker: Arc<StoreCircuitBreaker>,
    metrics: Arc<dyn Metrics>,
    settings: IngestSettings,
    commit_lines: LogLimit,
    refusal_lines: LogLimit,
}

impl GroupCommitWriters {
    /// Creates a queue and its writers, which have to be [run](GroupCommitWriters::run).
    #[must_use]
    pub fn new(
        store: Arc<dyn ReportStore>,
        metrics: Arc<dyn Metrics>,
        settings: IngestSettings,
    ) -> (IngestQueue, Self) {
        let (queue, reports) = IngestQueue::new(settings.queue);
        let writers = Self {
            reports: Mutex::new(reports),
            depth: queue.depth(),
            store,
            journal: None,
            log: None,
            throttle: None,
            breaker: Arc::default(),
            metrics,
            settings,
            commit_lines: LogLimit::default(),
            refusal_lines: LogLimit::default(),
        };
        (queue, writers)
    }

    /// Spills batches to `journal` that the store does not record in time. `breaker` is shared with
    /// the replay of the journal.
    #[must_use]
    pub fn with_journal(
        mut self,
        journal: Arc<dyn Journal>,
        breaker: Arc<StoreCircuitBreaker>,
    ) -> Self {
        self.journal = Some(journal);
        self.breaker = breaker;
        self
    }

    /// Notifies the readers of `log` of each commit.
    #[must_use]
    pub fn notifying(mut self, log: Arc<LogTailCache>) -> Self {
        self.log = Some(log);
        self
    }

    /// Throttles event delivery while many reports are queued.
    #[must_use]
    pub fn throttling(mut self, throttle: Arc<Throttle>) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// Records queued reports until every [`IngestQueue`] is dropped. Returns early if a writer
    /// panics; the others continue, but the process should stop.
    pub async fn run(self) -> Result<(), WriterDied> {
        let this = Arc::new(self);
        let mut writers = JoinSet::new();
        for _ in 0..this.settings.writers.max(1) {
            writers.spawn(Arc::clone(&this).write());
        }
        drop(this);
        while let Some(ended) = writers.join_next().await {
            if let Err(error) = ended {
                writers.detach_all();
                return Err(WriterDied(error));
            }
        }
        Ok(())
    }

    async fn write(self: Arc<Self>) {
        let max_batch = self.settings.batch.max(1);
        let mut batch = Vec::with_capacity(max_batch);
        loop {
            // One writer collects a batch while the others record theirs.
            let taken = {
                let mut reports = self.reports.lock().await;
                reports.recv_many(&mut batch, max_batch).await
            };
            if taken == 0 {
                return;
            }
            if let Some(throttle) = &self.throttle {
                let throttled = throttle.batch_taken(taken, max_batch, Instant::now().into());
                if !throttled.is_zero() {
                    self.metrics.delivery_throttled(throttled);
                }
            }
            let span = tracing::debug_span!("ingest_batch", reports = taken);
            self.commit(std::mem::take(&mut batch))
                .instrument(span)
                .await;
        }
    }

    /// Records a batch and answers its requests.
    async fn commit(&self, batch: Vec<QueuedReport>) {
        let Some(oldest) = batch.iter().map(|queued| queued.since).min() else {
            return;
        };
        // The store needs the reports in one slice.
        let mut reports = Vec::with_capacity(batch.len());
        let mut callers = Vec::with_capacity(batch.len());
        for QueuedReport { entry, answer, .. } in batch {
            callers.push((entry.integrator, answer));
            reports.push(entry.report);
        }
        match self.record(&reports, oldest).await {
            Ok(outcomes) => self.answer(reports, callers, outcomes).await,
            Err(failure) => self.spill(reports, callers, failure).await,
        }
    }

    /// Answers the callers of a batch. Reports of messages that another session has locked are
    /// spilled to the journal; the others do not wait for them.
    async fn answer(&self, reports: Vec<Report>, callers: Vec<Caller>, outcomes: Vec<Recorded>) {
        let (mut locked, mut waiting) = (Vec::new(), Vec::new());
        for (((integrator, answer), report), outcome) in
            callers.into_iter().zip(reports).zip(outcomes)
        {
            let recorded = match outcome {
                Recorded::Durable(effect) => {
                    // `serve --demo` shows these lines.
                    tracing::debug!(
                        target: "usecases::received",
                        channel = %report.key.channel,
                        message = %report.key.sid,
                        status = %report.status,
                        effect = effect.as_str(),
                        "received a report"
                    );
                    self.metrics.recorded(&integrator, &report.status, effect);
                    Ok(RecordedIn::Store(effect))
                }
                Recorded::Refused(error) => Err(IngestError::Refused(Arc::new(error))),
                Recorded::Locked => {
                    locked.push(report);
                    waiting.push((integrator, answer));
                    continue;
                }
            };
            // The request may have been cancelled; its report is durable all the same.
            let _ = answer.send(recorded);
        }
        if !locked.is_empty() {
            self.spill(locked, waiting, BatchFailure::Locked).await;
        }
    }

    /// Records a batch in the store, within what is left of the deadline of its oldest report.
    async fn record(
        &self,
        reports: &[Report],
        oldest: Instant,
    ) -> Result<Vec<Recorded>, BatchFailure> {
        let has_journal = self.journal.is_some();
        let mut left = self.settings.deadline;
        if has_journal {
            left = left.saturating_sub(oldest.elapsed());
            // The store is alive but cannot keep up with this batch: the breaker stays closed.
            if self.breaker.is_open() || left < self.settings.deadline / 2 {
                return Err(BatchFailure::TooSlow);
            }
        }
        let began = Instant::now();
        let recording = record_bisecting(self.store.as_ref(), reports);
        let recorded = tokio::select! {
            recorded = tokio::time::timeout(left, recording) => recorded.ok(),
            () = self.depth.saturated(), if has_journal => None,
        };
        let failure = match recorded {
            // One refused report is at fault itself; if all of several are, the store may be.
            Some(Ok(outcomes)) if outcomes.len() > 1 && Recorded::are_all_refused(&outcomes) => {
                let error = suspect(&outcomes);
                tracing::error!(
                    reports = reports.len(),
                    error = %error_chain(&error),
                    "the store refused every report of a batch; the store itself is suspected"
                );
                BatchFailure::Store(error)
            }
            Some(Ok(outcomes)) => {
                self.breaker.answered(&outcomes);
                self.metrics.committed(reports.len(), began.elapsed());
                if let Some(log) = &self.log {
                    log.notify();
                }
                return Ok(outcomes);
            }
            Some(Err(error)) => {
                if let Some(left_out) = self.commit_lines.allow(Instant::now()) {
                    tracing::warn!(
                        reports = reports.len(),
                        error = %error_chain(&error),
                        left_out,
                        "the store did not record a batch"
                    );
                }
                BatchFailure::Store(error)
            }
            None => {
                if let Some(left_out) = self.commit_lines.allow(Instant::now()) {
                    tracing::warn!(
                        reports = reports.len(),
                        left_out,
                        "the store did not record a batch in time"
                    );
                }
                BatchFailure::TooSlow
            }
        };
        self.metrics.commit_failed(reports.len());
        if has_journal {
            self.breaker.trip();
        }
        Err(failure)
    }

    /// Appends a batch to the journal. The store may have committed it all the same, after the
    /// deadline: recording a report twice is harmless. Reports that are too long for the journal
    /// are refused alone.
    async fn spill(&self, reports: Vec<Report>, callers: Vec<Caller>, failure: BatchFailure) {
        let count = reports.len();
        let (integrators, answers): (Vec<_>, Vec<_>) = callers.into_iter().unzip();
        let outcome = match &self.journal {
            None => Err(failure),
            Some(journal) => {
                let entries: Vec<_> = integrators
                    .into_iter()
                    .zip(reports)
                    .map(|(integrator, report)| JournalEntry { integrator, report })
                    .collect();
                let appended = journal.append(&entries).await;
                appended.map_err(BatchFailure::Journal)
            }
        };
        let (outcome, too_long) = match outcome {
            Ok(too_long) => {
                self.metrics.journaled(count - too_long.len());
                (Ok(RecordedIn::Journal), too_long)
            }
            Err(error) => {
                if let Some(left_out) = self.refusal_lines.allow(Instant::now()) {
                    tracing::error!(
                        reports = count,
                        error = %error_chain(&error),
                        left_out,
                        "reports were refused: neither the store nor the journal recorded them"
                    );
                }
                (Err(IngestError::Unavailable(Arc::new(error))), Vec::new())
            }
        };
        for (index, answer) in answers.into_iter().enumerate() {
            let is_too_long = too_long.binary_search(&index).is_ok();
            let _ = answer.send(if is_too_long {
                Err(too_long_for_the_journal())
            } else {
                outcome.clone()
            });
        }
    }
}

type Caller = (
    IntegratorName,
    oneshot::Sender<Result<RecordedIn, IngestError>>,
);

/// Returns the error of a report that no store accepts either, because it is too long.
fn too_long_for_the_journal() -> IngestError {
    IngestError::Refused(Arc::new(StoreError::Rejected {
        what: "report",
        source: "it is too long for the journal".into(),
    }))
}

/// Returns the error of a store that refused all of these reports.
pub(crate) fn suspect(outcomes: &[Recorded]) -> StoreError {
    let refusal = outcomes.iter().find_map(|outcome| match outcome {
        Recorded::Refused(error) => Some(error_chain(error)),
        Recorded::Durable(_) | Recorded::Locked => None,
    });
    StoreError::Unavailable(refusal.unwrap_or_default().into())
}
