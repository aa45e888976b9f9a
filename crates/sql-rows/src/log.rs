//! Reading the report log in delivery order.
//!
//! Rows are read in the order of ids. Within a message that is not always the order of
//! revisions: on PostgreSQL a transaction may have waited for one that began later. Therefore a
//! report is returned at the highest id among the reports of its message up to its own revision.
//! This follows from the message row alone, whose list of ids only grows at its end, so every
//! reader sees the same order.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;

use domain::{LogEntry, LogPosition, LoggedReport, Message, MessageKey, MessageState};
use ports::StoreError;
use ports::event_log::{LogPage, LogRead, Remaining};
use uuid::Uuid;

use crate::error::corrupt;
use crate::messages::ReportRow;
use crate::values::{StoredList, StoredTime, optional_time};

/// How many reports that are not on a page are looked up, for each row that the page may have.
const MAX_LOOKUPS_PER_ROW: usize = 16;

/// How many reports are looked up for a page of any size, and in one statement.
pub(crate) const MAX_LOOKUPS: usize = 20_000;

/// A row of `reports`, and of its message what decides where it is returned.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the tables")]
pub struct LogRow<T, L> {
    pub id: i64,
    pub arrived_at: T,
    pub credential_id: Uuid,
    pub revision: i64,
    pub channel_id: String,
    pub sid: Vec<u8>,
    pub status: String,
    pub effect: String,
    pub recipient: String,
    pub sender: String,
    pub error_code: Option<String>,
    pub error_text: Option<String>,
    pub idempotency_token: Option<String>,
    pub happened_at: Option<T>,
    pub fields: String,
    /// Null if the message was removed, as the next two.
    pub report_ids: Option<L>,
    pub first_reported_at: Option<T>,
    pub last_reported_at: Option<T>,
}

/// A report to look up.
#[derive(Clone, Copy, Debug)]
#[expect(
    missing_docs,
    reason = "the range of times narrows the partitions searched"
)]
pub struct WantedReport<T> {
    pub id: i64,
    pub since: T,
    pub until: T,
    /// Whether its fields are needed. The state of its message does not depend on them.
    pub with_fields: bool,
}

/// Where [`page`] looks up what the rows of a page lack.
pub trait LogSource<T>: Sync {
    /// Returns those of the reports that are still stored, in any order. Fields that are not needed
    /// are left out.
    fn reports(
        &self,
        wanted: Vec<WantedReport<T>>,
    ) -> impl Future<Output = Result<Vec<ReportRow<T>>, StoreError>> + Send;

    /// Returns the message, if it is still stored.
    fn stored_message(
        &self,
        key: &MessageKey,
    ) -> impl Future<Output = Result<Option<Message>, StoreError>> + Send;

    /// Returns the position through which retention has removed reports.
    fn pruned_through(&self) -> impl Future<Output = Result<LogPosition, StoreError>> + Send;
}

/// Which reports are returned at the id of a row.
struct Placement<T> {
    /// The ids of the message's reports, from the first to the last one returned here.
    ids: Vec<i64>,
    /// How many of them are returned at lower ids.
    before: usize,
    since: T,
    until: T,
}

impl<T: StoredTime, L: StoredList<i64>> LogRow<T, L> {
    /// Returns `None` if the report is returned at a higher id.
    fn placement(&mut self) -> Result<Option<Placement<T>>, StoreError> {
        let ids = self.report_ids.take().map(StoredList::into_list);
        let ids = ids.transpose().map_err(corrupt("messages", "report_ids"))?;
        let mut ids = ids.unwrap_or_default();
        let before = usize::try_from(self.revision - 1).unwrap_or_default();
        let times = self.first_reported_at.zip(self.last_reported_at);
        let (true, Some((since, until))) = (ids.get(before) == Some(&self.id), times) else {
            // Its message was removed, and perhaps recorded again: the report stands alone.
            return Ok(Some(Placement {
                ids: vec![self.id],
                before: 0,
                since: self.arrived_at,
                until: self.arrived_at,
            }));
        };
        if ids.iter().take(before).any(|id| *id > self.id) {
            return Ok(None);
        }
        let later = ids.iter().skip(before + 1);
        let together = later.take_while(|id| **id < self.id).count();
        ids.truncate(before + 1 + together);
        Ok(Some(Placement {
            ids,
            before,
            since,
            until,
        }))
    }

    fn into_report(self) -> Result<LoggedReport, StoreError> {
        ReportRow {
            id: self.id,
            arrived_at: self.arrived_at,
            credential_id: self.credential_id,
            revision: self.revision,
            channel_id: self.channel_id,
            sid: self.sid,
            status: self.status,
            effect: self.effect,
            recipient: self.recipient,
            sender: self.sender,
            error_code: self.error_code,
            error_text: self.error_text,
            idempotency_token: self.idempotency_token,
            happened_at: self.happened_at,
            fields: self.fields,
        }
        .try_into()
    }
}

