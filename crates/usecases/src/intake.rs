//! Group commit: requests hand over their reports and wait; a writer takes
//! whatever has queued, records it in one step and answers every one.
//!
//! There is no timer. While one batch is being committed the next one gathers,
//! so the batch grows with the load and a lone report waits for nobody.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Effect, IntegratorName, Report};
use ports::reports::{Recorded, record_by_halves};
use ports::{Observer, ReportStore, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};

/// How the intake is dimensioned.
#[derive(Clone, Copy, Debug)]
pub struct IntakeSettings {
    /// How many reports may wait. Beyond that a report is refused at once.
    pub queue: usize,
    /// How many reports are recorded in one step at most.
    pub batch: usize,
    /// How many batches may be on their way to the store at a time.
    pub writers: usize,
    /// How long recording a batch may take.
    pub deadline: Duration,
}

impl Default for IntakeSettings {
    fn default() -> Self {
        Self {
            queue: 8_192,
            batch: 256,
            writers: 1,
            deadline: Duration::from_secs(5),
        }
    }
}

/// Why a report was not recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IntakeError {
    /// Too many reports are waiting, or the service is stopping.
    #[error("too many reports are waiting")]
    Overloaded,
    /// The store is away or too slow.
    #[error("the store did not take the report")]
    Unavailable(#[source] Arc<StoreError>),
    /// The store did not take the report within the deadline.
    #[error("the store did not take the report in time")]
    TooSlow,
    /// The store will never take the report.
    #[error("the store will never take the report")]
    Refused(#[source] Arc<StoreError>),
}

/// Where proven reports are handed over.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
}

/// A report on its way to the store, and who waits for it.
struct Waiting {
    report: Report,
    integrator: IntegratorName,
    answer: oneshot::Sender<Result<Effect, IntakeError>>,
}

/// The writers of an intake. They run until every [`Intake`] is dropped and
/// whatever had queued is recorded.
pub struct IntakeWriters {
    queue: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    store: Arc<dyn ReportStore>,
    observer: Arc<dyn Observer>,
    settings: IntakeSettings,
}

impl Intake {
    /// An intake and its writers, which somebody has to [`IntakeWriters::run`].
    #[must_use]
    pub fn new(
        store: Arc<dyn ReportStore>,
        observer: Arc<dyn Observer>,
        settings: IntakeSettings,
    ) -> (Self, IntakeWriters) {
        let (queue, waiting) = mpsc::channel(settings.queue.max(1));
        let queue_end = Arc::new(Mutex::new(waiting));
        (
            Self { queue },
            IntakeWriters {
                queue: queue_end,
                store,
                observer,
                settings,
            },
        )
    }

    /// Records a report and returns when it is durable.
    pub async fn record(
        &self,
        integrator: &IntegratorName,
        report: Report,
    ) -> Result<Effect, IntakeError> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            report,
            integrator: integrator.clone(),
            answer,
        };
        self.queue
            .try_send(waiting)
            .map_err(|_| IntakeError::Overloaded)?;
        answered.await.unwrap_or(Err(IntakeError::Overloaded))
    }
}

impl IntakeWriters {
    /// Records what is handed over until every [`Intake`] is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "the writers end with the queue, and are awaited here"
    )]
    pub async fn run(self) {
        let this = Arc::new(self);
        let writers: Vec<_> = (0..this.settings.writers.max(1))
            .map(|_| tokio::spawn(Arc::clone(&this).write()))
            .collect();
        for writer in writers {
            if let Err(error) = writer.await {
                tracing::error!(%error, "a writer of the intake died");
            }
        }
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
            self.record(&mut batch).await;
        }
    }

    /// Records a batch and answers everybody who waits for it.
    async fn record(&self, batch: &mut Vec<Waiting>) {
        let mut reports = Vec::with_capacity(batch.len());
        let mut waiting = Vec::with_capacity(batch.len());
        for Waiting {
            report,
            integrator,
            answer,
        } in batch.drain(..)
        {
            waiting.push((integrator, report.status.clone(), answer));
            reports.push(report);
        }
        let began = Instant::now();
        let recording = record_by_halves(self.store.as_ref(), &reports);
        let outcomes = match tokio::time::timeout(self.settings.deadline, recording).await {
            Ok(Ok(outcomes)) => {
                self.observer.committed(reports.len(), began.elapsed());
                outcomes
            }
            Ok(Err(error)) => {
                self.observer.commit_failed(reports.len());
                tracing::warn!(reports = reports.len(), error = %chain(&error), "the store did not take a batch");
                let error = IntakeError::Unavailable(Arc::new(error));
                return answer_all(waiting, &error);
            }
            Err(_elapsed) => {
                self.observer.commit_failed(reports.len());
                tracing::warn!(
                    reports = reports.len(),
                    "the store did not take a batch in time"
                );
                return answer_all(waiting, &IntakeError::TooSlow);
            }
        };
        for ((integrator, status, answer), outcome) in waiting.into_iter().zip(outcomes) {
            // Whoever waited may have gone; the report is kept all the same.
            let _ = answer.send(match outcome {
                Recorded::Durable(effect) => {
                    self.observer.recorded(&integrator, &status, effect);
                    Ok(effect)
                }
                Recorded::Refused(error) => Err(IntakeError::Refused(Arc::new(error))),
            });
        }
    }
}

type Answers = Vec<(
    IntegratorName,
    domain::ReportedStatus,
    oneshot::Sender<Result<Effect, IntakeError>>,
)>;

fn answer_all(waiting: Answers, error: &IntakeError) {
    for (_, _, answer) in waiting {
        let _ = answer.send(Err(error.clone()));
    }
}

/// An error with all that is behind it, for a log line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
