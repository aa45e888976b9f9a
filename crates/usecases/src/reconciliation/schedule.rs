//! Reconciles all channels that have an account, each by one process at a time.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::reconciliation::{Reconciliation, ReconciliationFigures};
use ports::{Environment, ReconciliationStore, StoreError};

use super::leased_runs::{ChannelRun, LeasedRuns, for_each};
use super::run::{Reconcile, ReconcileScope};

const DAY_MICROS: i64 = 86_400 * 1_000_000;

/// Reconciles the channels that are due.
pub struct ReconcileChannels {
    runs: LeasedRuns,
    environment: Arc<dyn Environment>,
    /// The time between two runs of a channel.
    interval: Duration,
}

impl ReconcileChannels {
    /// Reconciles each enabled channel every `interval`. Compares the integrator's whole list once
    /// per UTC day, and after a pause of more than two intervals. `holder` is the name of this task
    /// of this process in leases.
    #[must_use]
    pub const fn new(
        reconcile: Reconcile,
        accounts: Arc<dyn ReconciliationStore>,
        environment: Arc<dyn Environment>,
        holder: String,
        interval: Duration,
    ) -> Self {
        Self {
            runs: LeasedRuns {
                reconcile,
                accounts,
                holder,
            },
            environment,
            interval,
        }
    }

    /// Runs on all channels that are due and that no other process reconciles. Dropping this stops
    /// the runs; what they did by then stays.
    pub async fn run(self: &Arc<Self>) -> Result<Vec<ChannelRun>, StoreError> {
        let all = self.runs.accounts.reconciliations().await?;
        for_each(all, |found| {
            let this = Arc::clone(self);
            async move { this.run_if_due(&found).await }
        })
        .await
    }

    async fn run_if_due(&self, found: &Reconciliation) -> Result<Vec<ChannelRun>, StoreError> {
        let channel = &found.account.channel;
        let mut runs = Vec::new();
        if self.due(found).is_empty() || !self.runs.lease(channel).await? {
            return Ok(runs);
        }
        // Another process may have run between the two statements.
        if let Some(found) = self.runs.accounts.reconciliation(channel).await? {
            let mut failed = false;
            for scope in self.due(&found) {
                let run = self.runs.run(channel, scope).await;
                failed = !matches!(run.outcome, Some(Ok(_)));
                runs.push(run);
                if failed {
                    break;
                }
            }
            if !failed && !runs.is_empty() {
                self.runs.reconcile.note_success(channel).await?;
            }
        }
        self.runs.release(channel).await?;
        Ok(runs)
    }

    fn due(&self, found: &Reconciliation) -> Vec<ReconcileScope> {
        due_scopes(&found.figures, self.interval, self.environment.now())
    }
}

/// Returns which runs of a channel are due that are repeated at an interval. The list comes second:
/// what is recovered before counts as lost.
pub(super) fn due_scopes(
    figures: &ReconciliationFigures,
    interval: Duration,
    now: Timestamp,
) -> Vec<ReconcileScope> {
    let interval = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX);
    // A time in the future was written before the clock was set back.
    let waits = figures
        .last_run_at
        .is_some_and(|at| (at..at.plus_micros(interval)).contains(&now));
    if waits {
        return Vec::new();
    }
    let day = |at: Timestamp| at.unix_micros().div_euclid(DAY_MICROS);
    let is_listed = figures.listed_at.is_some_and(|at| day(at) == day(now));
    // The receivers may have been stopped as well, and may have missed whole messages.
    let was_stopped = figures
        .last_run_at
        .is_some_and(|at| now > at.plus_micros(interval.saturating_mul(2)));
    if is_listed && !was_stopped {
        vec![ReconcileScope::Due]
    } else {
        vec![ReconcileScope::Due, ReconcileScope::Listed]
    }
}
