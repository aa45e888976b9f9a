//! Looks up the messages of which the integrator says that it could not deliver a report, soon
//! after it says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ChannelId;
use ports::{Environment, ReconciliationStore, StoreError};

use super::leased_runs::{ChannelRun, LeasedRuns, for_each};
use super::run::{Reconcile, ReconcileScope};
use super::schedule::due_scopes;

/// For how long the runs at the interval may be due before alerts wait for them.
const PRECEDENCE: Duration = Duration::from_mins(1);

/// The pause after the first run that failed; it doubles with each further one, up to the interval.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Looks up the messages of alerts.
pub struct LookUpAlerts {
    runs: LeasedRuns,
    environment: Arc<dyn Environment>,
    interval: Duration,
    pauses: Mutex<HashMap<ChannelId, Pause>>,
}

/// The pause of a channel whose last lookups failed.
#[derive(Clone, Copy, Debug)]
struct Pause {
    failed: u32,
    /// Its end, by the monotonic clock.
    until: Duration,
}

impl LookUpAlerts {
    /// Looks up alerts of the enabled channels that have an account. `holder` is the name of this
    /// task of this process in leases; that of
    /// [`ReconcileChannels`](super::ReconcileChannels) must differ. `interval` is the time between
    /// two of its runs.
    #[must_use]
    pub fn new(
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
            pauses: Mutex::default(),
        }
    }

    /// Looks up a bounded number of messages of each channel that has alerts and that no other
    /// process or task reconciles. Dropping this stops it; what it did by then stays.
    pub async fn run(self: &Arc<Self>) -> Result<Vec<ChannelRun>, StoreError> {
        let mut channels = self.runs.accounts.channels_with_due_alerts().await?;
        let now = self.environment.monotonic();
        {
            let pauses = self.pauses();
            channels.retain(|channel| pauses.get(channel).is_none_or(|it| it.until <= now));
        }
        for_each(channels, |channel| {
            let this = Arc::clone(self);
            async move { this.run_on(&channel).await }
        })
        .await
    }

    async fn run_on(&self, channel: &ChannelId) -> Result<Vec<ChannelRun>, StoreError> {
        let Some(found) = self.runs.accounts.reconciliation(channel).await? else {
            return Ok(Vec::new());
        };
        // With many alerts this task would hold the lease almost always.
        let overdue = self.interval.saturating_add(PRECEDENCE);
        let now = self.environment.now();
        if !due_scopes(&found.figures, overdue, now).is_empty() || !self.runs.lease(channel).await?
        {
            return Ok(Vec::new());
        }
        let run = self.runs.run(channel, ReconcileScope::Alerts).await;
        let succeeded = matches!(&run.outcome, Some(Ok(done)) if done.left == 0);
        self.note(channel, succeeded);
        self.runs.release(channel).await?;
        Ok(vec![run])
    }

    /// Begins, prolongs or ends the pause of a channel.
    fn note(&self, channel: &ChannelId, succeeded: bool) {
        let mut pauses = self.pauses();
        if succeeded {
            pauses.remove(channel);
            return;
        }
        let failed = pauses.get(channel).map_or(0, |it| it.failed);
        let pause = FIRST_PAUSE.saturating_mul(1 << failed.min(16));
        let until = self.environment.monotonic() + pause.min(self.interval);
        let failed = failed.saturating_add(1);
        pauses.insert(channel.clone(), Pause { failed, until });
    }

    fn pauses(&self) -> MutexGuard<'_, HashMap<ChannelId, Pause>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
