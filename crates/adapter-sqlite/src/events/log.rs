//! Reading the log. There is one writer, so ids are in the order of commits and, within a
//! message, in that of revisions.

use std::collections::HashMap;
use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::{LogEntry, LogPosition, LoggedReport, Message, MessageState, Timestamp};
use ports::event_log::{Cursor, LogPage, LogRead, Remaining};
use ports::{EventLog, StoreError};

use crate::SqliteStore;
use crate::error::{corrupt, store_error};
use crate::json;
use crate::rows::{ReportRow, optional_time};
use crate::runtime::Operation as _;

const REPORTS: &str = "reports";
const REPORT_LOG: &str = "report_log";

#[async_trait]
impl EventLog for SqliteStore {
    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError> {
        let rows = self
            .log_rows(after, limit)
            .await
            .map_err(store_error(REPORTS))?;
        let complete = rows.len() < usize::from(limit.get());
        let last = rows.last().map(|row| LogPosition(row.id));
        let entries = self.entries(rows).await?;
        // Asked after the reports were read: what goes from now on is not missing above.
        let oldest = sqlx::query_scalar!("select pruned_through from report_log")
            .fetch_one(&self.readers)
            .run_in(&self.runtime)
            .await
            .map(LogPosition)
            .map_err(store_error(REPORT_LOG))?;
        if after.is_some_and(|after| after < oldest) {
            return Ok(LogRead::Pruned { oldest });
        }
        Ok(LogRead::Page(LogPage {
            entries,
            next: last.or(after).unwrap_or(oldest),
            complete,
        }))
    }

    async fn head(&self) -> Result<LogPosition, StoreError> {
        let head = sqlx::query_scalar!(
            r#"select coalesce(max(seq), 0) as "id!: i64"
               from sqlite_sequence
               where name = 'reports'"#
        )
        .fetch_one(&self.readers)
        .run_in(&self.runtime)
        .await;
        head.map(LogPosition)
            .map_err(store_error("sqlite_sequence"))
    }

    async fn position_at(&self, moment: Timestamp) -> Result<LogPosition, StoreError> {
        let moment = moment.unix_micros();
        let position = sqlx::query_scalar!(
            r#"select max(
                   pruned_through,
                   coalesce(
                       (select min(id) - 1 from reports where arrived_at >= ?),
                       (select seq from sqlite_sequence where name = 'reports'),
                       0
                   )
               ) as "position!: i64"
               from report_log"#,
            moment,
        )
        .fetch_one(&self.readers)
        .run_in(&self.runtime)
        .await;
        position.map(LogPosition).map_err(store_error(REPORTS))
    }

    async fn behind(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError> {
        let limit = at_most.get();
        let rest = sqlx::query!(
            r#"select count(*) as "reports!: i64", min(arrived_at) as "since?: i64",
                   (select pruned_through from report_log) as "pruned_through!: i64"
               from (select arrived_at from reports where id > ? order by id limit ?)"#,
            position.0,
            limit,
        )
        .fetch_one(&self.readers)
        .run_in(&self.runtime)
        .await
        .map_err(store_error(REPORTS))?;
        Ok(Remaining {
            reports: u64::try_from(rest.reports).unwrap_or_default(),
            since: optional_time(rest.since, REPORTS, "arrived_at")?,
            pruned: position.0 < rest.pruned_through,
        })
    }

    async fn cursor(&self, name: &str) -> Result<Option<LogPosition>, StoreError> {
        self.cursor(name).await
    }

    async fn advance_cursor(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        self.advance_cursor(name, from, to).await
    }

    async fn remove_cursor(&self, name: &str) -> Result<(), StoreError> {
        self.remove_cursor(name).await
    }

    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        self.cursors().await
    }
}

