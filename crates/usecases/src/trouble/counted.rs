//! Evidence from statistics: error codes, stuck messages, silence.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use domain::statistics::{Counts, Interval, QUARTER_HOUR_MICROS, quarter_hour};
use domain::trouble::rules::{
    CodeShare, SentMessages, Silence, error_code, sent_messages, silence, stuck_at_sent,
};
use domain::trouble::{TroubleKey, TroubleKind, TroubleSubject};
use domain::{ChannelId, LogPosition, Timestamp};
use ports::statistics::{StatisticsRange, StatisticsRow};
use ports::{ChannelWithCredentials, EventLog, StoreError};

use super::all_settings::AllSettings;
use super::findings::Findings;
use super::usual::{KnownChannel, Source, UsualHours};

const DAY_MICROS: i64 = 86_400 * 1_000_000;

/// A channel without a report for this time is not in use: 31 days.
const IN_USE_DAYS: i64 = 31;

/// The days before that say which shares are usual.
const USUAL_DAYS: i64 = 7;

/// Age up to which reports may not be counted yet.
const MAX_LAG_MICROS: i64 = 60 * 1_000_000;

/// What statistics say, read once for each quarter of an hour.
#[derive(Debug, Default)]
pub(super) struct CountedEvidence {
    /// The running quarter when it was read.
    quarter: Option<Timestamp>,
    codes: Vec<(ChannelId, CodeShare)>,
    sent: Vec<(ChannelId, SentMessages, SentMessages)>,
    /// Start of the stuck messages' time.
    sent_since: Option<Timestamp>,
    /// End of the first day with reports of each channel, of the last 31.
    first_day_ends: BTreeMap<ChannelId, Timestamp>,
    /// The last interval with reports of each channel: its start and its end.
    last_reports: BTreeMap<ChannelId, (Timestamp, Timestamp)>,
    usual: UsualHours,
}

impl CountedEvidence {
    /// Judges shares of messages. Nothing is judged while statistics lag.
    pub(super) fn judge_shares(&self, settings: &AllSettings, findings: &mut Findings) {
        for (channel, share) in &self.codes {
            let key = TroubleKey {
                kind: TroubleKind::ErrorCode,
                subject: TroubleSubject::Code(channel.clone(), share.code.clone()),
            };
            let settings = settings.of(Some(channel));
            if settings.is_on(TroubleKind::ErrorCode) {
                findings.add(key, error_code(share, settings.thresholds));
            }
        }
        for (channel, recent, usual) in &self.sent {
            let key = TroubleKey {
                kind: TroubleKind::StuckAtSent,
                subject: TroubleSubject::Channel(channel.clone()),
            };
            if let Some(since) = self.sent_since
                && settings.of(Some(channel)).is_on(TroubleKind::StuckAtSent)
            {
                findings.add(key, stuck_at_sent(*recent, *usual, since));
            }
        }
    }

    /// Judges whether a channel is silent.
    pub(super) async fn judge_silence(
        &mut self,
        source: Source<'_>,
        found: &ChannelWithCredentials,
        settings: &AllSettings,
        now: Timestamp,
    ) -> Result<Option<domain::trouble::Finding>, StoreError> {
        let id = &found.channel.id;
        let Some(last_report_at) = self.last_report_at(found, now) else {
            return Ok(None);
        };
        let thresholds = settings.of(Some(id)).thresholds;
        let least = i64::from(thresholds.silence_minutes()) * 60 * 1_000_000;
        if last_report_at >= now.plus_micros(-least) {
            return Ok(None);
        }
        let channel = KnownChannel {
            id,
            first_day_end: self.first_day_ends.get(id).copied(),
        };
        let usual = &mut self.usual;
        let evidence = Silence {
            last_report_at,
            usual_gap_seconds: usual.gap_seconds(source, channel, now).await?,
            expected: usual.expected(source, channel, last_report_at, now).await?,
        };
        Ok(silence(&evidence, thresholds, now))
    }

    /// Returns when the last report of a channel arrived: within the last interval that counts
    /// reports, and not after the last use of a credential.
    fn last_report_at(&self, found: &ChannelWithCredentials, now: Timestamp) -> Option<Timestamp> {
        let (start, end) = *self.last_reports.get(&found.channel.id)?;
        let real = found.credentials.iter().filter(|it| !it.is_test);
        let used = real.filter_map(|it| it.last_used_at);
        let latest = end.min(now);
        Some(
            used.max()
                .map_or(latest, |used| used.min(latest).max(start)),
        )
    }

    /// Reads what has changed since the last time.
    pub(super) async fn read(
        &mut self,
        source: Source<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let quarter = quarter_hour(now);
        if self.quarter != Some(quarter) {
            self.quarter = None;
            self.read_quarter(source, quarter, now).await?;
            self.quarter = Some(quarter);
        }
        let last = quarter.plus_micros(-QUARTER_HOUR_MICROS);
        for row in rows(source, Interval::QuarterHour, last, now).await? {
            self.note_reports(&row, row.start.plus_micros(QUARTER_HOUR_MICROS));
        }
        Ok(())
    }

