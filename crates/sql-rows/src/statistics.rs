//! Rows of statistics.

use std::collections::{BTreeMap, HashMap};

use domain::statistics::{Interval, MessageSummary, StatusChange};
use domain::{
    Address, ChannelId, ErrorCode, LogPosition, LoggedReport, MessageKey, ReportedStatus, Timestamp,
};
use ports::StoreError;
use ports::statistics::{ChangePage, IntervalCounts, MadeDay, StatisticsDays, StatisticsRow};

pub use counts::{from_json, to_json};

use crate::error::corrupt;
use crate::log::{LogSource, MAX_LOOKUPS, WantedReport};
use crate::values::{StoredList, StoredTime, key, optional_time, time};

mod counts;

const STATISTICS: &str = "statistics";
const REPORTS: &str = "reports";
const ARRIVALS: &str = "statistics_arrivals";
const POSITION: &str = "statistics_position";

/// Returns the value of the column `length`.
#[must_use]
pub const fn length(interval: Interval) -> &'static str {
    match interval {
        Interval::QuarterHour => "quarter_hour",
        Interval::Day => "day",
    }
}

/// The columns of `reports` that statistics need.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct ChangeRow<T> {
    pub id: i64,
    pub channel_id: String,
    pub sid: Vec<u8>,
    pub revision: i64,
    pub arrived_at: T,
    pub happened_at: Option<T>,
    pub recipient: String,
    pub status: String,
    pub error_code: Option<String>,
}

impl<T: StoredTime> TryFrom<ChangeRow<T>> for StatusChange {
    type Error = StoreError;

    fn try_from(row: ChangeRow<T>) -> Result<Self, StoreError> {
        let error = row.error_code.as_deref().map(ErrorCode::parse).transpose();
        Ok(Self {
            position: LogPosition(row.id),
            key: key(&row.channel_id, &row.sid, REPORTS)?,
            revision: row.revision,
            arrived_at: time(row.arrived_at, REPORTS, "arrived_at")?,
            happened_at: optional_time(row.happened_at, REPORTS, "happened_at")?,
            recipient: Address::parse(&row.recipient).map_err(corrupt(REPORTS, "recipient"))?,
            status: ReportedStatus::parse(&row.status).map_err(corrupt(REPORTS, "status"))?,
            error: error.map_err(corrupt(REPORTS, "error_code"))?,
        })
    }
}

/// Converts `rows`, read after a position, into a page. `limit` rows were asked for, and reports
/// up to `pruned_through` had been removed when that was asked after reading. `erasures` had
/// finished before.
pub fn change_page<T: StoredTime>(
    rows: Vec<ChangeRow<T>>,
    after: Option<LogPosition>,
    limit: u16,
    pruned_through: LogPosition,
    erasures: i64,
) -> Result<ChangePage, StoreError> {
    let complete = rows.len() < usize::from(limit);
    let changes = rows.into_iter().map(StatusChange::try_from);
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    let last = changes.last().map(|last| last.position);
    Ok(ChangePage {
        next: last
            .or(after)
            .unwrap_or(LogPosition::START)
            .max(pruned_through),
        complete,
        pruned: after.is_some_and(|after| after < pruned_through),
        erasures,
        changes,
    })
}

/// Which reports a message has in the log.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct MessageReportsRow<T, L> {
    pub channel_id: String,
    pub sid: Vec<u8>,
    pub report_ids: L,
    pub first_reported_at: T,
    pub last_reported_at: T,
}

