//! Baselines for the silence rule: how many reports, and which gaps, a channel usually has at an
//! hour of the week.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use domain::statistics::{Counts, Histogram, Interval, QUARTER_HOUR_MICROS, quarter_hour};
use domain::{ChannelId, Timestamp};
use ports::statistics::StatisticsRange;
use ports::{Calendar, Statistics, StoreError};

const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// How many weeks back counts of quarters of an hour are kept: 90 days.
const WEEKS: i64 = 12;

/// How far back reports are expected one by one.
const MAX_EXPECTED_MICROS: i64 = DAY_MICROS;

/// The counts of an earlier hour, by channel and the start of the quarter within the hour.
type EarlierHour = BTreeMap<(ChannelId, i64), Counts>;

/// What is known of an hour: the same hour of the last weeks and of the last days, newest first.
#[derive(Debug)]
struct KnownHour {
    /// Start of the same hour of the last week.
    week_before: Timestamp,
    weeks: Vec<EarlierHour>,
    days: Vec<EarlierHour>,
}

/// What is usual at each hour of the last day, read when it is first needed.
#[derive(Debug, Default)]
pub(super) struct UsualHours(BTreeMap<Timestamp, KnownHour>);

/// A channel whose usual counts are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct KnownChannel<'a> {
    pub(super) id: &'a ChannelId,
    /// End of the day of its first report; `None` if it has no report. Counts of earlier weeks
    /// are used for hours after it: before the first report they are zero.
    pub(super) first_day_end: Option<Timestamp>,
}

/// Where counts are read from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) store: &'a dyn Statistics,
    pub(super) calendar: &'a dyn Calendar,
}

impl UsualHours {
    /// Returns how many reports of a channel usually arrive between two times, in the last 24 hours
    /// of them.
    pub(super) async fn expected(
        &mut self,
        source: Source<'_>,
        channel: KnownChannel<'_>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<f64, StoreError> {
        let from = from.max(until.plus_micros(-MAX_EXPECTED_MICROS));
        let mut expected = 0.0;
        let mut quarter = quarter_hour(from);
        while quarter < until {
            let end = quarter.plus_micros(QUARTER_HOUR_MICROS);
            let covered = micros_between(quarter.max(from), end.min(until));
            let usual = self.mean_reports(source, channel, quarter).await?;
            expected += usual * float(covered) / float(QUARTER_HOUR_MICROS);
            quarter = end;
        }
        Ok(expected)
    }

    /// Returns the gap in seconds that 99 % of the gaps between two reports of a channel do not
    /// exceed in the hour of a moment.
    pub(super) async fn gap_seconds(
        &mut self,
        source: Source<'_>,
        channel: KnownChannel<'_>,
        moment: Timestamp,
    ) -> Result<Option<f64>, StoreError> {
        let hour = self.known(source, moment).await?;
        let mut gaps = Histogram::default();
        for earlier in hour.of(channel) {
            let of_channel = earlier.iter().filter(|((id, _), _)| id == channel.id);
            for (_, counts) in of_channel {
                gaps.add_all(&counts.gaps, 1);
            }
        }
        Ok(gaps.quantile(0.99))
    }

    /// Returns how many reports of a channel usually arrive in a quarter of an hour.
    async fn mean_reports(
        &mut self,
        source: Source<'_>,
        channel: KnownChannel<'_>,
        quarter: Timestamp,
    ) -> Result<f64, StoreError> {
        let offset = quarter.unix_micros().rem_euclid(HOUR_MICROS);
        let hour = self.known(source, quarter).await?;
        let reports = hour.of(channel).iter().map(|counts| {
            let counts = counts.get(&(channel.id.clone(), offset));
            counts.map_or(0, Counts::total_reports)
        });
        let (hours, total) = reports.fold((0, 0), |(hours, total), reports| {
            (hours + 1, total + reports)
        });
        Ok(if hours == 0 {
            0.0
        } else {
            float(total) / float(hours)
        })
    }

    /// Returns what is known of the hour of a moment, and forgets hours that are long over.
    async fn known(
        &mut self,
        source: Source<'_>,
        moment: Timestamp,
    ) -> Result<&KnownHour, StoreError> {
        let start = hour_start(moment);
        let oldest = start.plus_micros(-MAX_EXPECTED_MICROS - HOUR_MICROS);
        self.0.retain(|hour, _| *hour >= oldest);
        Ok(match self.0.entry(start) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(KnownHour::read(source, start).await?),
        })
    }
}

impl KnownHour {
    async fn read(source: Source<'_>, start: Timestamp) -> Result<Self, StoreError> {
        let mut hour = Self {
            week_before: days_before(source.calendar, start, 7),
            weeks: Vec::new(),
            days: Vec::new(),
        };
        for week in 1..=WEEKS {
            let earlier = days_before(source.calendar, start, 7 * week);
            hour.weeks.push(earlier_hour(source, earlier).await?);
        }
        for day in 1..7 {
            let earlier = days_before(source.calendar, start, day);
            hour.days.push(earlier_hour(source, earlier).await?);
        }
        Ok(hour)
    }

    /// Returns the hours that say what is usual for a channel: those of earlier weeks, or those of
    /// earlier days if the last week is not after the day of its first report; as far back as it
    /// had any report in this hour.
    fn of(&self, channel: KnownChannel<'_>) -> &[EarlierHour] {
        let has_week = channel
            .first_day_end
            .is_some_and(|end| self.week_before >= end);
        let hours = if has_week { &self.weeks } else { &self.days };
        let has_reports = |hour: &EarlierHour| {
            let of_channel = hour.iter().filter(|((id, _), _)| id == channel.id);
            let reports = of_channel.map(|(_, counts)| counts.total_reports());
            reports.sum::<i64>() > 0
        };
        // The newest comes first.
        let oldest = hours.iter().rposition(has_reports);
        let known = oldest.map_or(0, |oldest| oldest + 1);
        hours.get(..known).unwrap_or_default()
    }
}

async fn earlier_hour(source: Source<'_>, start: Timestamp) -> Result<EarlierHour, StoreError> {
    let range = StatisticsRange {
        interval: Interval::QuarterHour,
        from: start,
        until: start.plus_micros(HOUR_MICROS),
        channel: None,
    };
    let rows = source.store.read_statistics(&range).await?;
    let rows = rows.into_iter().map(|row| {
        let offset = row.start.unix_micros().rem_euclid(HOUR_MICROS);
        ((row.channel, offset), row.counts)
    });
    Ok(rows.collect())
}

/// Returns the start of the hour of UTC.
fn hour_start(moment: Timestamp) -> Timestamp {
    moment.plus_micros(-moment.unix_micros().rem_euclid(HOUR_MICROS))
}

/// Returns the same time of day some days earlier, in the time zone of the calendar.
fn days_before(calendar: &dyn Calendar, moment: Timestamp, days: i64) -> Timestamp {
    let day = calendar.day_start(moment);
    let of_day = micros_between(day, moment);
    // Noon, since days may have 23 or 25 hours.
    let noon = day.plus_micros(DAY_MICROS / 2 - days * DAY_MICROS);
    calendar.day_start(noon).plus_micros(of_day)
}

const fn micros_between(from: Timestamp, until: Timestamp) -> i64 {
    until.unix_micros().saturating_sub(from.unix_micros())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and durations are far below 2^53"
)]
const fn float(number: i64) -> f64 {
    number as f64
}
