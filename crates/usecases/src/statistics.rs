//! How all subscriptions are getting on, for gauges that are looked at often.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use domain::subscription::{PauseReason, SubscriptionState};
use domain::{SubscriptionId, Timestamp};
use ports::subscriptions::SubscriptionStatus;
use ports::{Clock, EventLog as _, StoreError, SubscriptionStore};
use tokio::sync::Mutex;

use crate::LogTailCache;
use crate::events::lag::seconds_between;

/// For how many microseconds what was found is believed, so that whoever looks
/// often costs the store little.
const BELIEVED: i64 = 10_000_000;

/// How long the store may take for all of it.
const DEADLINE: Duration = Duration::from_secs(2);

/// How far behind a subscription is counted.
const COUNTED: NonZeroU16 = NonZeroU16::new(10_000).unwrap();

/// Looks at all subscriptions, now and then.
pub struct SubscriptionStatistics {
    repository: Arc<dyn SubscriptionStore>,
    log: Arc<LogTailCache>,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<(Timestamp, Option<StatisticsReport>)>>,
}

/// All subscriptions, oldest first.
pub type StatisticsReport = Arc<[SubscriptionFigures]>;

/// How one subscription is getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionFigures {
    /// The subscription.
    pub id: SubscriptionId,
    /// Whether its events are sent.
    pub condition: SubscriptionCondition,
    /// How many deliveries are still to be made.
    pub open: u64,
    /// How many were given up.
    pub dead: u64,
    /// How many reports of the log it has not dealt with, ten thousand at most.
    pub lag_reports: u64,
    /// For how many seconds the oldest of them has waited; 0 if there is none.
    pub lag_seconds: u64,
}

/// Whether the events of a subscription are sent, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionCondition {
    /// They are.
    Active,
    /// Its target takes nothing at the moment.
    Failing,
    /// Somebody wanted it so.
    Paused,
    /// Its target took nothing for too long.
    PausedFailing,
    /// It fell behind the retention.
    PausedPruned,
    /// Its target answered 410.
    Ended,
}

impl SubscriptionCondition {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Failing,
        Self::Paused,
        Self::PausedFailing,
        Self::PausedPruned,
        Self::Ended,
    ];

    /// The word for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Failing => "failing",
            Self::Paused => "paused",
            Self::PausedFailing => "paused_failing",
            Self::PausedPruned => "paused_pruned",
            Self::Ended => "ended",
        }
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
    /// Surveys the subscriptions to a log.
    #[must_use]
    pub fn new(
        repository: Arc<dyn SubscriptionStore>,
        log: Arc<LogTailCache>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            repository,
            log,
            clock,
            last: Mutex::default(),
        }
    }

    /// How they were within the last ten seconds; `None` if the store could not
    /// say. Returns within about two seconds. However many ask at once, the store
    /// is asked by one of them.
    pub async fn run(&self) -> Option<StatisticsReport> {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        if let Some((at, survey)) = &*last
            // A clock that was set back must not keep it for ever.
            && (*at..at.plus_micros(BELIEVED)).contains(&now)
        {
            return survey.clone();
        }
        let survey = match tokio::time::timeout(DEADLINE, self.look(now)).await {
            Ok(Ok(survey)) => Some(survey),
            // Whoever watches sees that there is nothing; health says why.
            Ok(Err(_)) | Err(_) => None,
        };
        *last = Some((now, survey.clone()));
        survey
    }

    async fn look(&self, now: Timestamp) -> Result<StatisticsReport, StoreError> {
        let mut survey = Vec::new();
        for status in self.repository.list().await? {
            let rest = self.log.behind(status.position, COUNTED).await?;
            let waited = |since: Timestamp| seconds_between(since, now);
            survey.push(SubscriptionFigures {
                id: status.subscription.id,
                condition: SubscriptionCondition::of(&status),
                open: status.open,
                dead: status.dead,
                lag_reports: rest.reports,
                lag_seconds: rest.since.map_or(0, waited),
            });
        }
        Ok(survey.into())
    }
}
