//! Runs on channels that this process leases, several at a time.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::ChannelId;
use ports::{ReconciliationStore, StoreError};
use tokio::task::JoinSet;

use super::run::{Reconcile, ReconcileError, ReconcileRun, ReconcileScope, Reconciled};

/// For how long a process leases a channel.
const LEASE: Duration = Duration::from_mins(1);

/// How often the lease is extended during a run.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(15);

/// How many channels are reconciled at the same time, so that one with a long list does not delay
/// the others.
const MAX_CHANNELS_AT_ONCE: usize = 8;

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

/// Runs reconciliation under leases of its own.
pub(super) struct LeasedRuns {
    pub(super) reconcile: Reconcile,
    pub(super) accounts: Arc<dyn ReconciliationStore>,
    /// The name in leases. Each task of a process has another one, so that they exclude each other.
    pub(super) holder: String,
}

impl LeasedRuns {
    /// Leases a channel. Returns `false` if it is disabled, has no account or is leased by another
    /// holder.
    pub(super) async fn lease(&self, channel: &ChannelId) -> Result<bool, StoreError> {
        Ok(self.reconcile.is_enabled(channel).await? && self.claim(channel, LEASE).await?)
    }

    /// Ends the lease of a channel.
    pub(super) async fn release(&self, channel: &ChannelId) -> Result<(), StoreError> {
        self.claim(channel, Duration::ZERO).await.map(drop)
    }

    async fn claim(&self, channel: &ChannelId, lease: Duration) -> Result<bool, StoreError> {
        let accounts = &self.accounts;
        accounts
            .claim_reconciliation(channel, &self.holder, lease)
            .await
    }

    /// Runs once on a leased channel and extends the lease meanwhile.
    pub(super) async fn run(&self, channel: &ChannelId, scope: ReconcileScope) -> ChannelRun {
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
                    if !matches!(self.claim(channel, LEASE).await, Ok(true)) {
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

/// Calls `run` for each item, for a few at the same time, and returns all runs. Dropping this stops
/// them; what they did by then stays.
pub(super) async fn for_each<T, F>(
    items: impl IntoIterator<Item = T>,
    run: impl Fn(T) -> F,
) -> Result<Vec<ChannelRun>, StoreError>
where
    F: Future<Output = Result<Vec<ChannelRun>, StoreError>> + Send + 'static,
{
    let mut waiting = items.into_iter();
    let (mut running, mut runs) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < MAX_CHANNELS_AT_ONCE
            && let Some(item) = waiting.next()
        {
            running.spawn(run(item));
        }
        match running.join_next().await {
            Some(Ok(done)) => runs.extend(done?),
            // Nothing aborts a run.
            Some(Err(error)) => resume_unwind(error.into_panic()),
            None => return Ok(runs),
        }
    }
}
