//! Group commit: requests hand over their reports and wait; a writer takes
//! whatever has queued, records it in one step and answers every one.
//!
//! There is no timer. While one batch is being committed the next one gathers,
//! so the batch grows with the load and a lone report waits for nobody.
//!
//! What the store does not take in time, or before the queue is half full, goes
//! to the journal, if there is one, and is answered when it is durable there.
//! Either way an answer comes within
//! the deadline and the time of one append.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Effect, IntegratorName, Report};
use ports::error::error_chain;
use ports::journal::JournalError;
use ports::reports::{Recorded, record_by_halves};
use ports::{Journal, JournalEntry, Metrics, ReportStore, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

pub use super::saturation::QueueSaturation;
use crate::log_limit::LogLimit;
use crate::{LogTailCache, StoreCircuitBreaker, Throttle};

/// How the intake is dimensioned.
#[derive(Clone, Copy, Debug)]
pub struct IngestSettings {
    /// How many reports may wait. Beyond that a report is refused at once.
    pub queue: usize,
    /// How many reports are recorded in one step at most.
    pub batch: usize,
    /// How many batches may be on their way to the store at a time.
    pub writers: usize,
    /// How long a report may wait for the store, queueing included.
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
pub enum Kept {
    /// In the store, and this is what it did.
    InStore(Effect),
    /// In the journal; what it does is known when the store is back.
    InJournal,
}

/// Why a report was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IngestError {
    /// Too many reports are waiting, or the service is stopping.
    #[error("too many reports are waiting")]
    Overloaded,
    /// Neither the store nor the journal took it.
    #[error("the report was not kept")]
    Unavailable(#[source] Arc<NotKept>),
    /// The store will never take the report.
    #[error("the store will never take the report")]
    Refused(#[source] Arc<StoreError>),
}

/// Why neither store nor journal took a batch.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The store failed, and there is no journal.
    #[error(transparent)]
    Store(StoreError),
    /// The store did not answer in time, and there is no journal.
    #[error("the store did not answer in time")]
    TooSlow,
    /// Another session holds the row of the message, and there is no journal.
    #[error("another session holds a lock on the row of the message")]
    Locked,
    /// The store is away, and the journal failed too.
    #[error(transparent)]
    Journal(JournalError),
}

/// A writer of the intake died: without it reports are recorded late, or not at all.
#[derive(Debug, thiserror::Error)]
#[error("a writer died")]
pub struct WriterDied(#[source] JoinError);

/// Where proven reports are handed over.
#[derive(Clone)]
pub struct IngestQueue {
    queue: mpsc::Sender<Waiting>,
}

/// A report on its way to the store, and who waits for it.
pub(super) struct Waiting {
    entry: JournalEntry,
    since: Instant,
    answer: oneshot::Sender<Result<Kept, IngestError>>,
}

/// The writers of an intake. They run until every [`IngestQueue`] is dropped and
/// whatever had queued is kept.
pub struct GroupCommitWriters {
    queue: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    backlog: QueueSaturation,
    store: Arc<dyn ReportStore>,
    journal: Option<Arc<dyn Journal>>,
    log: Option<Arc<LogTailCache>>,
    throttle: Option<Arc<Throttle>>,
    gate: Arc<StoreCircuitBreaker>,
    observer: Arc<dyn Metrics>,
    settings: IngestSettings,
    commit_lines: LogLimit,
    refusal_lines: LogLimit,
}

impl IngestQueue {
    /// An intake and its writers, which somebody has to [`GroupCommitWriters::run`].
    #[must_use]
    pub fn new(
        store: Arc<dyn ReportStore>,
        observer: Arc<dyn Metrics>,
        settings: IngestSettings,
    ) -> (Self, GroupCommitWriters) {
        let (queue, waiting) = mpsc::channel(settings.queue.max(1));
        let queue_end = Arc::new(Mutex::new(waiting));
        let gate = Arc::default();
        let writers = GroupCommitWriters {
            queue: queue_end,
            backlog: QueueSaturation::of(&queue),
            store,
            journal: None,
            log: None,
            throttle: None,
            gate,
            observer,
            settings,
            commit_lines: LogLimit::default(),
            refusal_lines: LogLimit::default(),
        };
        (Self { queue }, writers)
    }

    /// Says how many reports wait.
    #[must_use]
    pub fn backlog(&self) -> QueueSaturation {
        QueueSaturation::of(&self.queue)
    }

    /// Keeps a report and returns when it is durable.
    pub async fn record(
        &self,
        integrator: &IntegratorName,
        report: Report,
    ) -> Result<Kept, IngestError> {
        let (answer, answered) = oneshot::channel();
        let entry = JournalEntry {
            integrator: integrator.clone(),
            report,
        };
        let waiting = Waiting {
            entry,
            since: Instant::now(),
            answer,
        };
        self.queue
            .try_send(waiting)
            .map_err(|_| IngestError::Overloaded)?;
        answered.await.unwrap_or(Err(IngestError::Overloaded))
    }
}

impl GroupCommitWriters {
    /// Keeps what the store does not take in time in `journal`. `gate` says to
    /// whoever shares it whether the store is away.
    #[must_use]
    pub fn with_journal(
        mut self,
        journal: Arc<dyn Journal>,
        gate: Arc<StoreCircuitBreaker>,
    ) -> Self {
        self.journal = Some(journal);
        self.gate = gate;
        self
    }

    /// Tells those who follow `log` when there is something new.
    #[must_use]
    pub fn telling(mut self, log: Arc<LogTailCache>) -> Self {
        self.log = Some(log);
        self
    }

    /// Throttles event delivery while many reports are queued.
    #[must_use]
    pub fn throttling(mut self, throttle: Arc<Throttle>) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// Keeps what is handed over until every [`IngestQueue`] is dropped. Returns earlier if a writer
    /// dies; others go on, but nobody should count on them.
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
        let mut batch = Vec::with_capacity(self.settings.batch);
        loop {
            // One writer gathers, the others record or wait for their turn.
            let taken = {
                let mut queue = self.queue.lock().await;
                queue
                    .recv_many(&mut batch, self.settings.batch.max(1))
                    .await
            };
            if taken == 0 {
                return;
            }
            if let Some(throttle) = &self.throttle {
                let now = Instant::now().into();
                let throttled = throttle.batch_taken(taken, self.settings.batch, now);
                if !throttled.is_zero() {
                    self.observer.pushing_slowed(throttled);
                }
            }
            self.keep(std::mem::take(&mut batch)).await;
        }
    }

    /// Keeps a batch and answers everybody who waits for it.
    async fn keep(&self, batch: Vec<Waiting>) {
        let Some(oldest) = batch.iter().map(|waiting| waiting.since).min() else {
            return;
        };
        // One allocation for the reports alone: the store wants them side by side.
        let mut reports = Vec::with_capacity(batch.len());
        let mut callers = Vec::with_capacity(batch.len());
        for Waiting { entry, answer, .. } in batch {
            callers.push((entry.integrator, answer));
            reports.push(entry.report);
        }
        match self.record(&reports, oldest).await {
            Ok(outcomes) => self.answer(reports, callers, outcomes).await,
            Err(not_kept) => self.divert(reports, callers, not_kept).await,
        }
    }

    /// Answers the callers of a batch. Reports whose messages another session
    /// holds go to the journal; the others do not wait for them.
    async fn answer(&self, reports: Vec<Report>, callers: Vec<Caller>, outcomes: Vec<Recorded>) {
        let (mut locked, mut waiting) = (Vec::new(), Vec::new());
        for (((integrator, answer), report), outcome) in
            callers.into_iter().zip(reports).zip(outcomes)
        {
            let kept = match outcome {
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
                    self.observer.recorded(&integrator, &report.status, effect);
                    Ok(Kept::InStore(effect))
                }
                Recorded::Refused(error) => Err(IngestError::Refused(Arc::new(error))),
                Recorded::Locked => {
                    locked.push(report);
                    waiting.push((integrator, answer));
                    continue;
                }
            };
            // Whoever waited may have gone; the report is kept all the same.
            let _ = answer.send(kept);
        }
        if !locked.is_empty() {
            self.divert(locked, waiting, NotKept::Locked).await;
        }
    }

    /// Records a batch within what is left of the deadline of its oldest report.
    async fn record(&self, reports: &[Report], oldest: Instant) -> Result<Vec<Recorded>, NotKept> {
        let left = self.settings.deadline.saturating_sub(oldest.elapsed());
        let has_journal = self.journal.is_some();
        // With a journal, a batch that is late already has no time to lose; the
        // store is alive but cannot keep up, so the gate stays as it is.
        if has_journal && (self.gate.is_away() || left < self.settings.deadline / 2) {
            return Err(NotKept::TooSlow);
        }
        let left = if has_journal {
            left
        } else {
            self.settings.deadline
        };
        let began = Instant::now();
        let recording = record_by_halves(self.store.as_ref(), reports);
        let recording = tokio::time::timeout(left, recording);
        let recorded = tokio::select! {
            recorded = recording => recorded.ok(),
            () = self.backlog.crowds(), if has_journal => None,
        };
        match recorded {
            // One refused report is at fault itself; when all of several are, the store may be.
            Some(Ok(outcomes)) if outcomes.len() > 1 && Recorded::are_all_refused(&outcomes) => {
                self.observer.commit_failed(reports.len());
                let why = suspect(&outcomes);
                tracing::error!(
                    reports = reports.len(),
                    error = %error_chain(&why),
                    "the store refused every report of a batch; the store itself is suspected"
                );
                if has_journal {
                    self.gate.failed();
                }
                Err(NotKept::Store(why))
            }
            Some(Ok(outcomes)) => {
                if outcomes
                    .iter()
                    .any(|outcome| matches!(outcome, Recorded::Durable(_)))
                {
                    self.gate.recorded();
                } else {
                    self.gate.worked();
                }
                self.observer.committed(reports.len(), began.elapsed());
                if let Some(log) = &self.log {
                    log.recorded();
                }
                Ok(outcomes)
            }
            Some(Err(error)) => {
                self.observer.commit_failed(reports.len());
                if let Some(left_out) = self.commit_lines.allow(Instant::now()) {
                    tracing::warn!(reports = reports.len(), error = %error_chain(&error), left_out, "the store did not take a batch");
                }
                if has_journal {
                    self.gate.failed();
                }
                Err(NotKept::Store(error))
            }
            None => {
                self.observer.commit_failed(reports.len());
                if let Some(left_out) = self.commit_lines.allow(Instant::now()) {
                    tracing::warn!(
                        reports = reports.len(),
                        left_out,
                        "the store did not take a batch in time"
                    );
                }
                if has_journal {
                    self.gate.failed();
                }
                Err(NotKept::TooSlow)
            }
        }
    }

    /// Keeps in the journal what the store did not take. Whether the store took
    /// it all the same, after the deadline, does not matter: recording twice is
    /// harmless.
    async fn divert(&self, reports: Vec<Report>, callers: Vec<Caller>, not_kept: NotKept) {
        let count = reports.len();
        let (integrators, answers): (Vec<_>, Vec<_>) = callers.into_iter().unzip();
        let outcome = match &self.journal {
            None => Err(not_kept),
            Some(journal) => {
                let entries: Vec<_> = integrators
                    .into_iter()
                    .zip(reports)
                    .map(|(integrator, report)| JournalEntry { integrator, report })
                    .collect();
                journal.append(&entries).await.map_err(NotKept::Journal)
            }
        };
        let outcome = match outcome {
            Ok(()) => {
                self.observer.journaled(count);
                Ok(Kept::InJournal)
            }
            Err(error) => {
                if let Some(left_out) = self.refusal_lines.allow(Instant::now()) {
                    tracing::error!(reports = count, error = %error_chain(&error), left_out, "reports were refused: nothing could keep them");
                }
                Err(IngestError::Unavailable(Arc::new(error)))
            }
        };
        for answer in answers {
            let _ = answer.send(outcome.clone());
        }
    }
}

type Caller = (IntegratorName, oneshot::Sender<Result<Kept, IngestError>>);

/// The error of a store that refused all of these reports.
pub(crate) fn suspect(outcomes: &[Recorded]) -> StoreError {
    let refusal = outcomes.iter().find_map(|outcome| match outcome {
        Recorded::Refused(error) => Some(error_chain(error)),
        Recorded::Durable(_) | Recorded::Locked => None,
    });
    StoreError::Unavailable(refusal.unwrap_or_default().into())
}
