//! From the journal into the store, a bounded step at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::rejection::MaskedFields;
use domain::{Rejection, RejectionReason, mask_numbers};
use ports::error::error_chain;
use ports::journal::{JournalError, JournalMark};
use ports::reports::{Recorded, record_by_halves};
use ports::{Journal, JournalEntry, Metrics, RejectionStore, ReportStore, StoreError};

use crate::StoreCircuitBreaker;
use crate::ingest::group_commit::suspect;

/// How long recording one step may take. Longer than the intake's deadline:
/// nobody waits for this one.
const DEADLINE: Duration = Duration::from_secs(10);

/// Moves the journal into the store.
pub struct ReplayJournal {
    journal: Arc<dyn Journal>,
    store: Arc<dyn ReportStore>,
    rejections: Arc<dyn RejectionStore>,
    gate: Arc<StoreCircuitBreaker>,
    observer: Arc<dyn Metrics>,
    /// How many reports one step moves at most.
    step: usize,
    /// How many batches the store had recorded when it last refused a whole
    /// step; [`NEVER`] if it has not.
    refused_at: AtomicU64,
}

const NEVER: u64 = u64::MAX;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How many reports it moved.
    pub moved: usize,
    /// Whether there may be more.
    pub more: bool,
}

/// Why a step moved nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store is still away.
    #[error("the store is still away")]
    Store(#[source] StoreError),
    /// The store did not answer in time.
    #[error("the store did not answer in time")]
    TooSlow,
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl ReplayJournal {
    /// Moves at most `step` reports at a time.
    #[must_use]
    pub fn new(
        journal: Arc<dyn Journal>,
        store: Arc<dyn ReportStore>,
        rejections: Arc<dyn RejectionStore>,
        gate: Arc<StoreCircuitBreaker>,
        observer: Arc<dyn Metrics>,
        step: usize,
    ) -> Self {
        Self {
            journal,
            store,
            rejections,
            gate,
            observer,
            step,
            refused_at: AtomicU64::new(NEVER),
        }
    }

    /// Moves one step. It also is the probe that finds the store back, and the
    /// journal able to take something again.
    pub async fn run(&self) -> Result<Replayed, ReplayError> {
        if self.journal.usage().refusing.is_some() {
            // What it says now is seen in its usage.
            let _ = self.journal.append(&[]).await;
        }
        match self.move_step().await {
            Err(failed @ ReplayError::Journal(_)) => {
                self.look_for_store().await?;
                Err(failed)
            }
            done => done,
        }
    }

    async fn move_step(&self) -> Result<Replayed, ReplayError> {
        let (entries, mark) = self.journal.oldest(self.step).await?;
        if entries.is_empty() {
            // Parts that became unreadable must not stand before the others.
            self.journal.remove(mark).await?;
            self.look_for_store().await?;
            return Ok(Replayed {
                moved: 0,
                more: self.journal.usage().entries > 0,
            });
        }
        let reports: Vec<_> = entries.iter().map(|entry| entry.report.clone()).collect();
        let outcomes = self
            .within(record_by_halves(self.store.as_ref(), &reports))
            .await?;
        if Recorded::are_all_refused(&outcomes) && self.may_be_the_stores_fault() {
            // Reports after these may be recorded, and show that the store is well.
            self.put_last(&entries, mark).await?;
            return Err(ReplayError::Store(suspect(&outcomes)));
        }
        if outcomes
            .iter()
            .any(|outcome| matches!(outcome, Recorded::Durable(_)))
        {
            self.gate.recorded();
        } else {
            self.gate.worked();
        }
        for (entry, outcome) in entries.iter().zip(&outcomes) {
            if let Recorded::Refused(error) = outcome {
                self.reject(entry, error).await?;
            }
        }
        let locked: Vec<_> = entries
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, Recorded::Locked))
            .map(|(entry, _)| entry.clone())
            .collect();
        let moved = entries.len() - locked.len();
        for (entry, outcome) in entries.iter().zip(outcomes) {
            match outcome {
                Recorded::Durable(effect) => {
                    self.observer
                        .recorded(&entry.integrator, &entry.report.status, effect);
                }
                Recorded::Refused(_) => self.observer.rejected(RejectionReason::RefusedByStore),
                Recorded::Locked => {}
            }
        }
        let locked_count = u64::try_from(locked.len()).unwrap_or(u64::MAX);
        if moved > 0 && locked.is_empty() {
            self.journal.remove(mark).await?;
        } else {
            self.put_last(&locked, mark).await?;
        }
        self.observer.drained(moved);
        let more = self.journal.usage().entries > locked_count;
        Ok(Replayed { moved, more })
    }

    /// Whether the store has recorded nothing else since it last refused a whole
    /// step. Then its refusal says nothing of the reports: they stay in the
    /// journal until it takes others and refuses them again.
    fn may_be_the_stores_fault(&self) -> bool {
        let now = self.gate.batches();
        let before = self.refused_at.swap(now, Ordering::Relaxed);
        before == NEVER || before == now
    }

    /// Moves entries of a step to the end of the journal and removes the others
    /// of the step, so that those after it have their turn. Leaves the journal
    /// as it is if there is nothing after them and they are the whole step.
    async fn put_last(
        &self,
        entries: &[JournalEntry],
        mark: JournalMark,
    ) -> Result<(), JournalError> {
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        if self.journal.usage().entries > count {
            self.journal.append(entries).await?;
            self.journal.remove(mark).await?;
        }
        Ok(())
    }

    /// Asks a store that is known to be away, where nothing in the journal can
    /// be tried on it.
    async fn look_for_store(&self) -> Result<(), ReplayError> {
        if self.gate.is_away() {
            self.within(self.store.ping()).await?;
            self.gate.worked();
        }
        Ok(())
    }

    async fn within<T>(
        &self,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ReplayError> {
        match tokio::time::timeout(DEADLINE, step).await {
            Ok(outcome) => outcome.map_err(ReplayError::Store),
            Err(_elapsed) => Err(ReplayError::TooSlow),
        }
    }

    /// A report that the store will never take was answered long ago: what is
    /// left of it is a rejection. While that cannot be kept the report stays in
    /// the journal; those before it in the step may be kept twice then.
    async fn reject(&self, entry: &JournalEntry, error: &StoreError) -> Result<(), ReplayError> {
        let channel = entry.report.key.channel.clone();
        tracing::error!(%channel, sid = %entry.report.key.sid, error = mask_numbers(&error_chain(error)), "the store will never take an acknowledged report");
        let fields = [
            ("message_sid", entry.report.key.sid.to_string()),
            ("status", entry.report.status.to_string()),
            ("to", entry.report.recipient.to_string()),
            ("from", entry.report.sender.to_string()),
        ];
        let rejection = Rejection {
            arrived_at: entry.report.arrived_at,
            channel,
            integrator: entry.integrator.clone(),
            reason: RejectionReason::RefusedByStore,
            detail: mask_numbers(&error_chain(error)),
            fields: MaskedFields::new(fields.map(|(name, value)| (name.to_owned(), value))),
        };
        match self
            .within(self.rejections.keep(std::slice::from_ref(&rejection)))
            .await
        {
            // It never will be, and others wait behind it.
            Err(ReplayError::Store(error @ StoreError::Rejected { .. })) => {
                tracing::error!(error = %error_chain(&error), "a rejection was not kept");
                Ok(())
            }
            kept => kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use domain::IntegratorName;
    use ports::journal::JournalUsage;
    use ports::metrics::NoMetrics;
    use testkit::builders::{report, twilio_sid};
    use testkit::memory::MemoryStore;

    use super::*;

    /// A journal whose front cannot be read any more; behind it is one entry.
    #[derive(Default)]
    struct DamagedAtFront(AtomicBool);

    const FRONT: JournalMark = JournalMark {
        segment: 1,
        offset: 9,
    };
    const END: JournalMark = JournalMark {
        segment: 2,
        offset: 9,
    };

    #[async_trait]
    impl Journal for DamagedAtFront {
        async fn append(&self, _: &[JournalEntry]) -> Result<(), JournalError> {
            Err(JournalError::Full)
        }

        async fn oldest(&self, _: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError> {
            let entry = JournalEntry {
                integrator: IntegratorName::parse("twilio").unwrap(),
                report: report(&twilio_sid(1)).build(),
            };
            if self.0.load(Ordering::SeqCst) {
                Ok((vec![entry], END))
            } else {
                Ok((Vec::new(), FRONT))
            }
        }

        async fn remove(&self, mark: JournalMark) -> Result<(), JournalError> {
            self.0.fetch_or(mark >= FRONT, Ordering::SeqCst);
            Ok(())
        }

        fn usage(&self) -> JournalUsage {
            JournalUsage {
                entries: 1,
                ..JournalUsage::default()
            }
        }
    }

    #[tokio::test]
    async fn what_cannot_be_read_does_not_block_what_is_behind_it() {
        let store = MemoryStore::new();
        let drain = ReplayJournal::new(
            Arc::new(DamagedAtFront::default()),
            Arc::new(store.clone()),
            Arc::new(store.clone()),
            Arc::default(),
            Arc::new(NoMetrics),
            4,
        );
        let first = drain.run().await.unwrap();
        assert_eq!((first.moved, first.more), (0, true));
        assert_eq!(drain.run().await.unwrap().moved, 1);
        assert_eq!(store.logged_reports(), 1);
    }
}
