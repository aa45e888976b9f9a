//! How far a reader is behind the log.

use std::num::NonZeroU16;

use domain::event::{EventFilter, events_of};
use domain::{LogPosition, Timestamp};
use ports::event_log::LogRead;
use ports::{EventLog as _, StoreError};

use crate::LogTailCache;

/// How far behind a reader is counted.
const COUNTED: u64 = 5_000;

/// How many reports are read at a time.
const STEP: NonZeroU16 = NonZeroU16::new(1_000).unwrap();

/// How far a reader is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// How many reports it has not seen, about five thousand at most.
    pub reports: u64,
    /// How many events for it follow from these.
    pub events: u64,
    /// Whether there are more.
    pub more: bool,
    /// When the oldest of them arrived.
    pub since: Option<Timestamp>,
    /// For how many seconds that has waited; 0 if there is none.
    pub seconds: u64,
    /// Whether some of them are gone.
    pub pruned: bool,
}

impl Lag {
    /// How far somebody at this position is behind, who wants the events that a
    /// filter lets through.
    pub(crate) async fn at(
        log: &LogTailCache,
        position: LogPosition,
        filter: &EventFilter,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut lag = Self {
            reports: 0,
            events: 0,
            more: false,
            since: None,
            seconds: 0,
            pruned: false,
        };
        let mut after = position;
        while lag.reports < COUNTED {
            let page = match log.read(Some(after), STEP).await? {
                LogRead::Page(page) => page,
                LogRead::Pruned { oldest } => {
                    lag.pruned = true;
                    after = oldest;
                    continue;
                }
            };
            for entry in &page.entries {
                let arrived_at = entry.report.report.arrived_at;
                let since = lag.since.map_or(arrived_at, |since| since.min(arrived_at));
                lag.since = Some(since);
                lag.seconds = seconds_between(since, now);
                lag.reports += 1;
                let events = events_of(entry).filter(|event| filter.passes(event));
                lag.events += u64::try_from(events.count()).unwrap_or_default();
            }
            after = page.next;
            if page.complete {
                return Ok(lag);
            }
        }
        lag.more = true;
        Ok(lag)
    }
}

/// How many whole seconds after `since` it is; 0 if it is not.
pub(crate) fn seconds_between(since: Timestamp, now: Timestamp) -> u64 {
    let micros = now.unix_micros().saturating_sub(since.unix_micros());
    u64::try_from(micros / 1_000_000).unwrap_or_default()
}