/// A report in the order of ids, and the ids of its message's reports.
struct LogRow {
    id: i64,
    channel_id: String,
    sid: Vec<u8>,
    revision: i64,
    effect: String,
    status: String,
    recipient: String,
    sender: String,
    arrived_at: i64,
    credential_id: Vec<u8>,
    error_code: Option<String>,
    error_text: Option<String>,
    idempotency_token: Option<String>,
    fields: String,
    /// Null if the message is gone.
    report_ids: Option<String>,
}

impl LogRow {
    /// The ids of the reports before it.
    fn earlier(&self) -> Result<Vec<i64>, StoreError> {
        let Some(ids) = &self.report_ids else {
            return Ok(Vec::new());
        };
        let mut ids: Vec<i64> =
            serde_json::from_str(ids).map_err(corrupt("messages", "report_ids"))?;
        // None, if its message is another one by now.
        let place = ids.iter().position(|id| *id == self.id);
        ids.truncate(place.unwrap_or_default());
        Ok(ids)
    }

    fn into_report(self) -> Result<LoggedReport, StoreError> {
        ReportRow {
            id: self.id,
            channel_id: self.channel_id,
            sid: self.sid,
            revision: self.revision,
            effect: self.effect,
            status: self.status,
            recipient: self.recipient,
            sender: self.sender,
            arrived_at: self.arrived_at,
            credential_id: self.credential_id,
            error_code: self.error_code,
            error_text: self.error_text,
            idempotency_token: self.idempotency_token,
            fields: self.fields,
        }
        .try_into()
    }
}

impl SqliteStore {
    async fn log_rows(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<Vec<LogRow>, sqlx::Error> {
        let (after, limit) = (after.map(|after| after.0), limit.get());
        sqlx::query_as!(
            LogRow,
            r#"select report.id, report.channel_id, report.sid, report.revision, report.effect,
                   report.status, report.recipient, report.sender, report.arrived_at,
                   report.credential_id, report.error_code, report.error_text,
                   report.idempotency_token, report.fields, message.report_ids as "report_ids?"
               from reports as report
               left join messages as message
                   on message.channel_id = report.channel_id and message.sid = report.sid
               where report.id > coalesce(?, (select pruned_through from report_log))
               order by report.id
               limit ?"#,
            after,
            limit,
        )
        .fetch_all(&self.readers)
        .run_in(&self.runtime)
        .await
    }

    async fn entries(&self, rows: Vec<LogRow>) -> Result<Vec<LogEntry>, StoreError> {
        let mut places = Vec::with_capacity(rows.len());
        let mut reports = HashMap::with_capacity(rows.len());
        for row in rows {
            places.push((row.id, row.earlier()?));
            reports.insert(row.id, row.into_report()?);
        }
        let earlier = places.iter().flat_map(|(_, earlier)| earlier);
        let missing: Vec<_> = earlier
            .copied()
            .filter(|id| !reports.contains_key(id))
            .collect();
        if !missing.is_empty() {
            let rows = self.report_rows(&json::integers(&missing)).await;
            for row in rows.map_err(store_error(REPORTS))? {
                reports.insert(row.id, row.try_into()?);
            }
        }

        let mut entries = Vec::with_capacity(places.len());
        for (id, earlier) in places {
            let Some(report) = reports.get(&id) else {
                continue;
            };
            let mut before = MessageState::default();
            for report in earlier.iter().filter_map(|id| reports.get(id)) {
                before.absorb(&report.report);
            }
            if !earlier.iter().all(|id| reports.contains_key(id)) {
                before = before.join(self.kept_before(report).await?);
            }
            entries.push(LogEntry {
                position: LogPosition(id),
                report: report.clone(),
                before,
            });
        }
        Ok(entries)
    }

    /// Where a message stood before a report some of whose predecessors are gone.
    async fn kept_before(&self, logged: &LoggedReport) -> Result<MessageState, StoreError> {
        let report = &logged.report;
        let row = self.message_row(&report.key).await;
        let Some(row) = row.map_err(store_error("messages"))? else {
            return Ok(MessageState::default());
        };
        let message = Message::try_from(row)?;
        Ok(message.state.before(report.arrived_at))
    }
}