/// Summarises the messages of `changes` by their reports before each of these.
pub async fn summaries<T: StoredTime, L: StoredList<i64>>(
    source: &impl LogSource<T>,
    messages: Vec<MessageReportsRow<T, L>>,
    changes: &[StatusChange],
) -> Result<Vec<(MessageKey, MessageSummary)>, StoreError> {
    let changes: HashMap<&MessageKey, &StatusChange> =
        changes.iter().map(|change| (&change.key, change)).collect();
    let mut wanted = Vec::new();
    let mut earlier: HashMap<MessageKey, Vec<i64>> = HashMap::new();
    for row in messages {
        let key = key(&row.channel_id, &row.sid, "messages")?;
        let ids = row.report_ids.into_list();
        let ids = ids.map_err(corrupt("messages", "report_ids"))?;
        let Some(change) = changes.get(&key) else {
            continue;
        };
        let position = change.position.0;
        // Otherwise the message was removed and recorded again: the report stands alone.
        if !ids.contains(&position) {
            continue;
        }
        let ids: Vec<_> = ids.into_iter().filter(|id| *id < position).collect();
        wanted.extend(ids.iter().map(|id| WantedReport {
            id: *id,
            since: row.first_reported_at,
            until: row.last_reported_at,
            with_fields: false,
        }));
        if !ids.is_empty() {
            earlier.insert(key, ids);
        }
    }
    let mut known: HashMap<MessageKey, (usize, MessageSummary)> = HashMap::new();
    for some in wanted.chunks(MAX_LOOKUPS) {
        for row in source.reports(some.to_vec()).await? {
            let change = StatusChange::from(&LoggedReport::try_from(row)?);
            if let Some((count, summary)) = known.get_mut(&change.key) {
                *count += 1;
                summary.absorb(&change);
            } else {
                let summary = MessageSummary::begin(&change);
                known.insert(change.key, (1, summary));
            }
        }
    }
    let mut summaries = Vec::with_capacity(earlier.len());
    for (key, ids) in earlier {
        let (count, found) = known.remove(&key).unzip();
        let mut summary = found;
        if count != Some(ids.len())
            && let Some(change) = changes.get(&key)
            && let Some(removed) = summary_before(source, change).await?
        {
            summary = Some(match summary {
                Some(summary) => summary.join(removed),
                None => removed,
            });
        }
        summaries.extend(summary.map(|summary| (key, summary)));
    }
    Ok(summaries)
}

/// Summarises what a message stores about the time before a report, some of whose predecessors
/// retention has removed.
async fn summary_before<T>(
    source: &impl LogSource<T>,
    change: &StatusChange,
) -> Result<Option<MessageSummary>, StoreError> {
    let message = source.stored_message(&change.key).await?;
    Ok(message.and_then(|message| {
        let first = message.parties.first_reported_at;
        let state = message.state.before(change.arrived_at);
        (first < change.arrived_at).then(|| MessageSummary::from_state(first, &state))
    }))
}

/// A row of `statistics`.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct CountsRow<T> {
    pub starts_at: T,
    pub channel_id: String,
    pub counts: String,
}

impl<T: StoredTime> TryFrom<CountsRow<T>> for StatisticsRow {
    type Error = StoreError;

    fn try_from(row: CountsRow<T>) -> Result<Self, StoreError> {
        Ok(Self {
            start: time(row.starts_at, STATISTICS, "starts_at")?,
            channel: ChannelId::parse(&row.channel_id)
                .map_err(corrupt(STATISTICS, "channel_id"))?,
            counts: from_json(&row.counts).map_err(corrupt(STATISTICS, "counts"))?,
        })
    }
}

/// A row of `statistics_arrivals`.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct ArrivalRow<T> {
    pub channel_id: String,
    pub arrived_at: T,
}

/// The columns of `statistics_position` about days.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct DaysRow<T> {
    pub zone: Option<String>,
    pub days_since: Option<T>,
    pub next_day: Option<T>,
}

/// Converts a row of `statistics_position`.
pub fn days<T: StoredTime>(row: DaysRow<T>) -> Result<Option<StatisticsDays>, StoreError> {
    let Some(zone) = row.zone else {
        return Ok(None);
    };
    Ok(Some(StatisticsDays {
        zone,
        since: optional_time(row.days_since, POSITION, "days_since")?,
        next: optional_time(row.next_day, POSITION, "next_day")?,
    }))
}

/// Returns the counts of a day by the rows of its quarters of an hour.
pub fn made_day<T: StoredTime>(
    day: &MadeDay,
    quarters: Vec<CountsRow<T>>,
) -> Result<IntervalCounts, StoreError> {
    let mut counts = IntervalCounts::new();
    for row in quarters {
        let row = StatisticsRow::try_from(row)?;
        let sum = counts.entry((Interval::Day, day.start, row.channel));
        sum.or_default().add(&row.counts, 1);
    }
    Ok(counts)
}

/// Converts rows of `statistics_arrivals`.
pub fn arrivals<T: StoredTime>(
    rows: Vec<ArrivalRow<T>>,
) -> Result<BTreeMap<ChannelId, Timestamp>, StoreError> {
    let arrivals = rows.into_iter().map(|row| {
        let channel = ChannelId::parse(&row.channel_id).map_err(corrupt(ARRIVALS, "channel_id"))?;
        Ok((channel, time(row.arrived_at, ARRIVALS, "arrived_at")?))
    });
    arrivals.collect()
}
