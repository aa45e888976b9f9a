//! How far a reader lags the log.

use std::num::NonZeroU16;

use domain::event::{EventFilter, events_of};
use domain::{LogPosition, Timestamp};
use ports::StoreError;
use ports::event_log::LogRead;

use crate::events::tail_cache::LogTailCache;

/// Reports that are counted at most.
const MAX_COUNTED: u64 = 5_000;

/// Reports per read.
const READ_SIZE: NonZeroU16 = NonZeroU16::new(1_000).unwrap();

/// The part of the log that a reader has not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Unread reports, about five thousand at most.
    pub reports: u64,
    /// Events for this reader that follow from them.
    pub events: u64,
    /// Whether there are more.
    pub more: bool,
    /// When the oldest unread report arrived.
    pub since: Option<Timestamp>,
    /// Seconds since then; 0 if everything is read.
    pub seconds: u64,
    /// Whether retention removed some of the unread reports.
    pub pruned: bool,
}

impl Lag {
    /// Counts the reports after `position`, and the events that `filter` passes.
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
        while lag.reports < MAX_COUNTED {
            let page = match log.read(Some(after), READ_SIZE).await? {
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

/// Returns the whole seconds from `since` to `now`; 0 if `since` is later.
pub(crate) fn seconds_between(since: Timestamp, now: Timestamp) -> u64 {
    let micros = now.unix_micros().saturating_sub(since.unix_micros());
    u64::try_from(micros / 1_000_000).unwrap_or_default()
}
