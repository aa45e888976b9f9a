//! Reading the log. There is one writer, so ids are in the order of commits and, within a
//! message, in the order of revisions.

use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::{LogPosition, Message, MessageKey, Timestamp};
use ports::event_log::{Cursor, LogRead, Remaining};
use ports::{EventLog, StoreError};
use sql_rows::log::{LogSource, WantedReport, page};
use uuid::Uuid;

use crate::SqliteStore;
use crate::json;
use crate::rows::{LogRow, RemainingRow, ReportRow};
use crate::runtime::Query as _;

const REPORTS: &str = "reports";
const REPORT_LOG: &str = "report_log";
const CURSORS: &str = "log_cursors";

#[async_trait]
impl EventLog for SqliteStore {
    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError> {
        let rows = self.log_rows(after, limit);
        let rows = rows.run(&self.runtime, "read log", REPORTS).await?;
        page(self, rows, after, limit).await
    }

    async fn head(&self) -> Result<LogPosition, StoreError> {
        let head = sqlx::query_scalar!(
            r#"select coalesce(max(seq), 0) as "id!: i64"
               from sqlite_sequence
               where name = 'reports'"#
        )
        .fetch_one(&self.readers)
        .run(&self.runtime, "find head of log", "sqlite_sequence");
        head.await.map(LogPosition)
    }

    async fn seek(&self, moment: Timestamp) -> Result<LogPosition, StoreError> {
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
            moment.unix_micros(),
        )
        .fetch_one(&self.readers)
        .run(&self.runtime, "seek log by time", REPORTS);
        position.await.map(LogPosition)
    }

    async fn count_after(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError> {
        sqlx::query_as!(
            RemainingRow,
            r#"select count(*) as "reports!: i64", min(arrived_at) as "since?: i64",
                   (select pruned_through from report_log) as "pruned_through!: i64"
               from (select arrived_at from reports where id > ? order by id limit ?)"#,
            position.0,
            at_most.get(),
        )
        .fetch_one(&self.readers)
        .run(&self.runtime, "count remaining reports", REPORTS)
        .await?
        .after(position)
    }

    async fn cursor(&self, name: &str) -> Result<Option<LogPosition>, StoreError> {
        let cursor = self.try_cursor(name);
        cursor.run(&self.runtime, "load cursor", CURSORS).await
    }

    async fn advance_cursor(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let moved = self.try_advance_cursor(name, from, to);
        moved.run(&self.runtime, "advance cursor", CURSORS).await
    }

    async fn remove_cursor(&self, name: &str) -> Result<(), StoreError> {
        let removed = self.try_remove_cursor(name);
        removed.run(&self.runtime, "remove cursor", CURSORS).await
    }

    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        let cursors = self.try_cursors();
        cursors.run(&self.runtime, "list cursors", CURSORS).await
    }
}

impl LogSource<i64> for SqliteStore {
    async fn reports(&self, wanted: Vec<WantedReport<i64>>) -> Result<Vec<ReportRow>, StoreError> {
        let wanted = json::array(wanted.iter().map(|wanted| (wanted.id, wanted.with_fields)));
        let rows = self.wanted_rows(&wanted);
        rows.run(&self.runtime, "read reports by id", REPORTS).await
    }

    async fn stored_message(&self, key: &MessageKey) -> Result<Option<Message>, StoreError> {
        let row = self.message_row(key);
        let row = row.run(&self.runtime, "read message", "messages").await?;
        row.map(Message::try_from).transpose()
    }

    async fn pruned_through(&self) -> Result<LogPosition, StoreError> {
        let id = sqlx::query_scalar!("select pruned_through from report_log")
            .fetch_one(&self.readers)
            .run(&self.runtime, "find start of log", REPORT_LOG);
        id.await.map(LogPosition)
    }
}

impl SqliteStore {
    /// Returns the reports of a JSON array of ids, each with whether its fields are needed.
    async fn wanted_rows(&self, wanted: &str) -> Result<Vec<ReportRow>, sqlx::Error> {
        sqlx::query_as!(
            ReportRow,
            r#"select report.id, report.channel_id, report.sid, report.revision, report.effect,
                   report.status, report.recipient, report.sender, report.arrived_at,
                   report.credential_id as "credential_id: Uuid", report.error_code,
                   report.error_text, report.idempotency_token, report.happened_at,
                   -- Fields may be long, and the state of a message does not depend on them.
                   case when wanted.value ->> 1 then report.fields else '{}' end
                       as "fields!: String"
               from json_each(?) as wanted
               cross join reports as report on report.id = wanted.value ->> 0"#,
            wanted,
        )
        .fetch_all(&self.readers)
        .await
    }

    async fn log_rows(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<Vec<LogRow>, sqlx::Error> {
        sqlx::query_as!(
            LogRow,
            r#"select report.id, report.channel_id, report.sid, report.revision, report.effect,
                   report.status, report.recipient, report.sender, report.arrived_at,
                   report.credential_id as "credential_id: Uuid", report.error_code,
                   report.error_text, report.idempotency_token, report.happened_at, report.fields,
                   message.report_ids as "report_ids?",
                   message.first_reported_at as "first_reported_at?",
                   message.last_reported_at as "last_reported_at?"
               from reports as report
               left join messages as message
                   on message.channel_id = report.channel_id and message.sid = report.sid
               where report.id > coalesce(?, (select pruned_through from report_log))
               order by report.id
               limit ?"#,
            after.map(|after| after.0),
            limit.get(),
        )
        .fetch_all(&self.readers)
        .await
    }
}
