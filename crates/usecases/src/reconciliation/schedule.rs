//! Reconciles all channels that have an account, each by one process at a time.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::reconciliation::Reconciliation;
use domain::{ChannelId, Timestamp};
use ports::{Environment, ReconciliationStore, StoreError};
use tokio::task::JoinSet;

use super::run::{Reconcile, ReconcileError, ReconcileRun, ReconcileScope, Reconciled};

/// For how long a process leases a channel.
const LEASE: Duration = Duration::from_mins(1);

/// How often the lease is extended during a run.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

/// How many channels are reconciled at the same time, so that one with a long list does not delay
/// the others.
const MAX_CHANNELS_AT_ONCE: usize = 8;

const DAY_MICROS: i64 = 86_400 * 1_000_000;

/// Reconciles the channels that are due.
pub struct ReconcileChannels {
    reconcile: Reconcile,
    accounts: Arc<dyn ReconciliationStore>,
    environment: Arc<dyn Environment>,
    /// The name of this process.
    holder: String,
    /// The time between two runs of a channel.
    interval: Duration,
}

/// A run on a channel.
#[derive(Debug)]
pub struct ChannelRun {
    /// The channel.
    pub channel: ChannelId,
    /// Which messages were compared.
    pub scope: ReconcileScope,
    /// The result; `None` if the lease was lost. What was done by then stays.
    pub outcome: Option<Result<Reconciled, ReconcileError>>,
}

impl ReconcileChannels {
    /// Reconciles each enabled channel every `interval`. Compares the integrator's whole list once
    /// per UTC day, and after a pause of more than two intervals. `holder` is the name of this process in leases.
    #[must_use]
    pub const fn new(
        reconcile: Reconcile,
        accounts: Arc<dyn ReconciliationStore>,
        environment: Arc<dyn Environment>,
        holder: String,
        interval: Duration,
    ) -> Self {
        Self {
            reconcile,
            accounts,
            environment,
            holder,
            interval,
        }
    }

    /// Runs on all channels that are due and that no other process reconciles. Dropping this stops
    /// the runs; what they did by then stays.
    pub async fn run(self: &Arc<Self>) -> Result<Vec<ChannelRun>, StoreError> {
        let mut waiting = self.accounts.reconciliations().await?.into_iter();
        let (mut running, mut runs) = (JoinSet::new(), Vec::new());
        loop {
            while running.len() < MAX_CHANNELS_AT_ONCE
                && let Some(found) = waiting.next()
            {
                let this = Arc::clone(self);
                running.spawn(async move { this.run_if_due(&found).await });
            }
            match running.join_next().await {
                Some(Ok(done)) => runs.extend(done?),
                // Nothing aborts a run.
                Some(Err(error)) => resume_unwind(error.into_panic()),
                None => return Ok(runs),
            }
        }
    }

    async fn run_if_due(&self, found: &Reconciliation) -> Result<Vec<ChannelRun>, StoreError> {
        let channel = &found.account.channel;
        let mut runs = Vec::new();
        if self.due(found, self.environment.now()).is_empty()
            || !self.reconcile.is_enabled(channel).await?
            || !self.claim(channel).await?
        {
            return Ok(runs);
        }
        // Another process may have run between the two statements.
        if let Some(found) = self.accounts.reconciliation(channel).await? {
            for scope in self.due(&found, self.environment.now()) {
                let run = self.run_on(channel, scope).await;
                let is_success = matches!(run.outcome, Some(Ok(_)));
                runs.push(run);
                if !is_success {
                    break;
                }
            }
        }
        self.accounts
            .claim_reconciliation(channel, &self.holder, Duration::ZERO)
            .await?;
        Ok(runs)
    }

    async fn claim(&self, channel: &ChannelId) -> Result<bool, StoreError> {
        let accounts = &self.accounts;
        accounts
            .claim_reconciliation(channel, &self.holder, LEASE)
            .await
    }

    /// Returns what is due. The list comes second: what is recovered before counts as lost.
    fn due(&self, found: &Reconciliation, now: Timestamp) -> Vec<ReconcileScope> {
        let figures = &found.figures;
        let interval = i64::try_from(self.interval.as_micros()).unwrap_or(i64::MAX);
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

    /// Runs once and extends the lease meanwhile.
    async fn run_on(&self, channel: &ChannelId, scope: ReconcileScope) -> ChannelRun {
        let run = ReconcileRun {
            channel: channel.clone(),
            scope,
            dry_run: false,
        };
        let running = self.reconcile.run(&run, |_, _| {});
        let mut running = pin!(running);
        let outcome = loop {
            tokio::select! {
                outcome = &mut running => break Some(outcome),
                () = tokio::time::sleep(RENEWAL_INTERVAL) => {
                    if !matches!(self.claim(channel).await, Ok(true)) {
                        break None;
                    }
                }
            }
        };
        ChannelRun {
            channel: channel.clone(),
            scope,
            outcome,
        }
    }
}