/// Converts `rows`, at most `limit`, read after a position, into a page.
pub async fn page<T: StoredTime, L: StoredList<i64>>(
    source: &impl LogSource<T>,
    rows: Vec<LogRow<T, L>>,
    after: Option<LogPosition>,
    limit: NonZeroU16,
) -> Result<LogRead, StoreError> {
    let limit = usize::from(limit.get());
    let all_read = rows.len() < limit;
    let max_lookups = (limit * MAX_LOOKUPS_PER_ROW).min(MAX_LOOKUPS);
    let rows = PlacedRows::place(rows, max_lookups)?;
    let (last, complete) = (rows.last, all_read && rows.complete);
    let entries = entries(source, rows).await?;
    // Asked after the reports were read: what is pruned from now on is not missing above.
    let oldest = source.pruned_through().await?;
    if after.is_some_and(|after| after < oldest) {
        return Ok(LogRead::Pruned { oldest });
    }
    Ok(LogRead::Page(LogPage {
        entries,
        next: last.or(after).unwrap_or(oldest),
        complete,
    }))
}

/// The rows of a page, and what they lack.
struct PlacedRows<T> {
    /// By the ids of the rows.
    placements: Vec<(i64, Placement<T>)>,
    /// The reports of the rows by id.
    reports: HashMap<i64, LoggedReport>,
    /// Reports that the placements name and the rows do not have, by id, each once.
    wanted: BTreeMap<i64, WantedReport<T>>,
    last: Option<LogPosition>,
    /// Whether no row was left out.
    complete: bool,
}

impl<T: StoredTime> PlacedRows<T> {
    /// Places rows until they need more than `max_lookups` other reports; the next page begins with
    /// the row that does. One row is always placed: its message has a limited number of reports.
    fn place<L: StoredList<i64>>(
        rows: Vec<LogRow<T, L>>,
        max_lookups: usize,
    ) -> Result<Self, StoreError> {
        let mut placed = Self {
            placements: Vec::with_capacity(rows.len()),
            reports: HashMap::with_capacity(rows.len()),
            wanted: BTreeMap::new(),
            last: None,
            complete: true,
        };
        for mut row in rows {
            let placement = row.placement()?;
            let needed = placement.as_ref().map_or(0, |it| placed.needed(row.id, it));
            if placed.last.is_some() && placed.wanted.len() + needed > max_lookups {
                placed.complete = false;
                break;
            }
            placed.last = Some(LogPosition(row.id));
            if let Some(placement) = placement {
                placed.want(row.id, &placement);
                placed.placements.push((row.id, placement));
            }
            placed.reports.insert(row.id, row.into_report()?);
        }
        Ok(placed)
    }

    /// Returns how many more reports a placement needs.
    fn needed(&self, row: i64, placement: &Placement<T>) -> usize {
        let ids = placement.ids.iter();
        let missing = ids.filter(|id| **id != row && !self.reports.contains_key(*id));
        missing.filter(|id| !self.wanted.contains_key(*id)).count()
    }

    /// Adds what a placement needs. All of it has lower ids than its row, so the rows before have
    /// been added.
    fn want(&mut self, row: i64, placement: &Placement<T>) {
        for (place, id) in placement.ids.iter().enumerate() {
            if *id == row || self.reports.contains_key(id) {
                continue;
            }
            let wanted = self.wanted.entry(*id).or_insert(WantedReport {
                id: *id,
                since: placement.since,
                until: placement.until,
                with_fields: false,
            });
            wanted.with_fields |= place >= placement.before;
        }
    }
}

/// Returns the entries at the ids of the rows.
async fn entries<T: StoredTime>(
    source: &impl LogSource<T>,
    rows: PlacedRows<T>,
) -> Result<Vec<LogEntry>, StoreError> {
    let PlacedRows {
        placements,
        mut reports,
        wanted,
        ..
    } = rows;
    if !wanted.is_empty() {
        for row in source.reports(wanted.into_values().collect()).await? {
            reports.insert(row.id, row.try_into()?);
        }
    }

    let mut entries = Vec::with_capacity(placements.len());
    for (position, placement) in placements {
        let (before, returned) = placement.ids.split_at(placement.before);
        let mut state = MessageState::default();
        for earlier in before.iter().filter_map(|id| reports.get(id)) {
            state.absorb(&earlier.report);
        }
        if !before.iter().all(|id| reports.contains_key(id)) {
            state = state.join(state_before(source, reports.get(&position)).await?);
        }
        for report in returned.iter().filter_map(|id| reports.get(id)) {
            let entry = LogEntry {
                position: LogPosition(position),
                report: report.clone(),
                before: state,
            };
            state = entry.after();
            entries.push(entry);
        }
    }
    Ok(entries)
}

/// Returns the state of a message before a report some of whose predecessors were pruned.
async fn state_before<T>(
    source: &impl LogSource<T>,
    logged: Option<&LoggedReport>,
) -> Result<MessageState, StoreError> {
    let Some(LoggedReport { report, .. }) = logged else {
        return Ok(MessageState::default());
    };
    let message = source.stored_message(&report.key).await?;
    Ok(message.map_or_else(MessageState::default, |message| {
        message.state.before(report.arrived_at)
    }))
}

/// What is counted of the log after a position.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the query")]
pub struct RemainingRow<T> {
    pub reports: i64,
    pub since: Option<T>,
    pub pruned_through: i64,
}

impl<T: StoredTime> RemainingRow<T> {
    /// Converts the row; it was counted after `position`.
    pub fn after(self, position: LogPosition) -> Result<Remaining, StoreError> {
        Ok(Remaining {
            reports: u64::try_from(self.reports).unwrap_or_default(),
            since: optional_time(self.since, "reports", "arrived_at")?,
            pruned: position.0 < self.pruned_through,
        })
    }
}
