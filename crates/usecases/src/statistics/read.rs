//! Reads statistics.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use domain::statistics::{Counts, Interval, RequestOutcome};
use domain::{ChannelId, LogPosition, Timestamp};
use ports::statistics::StatisticsRange;
use ports::{Calendar, Environment, EventLog, Statistics, StoreError};

use super::days::next_day;
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

    /// Returns all counts of a time together. Whole days are read by day, which takes a hundredth
    /// of the rows.
    pub async fn read_total(&self, query: &StatisticsQuery) -> Result<Counts, StoreError> {
        let mut total = Counts::default();
        for range in self.shortest(self.range(query)).await? {
            for row in self.store.read_statistics(&range).await? {
                total.add(&row.counts, 1);
            }
        }
        Ok(total)
    }

    /// Returns ranges with the same counts and fewer rows: those of whole days by day.
    async fn shortest(&self, range: StatisticsRange) -> Result<Vec<StatisticsRange>, StoreError> {
        let first = next_day(&*self.calendar, range.from.plus_micros(-1));
        let last = self.calendar.day_start(range.until);
        let days = self.store.statistics_days().await?;
        let made = days.is_some_and(|days| {
            let of_zone = days.since.is_none_or(|since| since <= first);
            days.zone == self.calendar.zone() && days.next.is_none() && of_zone
        });
        if range.interval == Interval::Day || first >= last || !made {
            return Ok(vec![range]);
        }
        let part = |interval, from, until| StatisticsRange {
            interval,
            from,
            until,
            channel: range.channel.clone(),
        };
        Ok(vec![
            part(Interval::QuarterHour, range.from, first),
            part(Interval::Day, first, last),
            part(Interval::QuarterHour, last, range.until),
        ])
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

    /// Returns since when the days are those of the present time zone, if some after `from` are
    /// not.
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

#[cfg(test)]
mod tests {
    use domain::statistics::quarter_hour;
    use ports::statistics::{IntervalCounts, StatisticsDays};
    use testkit::builders::{channel_id, time};
    use testkit::clock::{FixedClock, UtcDays};
    use testkit::memory::MemoryStore;

    use super::*;

    const HOUR: i64 = 60 * 60 * 1_000_000;

    /// Counts a request every hour of ten days, and of each day as many more as `wrong` says.
    async fn counted(wrong: i64, days: Option<StatisticsDays>) -> ReadStatistics {
        let store = MemoryStore::new();
        let mut counts = IntervalCounts::new();
        let requests = |count| {
            let mut requests = Counts::default();
            requests.requests.insert(RequestOutcome::Challenged, count);
            requests
        };
        for hour in 0..240 {
            let at = time(hour * HOUR);
            let mut add = |interval, start, count| {
                let key = (interval, start, channel_id("a"));
                counts.entry(key).or_default().add(&requests(count), 1);
            };
            add(Interval::QuarterHour, quarter_hour(at), 1);
            let more = if hour % 24 == 0 { wrong } else { 0 };
            add(Interval::Day, UtcDays.day_start(at), 1 + more);
        }
        store.add_statistics(&counts).await.unwrap();
        if let Some(days) = days {
            assert!(store.change_days(None, &days, None).await.unwrap());
        }
        let store = Arc::new(store);
        ReadStatistics::new(
            store.clone(),
            store,
            Arc::new(UtcDays),
            Arc::new(FixedClock::default()),
        )
    }

    async fn total(statistics: &ReadStatistics, from: i64, until: i64) -> i64 {
        let query = StatisticsQuery {
            from: time(from * HOUR),
            until: time(until * HOUR),
            channel: None,
        };
        let total = statistics.read_total(&query).await.unwrap();
        total.requests_with(RequestOutcome::Challenged)
    }

    fn days(zone: &str, since: Option<i64>, next: Option<i64>) -> StatisticsDays {
        StatisticsDays {
            zone: zone.to_owned(),
            since: since.map(|hour| time(hour * HOUR)),
            next: next.map(|hour| time(hour * HOUR)),
        }
    }

    #[tokio::test]
    async fn total_is_that_of_the_quarters() {
        let statistics = counted(0, Some(days("UTC", None, None))).await;
        for (from, until) in [
            (0, 24),
            (0, 23),
            (1, 24),
            (5, 30),
            (5, 53),
            (23, 49),
            (24, 168),
        ] {
            assert_eq!(total(&statistics, from, until).await, until - from);
        }
    }

    /// The days count more here, so that it shows which ones were read.
    #[tokio::test]
    async fn whole_days_are_read_by_day_if_they_are_those_of_the_calendar() {
        for (stored, read) in [
            (Some(days("UTC", None, None)), 2),
            (Some(days("UTC", Some(24), None)), 2),
            (Some(days("UTC", Some(48), None)), 0),
            (Some(days("UTC", None, Some(48))), 0),
            (Some(days("Europe/Berlin", None, None)), 0),
            (None, 0),
        ] {
            let statistics = counted(1_000, stored.clone()).await;
            let total = total(&statistics, 5, 77).await;
            assert_eq!(total, 72 + 1_000 * read, "{stored:?}");
        }
    }
}
