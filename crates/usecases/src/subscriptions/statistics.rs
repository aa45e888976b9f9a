//! Statistics of all subscriptions, cached for metrics that are read often.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use domain::subscription::{PauseReason, SubscriptionState};
use domain::{SubscriptionId, Timestamp};
use ports::subscriptions::SubscriptionStatus;
use ports::{Environment, StoreError, SubscriptionStore};
use tokio::sync::Mutex;

use crate::events::lag::seconds_between;
use crate::events::tail_cache::LogTailCache;

/// How long the statistics are cached.
const CACHE_MICROS: i64 = 10_000_000;

/// How long the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Reports that the lag counts at most.
const MAX_LAG_REPORTS: NonZeroU16 = NonZeroU16::new(10_000).unwrap();

/// Computes the statistics of all subscriptions.
pub struct SubscriptionStatistics {
    store: Arc<dyn SubscriptionStore>,
    log: Arc<LogTailCache>,
    clock: Arc<dyn Environment>,
    last: Mutex<Option<(Timestamp, Option<StatisticsReport>)>>,
}

/// Statistics of all subscriptions, oldest first.
pub type StatisticsReport = Arc<[SubscriptionFigures]>;

/// Statistics of one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionFigures {
    /// The subscription.
    pub id: SubscriptionId,
    /// Whether its events are sent.
    pub condition: SubscriptionCondition,
    /// Pending deliveries.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
    /// Reports after its position, ten thousand at most.
    pub lag_reports: u64,
    /// Age of the oldest of them in seconds; 0 if there is none.
    pub lag_seconds: u64,
}

/// Whether the events of a subscription are sent, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SubscriptionCondition {
    /// They are sent.
    Active,
    /// Its endpoint is failing.
    Failing,
    /// Paused by an operator.
    Paused,
    /// Paused because its endpoint failed for too long.
    PausedFailing,
    /// Paused because retention removed events that it had not received.
    PausedPruned,
    /// Ended because its endpoint answered 410.
    Ended,
}

impl SubscriptionCondition {
    /// All conditions.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Failing,
        Self::Paused,
        Self::PausedFailing,
        Self::PausedPruned,
        Self::Ended,
    ];

    /// Returns the name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    fn of(status: &SubscriptionStatus) -> Self {
        match status.subscription.state {
            SubscriptionState::Active if status.is_failing() => Self::Failing,
            SubscriptionState::Active => Self::Active,
            SubscriptionState::Paused { reason, .. } => match reason {
                PauseReason::Operator => Self::Paused,
                PauseReason::Failing => Self::PausedFailing,
                PauseReason::Pruned => Self::PausedPruned,
            },
            SubscriptionState::Ended { .. } => Self::Ended,
        }
    }
}

impl SubscriptionStatistics {
    /// Computes statistics from a store and its log.
    #[must_use]
    pub fn new(
        store: Arc<dyn SubscriptionStore>,
        log: Arc<LogTailCache>,
        clock: Arc<dyn Environment>,
    ) -> Self {
        Self {
            store,
            log,
            clock,
            last: Mutex::default(),
        }
    }

    /// Returns statistics that are at most ten seconds old, within about two seconds. `None` if the
    /// store failed. Concurrent calls cause one read.
    pub async fn run(&self) -> Option<StatisticsReport> {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        if let Some((at, statistics)) = &*last
            // A clock that was set back must not keep the cache valid forever.
            && (*at..at.plus_micros(CACHE_MICROS)).contains(&now)
        {
            return statistics.clone();
        }
        let statistics = match tokio::time::timeout(STORE_TIMEOUT, self.read(now)).await {
            Ok(Ok(statistics)) => Some(statistics),
            // The metrics are missing then; health reports the cause.
            Ok(Err(_)) | Err(_) => None,
        };
        *last = Some((now, statistics.clone()));
        statistics
    }

    async fn read(&self, now: Timestamp) -> Result<StatisticsReport, StoreError> {
        let mut statistics = Vec::new();
        for status in self.store.list().await? {
            let lag = self
                .log
                .count_after(status.position, MAX_LAG_REPORTS)
                .await?;
            let waited = |since: Timestamp| seconds_between(since, now);
            statistics.push(SubscriptionFigures {
                id: status.subscription.id,
                condition: SubscriptionCondition::of(&status),
                pending: status.pending,
                dead: status.dead,
                lag_reports: lag.reports,
                lag_seconds: lag.since.map_or(0, waited),
            });
        }
        Ok(statistics.into())
    }
}
