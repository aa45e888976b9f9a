//! Reads statistics.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use domain::statistics::{Counts, Interval, RequestOutcome};
use domain::{ChannelId, LogPosition, Timestamp};
use ports::statistics::StatisticsRange;
use ports::{Calendar, Environment, EventLog, Statistics, StoreError};

use crate::events::lag::seconds_between;

/// The longest time that is read by quarters of an hour. Longer ones are read by days.
const MAX_QUARTERS_MICROS: i64 = 8 * 24 * 60 * 60 * 1_000_000;

/// Reads statistics.
pub struct ReadStatistics {
    store: Arc<dyn Statistics>,
    log: Arc<dyn EventLog>,
    calendar: Arc<dyn Calendar>,
    clock: Arc<dyn Environment>,
}

/// Which statistics to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsQuery {
    /// From the interval that begins at this time or later.
    pub from: Timestamp,
    /// Up to the interval that begins before this time.
    pub until: Timestamp,
    /// One channel; `None`: all.
    pub channel: Option<ChannelId>,
}

/// Statistics of a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsReport {
    /// The length of the intervals.
    pub interval: Interval,
    /// The start of the first interval.
    pub from: Timestamp,
    /// The end of the last interval, which may not be over.
    pub until: Timestamp,
    /// The counts of each interval that has any, by its start.
    pub intervals: BTreeMap<Timestamp, Counts>,
    /// The counts of each channel that has any.
    pub channels: Vec<CountedChannel>,
    /// All counts together.
    pub total: Counts,
    /// Age in seconds of the oldest report that is not counted yet; `None` if all are.
    pub lag_seconds: Option<u64>,
    /// Earlier days are those of another time zone, which was configured before.
    pub days_since: Option<Timestamp>,
}

/// The counts of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedChannel {
    /// The channel.
    pub channel: ChannelId,
    /// Its counts in all intervals together.
    pub total: Counts,
    /// Its reports in each interval that has any, by its start.
    pub reports: BTreeMap<Timestamp, i64>,
    /// The start of the first interval with a request that was challenged.
    pub challenged_since: Option<Timestamp>,
}

impl ReadStatistics {
    /// Reads from `store` what a reader of `log` has counted.
    #[must_use]
    pub fn new(
        store: Arc<dyn Statistics>,
        log: Arc<dyn EventLog>,
        calendar: Arc<dyn Calendar>,
        clock: Arc<dyn Environment>,
    ) -> Self {
        Self {
            store,
            log,
            calendar,
            clock,
        }
    }

    /// Returns the present time, up to which statistics can be read.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the calendar whose days are counted.
    #[must_use]
    pub fn calendar(&self) -> &dyn Calendar {
        &*self.calendar
    }

    /// Returns the statistics of a time: by quarters of an hour if it is at most eight days long,
    /// and by days of the calendar otherwise. The first interval is the one that `query.from` lies
    /// in.
    pub async fn read(&self, query: &StatisticsQuery) -> Result<StatisticsReport, StoreError> {
        let range = self.range(query);
        let (interval, from) = (range.interval, range.from);
        let rows = self.store.read_statistics(&range).await?;
        let mut intervals = BTreeMap::<Timestamp, Counts>::new();
        let mut channels = BTreeMap::<ChannelId, CountedChannel>::new();
        for row in rows {
            intervals.entry(row.start).or_default().add(&row.counts, 1);
            let counted = channels
                .entry(row.channel.clone())
                .or_insert_with(|| CountedChannel {
                    channel: row.channel,
                    total: Counts::default(),
                    reports: BTreeMap::new(),
                    challenged_since: None,
                });
            if row.counts.requests_with(RequestOutcome::Challenged) > 0 {
                counted.challenged_since.get_or_insert(row.start);
            }
            counted.total.add(&row.counts, 1);
            counted
                .reports
                .insert(row.start, row.counts.total_reports());
        }
        let mut total = Counts::default();
        for counts in intervals.values() {
            total.add(counts, 1);
        }
        Ok(StatisticsReport {
            interval,
            from,
            until: query.until,
            intervals,
            channels: channels.into_values().collect(),
            total,
            lag_seconds: self.lag_seconds().await?,
            days_since: self.days_since(interval, from).await?,
        })
    }

    /// Returns all counts of a time together.
    pub async fn read_total(&self, query: &StatisticsQuery) -> Result<Counts, StoreError> {
        let mut total = Counts::default();
        for row in self.store.read_statistics(&self.range(query)).await? {
            total.add(&row.counts, 1);
        }
        Ok(total)
    }

    fn range(&self, query: &StatisticsQuery) -> StatisticsRange {
        let length = query.until.unix_micros() - query.from.unix_micros();
        let (interval, from) = if length <= MAX_QUARTERS_MICROS {
            (
                Interval::QuarterHour,
                domain::statistics::quarter_hour(query.from),
            )
        } else {
            (Interval::Day, self.calendar.day_start(query.from))
        };
        StatisticsRange {
            interval,
            from,
            until: query.until,
            channel: query.channel.clone(),
        }
    }

    /// Returns since when the days are those of the present time zone, if some after `from` are not.
    async fn days_since(
        &self,
        interval: Interval,
        from: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        if interval == Interval::QuarterHour {
            return Ok(None);
        }
        let days = self.store.statistics_days().await?;
        Ok(days
            .and_then(|days| days.since)
            .filter(|since| from < *since))
    }

    /// Returns the age in seconds of the oldest report that is not counted yet.
    async fn lag_seconds(&self) -> Result<Option<u64>, StoreError> {
        let position = self.store.statistics_position().await?;
        let position = position.unwrap_or(LogPosition::START);
        let remaining = self.log.count_after(position, NonZeroU16::MIN).await?;
        let now = self.clock.now();
        Ok(remaining.since.map(|since| seconds_between(since, now)))
    }
}
