//! How far a subscription is behind the log.

use std::num::NonZeroU16;

use domain::Timestamp;
use ports::ReportLog as _;
use ports::log::LogRead;
use ports::subscriptions::SubscriptionStatus;

use super::{ManageSubscriptions, SubscriptionError};

/// How far behind a subscription is counted.
const LAG_COUNTED: u64 = 5_000;

/// How far a subscription is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// How many reports it has not seen, five thousand at most.
    pub reports: u64,
    /// Whether there are more.
    pub more: bool,
    /// When the oldest of them arrived.
    pub since: Option<Timestamp>,
    /// Whether some of them are gone.
    pub pruned: bool,
}

impl ManageSubscriptions {
    /// How far one is behind the log.
    pub async fn lag(&self, status: &SubscriptionStatus) -> Result<Lag, SubscriptionError> {
        let mut lag = Lag {
            reports: 0,
            more: false,
            since: None,
            pruned: false,
        };
        let mut after = status.position;
        let step = NonZeroU16::new(1_000).unwrap_or(NonZeroU16::MIN);
        while lag.reports < LAG_COUNTED {
            let page = match self.0.log.read(Some(after), step).await? {
                LogRead::Page(page) => page,
                LogRead::Pruned { oldest } => {
                    lag.pruned = true;
                    after = oldest;
                    continue;
                }
            };
            lag.reports += u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
            let first = page.entries.first();
            lag.since = lag
                .since
                .or(first.map(|first| first.report.report.arrived_at));
            after = page.next;
            if page.complete {
                return Ok(lag);
            }
        }
        lag.more = true;
        Ok(lag)
    }
}