    async fn read_quarter(
        &mut self,
        source: Source<'_>,
        quarter: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let before = |quarters: i64| quarter.plus_micros(-quarters * QUARTER_HOUR_MICROS);
        let day = source.calendar.day_start(quarter);
        let days_before = |days: i64| {
            let noon = day.plus_micros(DAY_MICROS / 2 - days * DAY_MICROS);
            source.calendar.day_start(noon)
        };
        let days = rows(source, Interval::Day, days_before(IN_USE_DAYS), now).await?;
        let quarters = rows(source, Interval::QuarterHour, before(96), quarter).await?;
        self.last_reports.clear();
        self.first_day_ends.clear();
        for row in &days {
            let end = source
                .calendar
                .day_start(row.start.plus_micros(DAY_MICROS / 2 * 3));
            self.note_reports(row, end);
            if row.counts.total_reports() > 0 {
                let first = self.first_day_ends.entry(row.channel.clone());
                first.or_insert(end);
            }
        }
        for row in &quarters {
            self.note_reports(row, row.start.plus_micros(QUARTER_HOUR_MICROS));
        }
        let usual_from = days_before(USUAL_DAYS);
        // Today's messages count as usual for codes, so that there is something on the first day;
        // those of the last hour are subtracted.
        let usual = sums(days.iter().filter(|row| row.start >= usual_from));
        let settled = days
            .iter()
            .filter(|row| row.start >= usual_from && row.start < day);
        let settled = sums(settled);
        let recent = sums(quarters.iter().filter(|row| row.start >= before(4)));
        let aged = quarters
            .iter()
            .filter(|row| row.start >= before(8) && row.start < before(4));
        let aged = sums(aged);
        self.codes = codes(&recent, &usual, before(4));
        self.sent_since = Some(before(8));
        self.sent = aged
            .iter()
            .map(|(channel, counts)| {
                let usual = settled.get(channel).map(sent_messages);
                let usual = usual.unwrap_or_default();
                (channel.clone(), sent_messages(counts), usual)
            })
            .collect();
        Ok(())
    }

    fn note_reports(&mut self, row: &StatisticsRow, end: Timestamp) {
        if row.counts.total_reports() <= 0 {
            return;
        }
        let interval = (row.start, end);
        // A quarter is more precise than its day, which ends later.
        let known = self.last_reports.entry(row.channel.clone());
        known
            .and_modify(|known| {
                if row.start >= known.0 {
                    *known = interval;
                }
            })
            .or_insert(interval);
    }
}

/// Returns the shares of all codes that occur.
fn codes(
    recent: &BTreeMap<ChannelId, Counts>,
    usual: &BTreeMap<ChannelId, Counts>,
    since: Timestamp,
) -> Vec<(ChannelId, CodeShare)> {
    let mut shares = Vec::new();
    let none = Counts::default();
    for (channel, counts) in recent {
        let usual = usual.get(channel).unwrap_or(&none);
        let all_messages = counts.total_messages();
        let codes: BTreeSet<_> = counts.errors.keys().collect();
        for code in codes {
            let count = |counts: &Counts| counts.errors.get(code).copied().unwrap_or_default();
            let messages = count(counts);
            let share = CodeShare {
                code: code.clone(),
                since,
                messages,
                all_messages,
                usual_messages: (count(usual) - messages).max(0),
                usual_all_messages: (usual.total_messages() - all_messages).max(0),
            };
            shares.push((channel.clone(), share));
        }
    }
    shares
}

fn sums<'a>(rows: impl Iterator<Item = &'a StatisticsRow>) -> BTreeMap<ChannelId, Counts> {
    let mut sums = BTreeMap::<ChannelId, Counts>::new();
    for row in rows {
        sums.entry(row.channel.clone())
            .or_default()
            .add(&row.counts, 1);
    }
    sums
}

async fn rows(
    source: Source<'_>,
    interval: Interval,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<StatisticsRow>, StoreError> {
    let range = StatisticsRange {
        interval,
        from,
        until,
        channel: None,
    };
    source.store.read_statistics(&range).await
}

/// Returns whether reports that arrived more than a minute ago are counted.
pub(super) async fn are_current(
    source: Source<'_>,
    log: &dyn EventLog,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let position = source.store.statistics_position().await?;
    let position = position.unwrap_or(LogPosition::START);
    let waiting = log.count_after(position, NonZeroU16::MIN).await?;
    let oldest = waiting.since;
    Ok(oldest.is_none_or(|oldest| oldest > now.plus_micros(-MAX_LAG_MICROS)))
}
