//! Replays the journal into the store, a bounded step at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::ingest::bisect::{Recorded, record_bisecting};
use domain::rejection::MaskedFields;
use domain::{Rejection, RejectionReason, mask_numbers};
use ports::error::error_chain;
use ports::journal::{JournalError, JournalMark};
use ports::{Journal, JournalEntry, Metrics, RejectionStore, ReportStore, StoreError};

use crate::ingest::circuit_breaker::StoreCircuitBreaker;
use crate::ingest::group_commit::suspect;

/// How long a step may wait for the store. Longer than the deadline of ingest: no request waits.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// Moves the reports of the journal into the store.
pub struct ReplayJournal {
    journal: Arc<dyn Journal>,
    store: Arc<dyn ReportStore>,
    rejections: Arc<dyn RejectionStore>,
    breaker: Arc<StoreCircuitBreaker>,
    metrics: Arc<dyn Metrics>,
    /// Reports per step, at most.
    step: usize,
    /// Batches that the store had recorded when it last refused a whole step; [`NEVER`] if it never
    /// did.
    refused_at: AtomicU64,
}

const NEVER: u64 = u64::MAX;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Reports moved.
    pub moved: usize,
    /// Whether the journal has more.
    pub more: bool,
}

/// Why a step moved nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store is unavailable.
    #[error("reports of the journal were not recorded")]
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
        breaker: Arc<StoreCircuitBreaker>,
        metrics: Arc<dyn Metrics>,
        step: usize,
    ) -> Self {
        Self {
            journal,
            store,
            rejections,
            breaker,
            metrics,
            step,
            refused_at: AtomicU64::new(NEVER),
        }
    }

    /// Moves one step. This is also the probe that closes the circuit breaker, and that finds a
    /// failed journal able to append again.
    #[tracing::instrument(level = "debug", name = "replay_journal", skip_all)]
    #[tracing::instrument(level = "debug", name = "replay_journal", skip_all)]
    pub async fn run(&self) -> Result<Replayed, ReplayError> {
        if self.journal.usage().refusing.is_some() {
            // The result is visible in the usage.
            let _ = self.journal.append(&[]).await;
        }
        match self.move_step().await {
            Err(failed @ ReplayError::Journal(_)) => {
                self.probe_store().await?;
                Err(failed)
            }
            done => done,
        }
    }

    async fn move_step(&self) -> Result<Replayed, ReplayError> {
        let (entries, mark) = self.journal.oldest(self.step).await?;
        if entries.is_empty() {
            // Unreadable entries must not block the readable ones after them.
            self.journal.remove(mark).await?;
            self.probe_store().await?;
            return Ok(Replayed {
                moved: 0,
                more: self.journal.usage().entries > 0,
            });
        }
        let reports: Vec<_> = entries.iter().map(|entry| entry.report.clone()).collect();
        let outcomes = self
            .with_timeout(record_bisecting(self.store.as_ref(), &reports))
            .await?;
        if Recorded::are_all_refused(&outcomes) && self.store_may_be_at_fault() {
            // If the store records later reports, these are at fault.
            self.move_to_end(&entries, mark).await?;
            return Err(ReplayError::Store(suspect(&outcomes)));
        }
        self.breaker.answered(&outcomes);
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
                    self.metrics
                        .recorded(&entry.integrator, &entry.report.status, effect);
                }
                Recorded::Refused(_) => self.metrics.rejected(RejectionReason::RefusedByStore),
                Recorded::Locked => {}
            }
        }
        let locked_count = u64::try_from(locked.len()).unwrap_or(u64::MAX);
        if moved > 0 && locked.is_empty() {
            self.journal.remove(mark).await?;
        } else {
            self.move_to_end(&locked, mark).await?;
        }
        self.metrics.drained(moved);
        let more = self.journal.usage().entries > locked_count;
        Ok(Replayed { moved, more })
    }

    /// Returns whether the store recorded nothing else since it last refused a whole step. Then the
    /// refusal says nothing about the reports: they stay in the journal until the store records
    /// others and refuses these again.
    fn store_may_be_at_fault(&self) -> bool {
        let now = self.breaker.recorded_batches();
        let before = self.refused_at.swap(now, Ordering::Relaxed);
        before == NEVER || before == now
    }

    /// Moves `entries` to the end of the journal and removes the rest of the step, so that later
    /// entries are replayed next. Does nothing if the journal has no other entries.
    async fn move_to_end(
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

    /// Pings a store that is known to be unavailable, when the journal has nothing to try on it.
    async fn probe_store(&self) -> Result<(), ReplayError> {
        if self.breaker.is_open() {
            self.with_timeout(self.store.ping()).await?;
            self.breaker.close();
        }
        Ok(())
    }

    async fn with_timeout<T>(
        &self,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ReplayError> {
        match tokio::time::timeout(STORE_TIMEOUT, step).await {
            Ok(outcome) => outcome.map_err(ReplayError::Store),
            Err(_elapsed) => Err(ReplayError::TooSlow),
        }
    }

    /// Stores a rejection for a report that the store will never accept; its request was answered
    /// long ago. If that fails, the whole step stays in the journal, and rejections of reports
    /// before this one may be stored twice.
    async fn reject(&self, entry: &JournalEntry, error: &StoreError) -> Result<(), ReplayError> {
        let channel = entry.report.key.channel.clone();
        tracing::error!(
            %channel,
            sid = %entry.report.key.sid,
            error = mask_numbers(&error_chain(error)),
            "the store refuses an acknowledged report; storing it as a rejection"
        );
        let sender = entry.report.sender.as_ref().map(ToString::to_string);
        let fields = [
            ("message_sid", entry.report.key.sid.to_string()),
            ("status", entry.report.status.to_string()),
            ("to", entry.report.recipient.to_string()),
            ("from", sender.unwrap_or_default()),
        ];
        let rejection = Rejection {
            arrived_at: entry.report.arrived_at,
            channel,
            integrator: entry.integrator.clone(),
            reason: RejectionReason::RefusedByStore,
            detail: mask_numbers(&error_chain(error)),
            fields: MaskedFields::new(fields.map(|(name, value)| (name.to_owned(), value))),
            sender: None,
        };
        match self
            .with_timeout(
                self.rejections
                    .store_rejections(std::slice::from_ref(&rejection)),
            )
            .await
        {
            // Retrying cannot help, and later entries wait.
            Err(ReplayError::Store(error @ StoreError::Rejected { .. })) => {
                tracing::error!(error = %error_chain(&error), "a rejection was not stored; it is lost");
                Ok(())
            }
            stored => stored,
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

    /// A journal with an unreadable front and one readable entry.
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
        async fn append(&self, _: &[JournalEntry]) -> Result<Vec<usize>, JournalError> {
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
    async fn unreadable_entries_do_not_block_later_ones() {
        let store = MemoryStore::new();
        let replay = ReplayJournal::new(
            Arc::new(DamagedAtFront::default()),
            Arc::new(store.clone()),
            Arc::new(store.clone()),
            Arc::default(),
            Arc::new(NoMetrics),
            4,
        );
        let first = replay.run().await.unwrap();
        assert_eq!((first.moved, first.more), (0, true));
        assert_eq!(replay.run().await.unwrap().moved, 1);
        assert_eq!(store.logged_reports(), 1);
    }
}
