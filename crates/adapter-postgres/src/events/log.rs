//! Reading the log.
//!
//! The ids of a transaction's reports contain its own id and become visible when it commits, in
//! any order. So a reader stays below the ids of all running transactions: what is there has
//! been decided, and nothing appears before a reader's position.

use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::{LogPosition, Message, MessageKey, Timestamp};
use ports::event_log::{Cursor, LogRead, Remaining};
use ports::{EventLog, StoreError};
use sql_rows::log::{LogSource, WantedReport, page};
use time::OffsetDateTime;

use crate::PostgresStore;
use crate::rows::{LogRow, RemainingRow, ReportRow};
use crate::runtime::Query as _;

const REPORTS: &str = "reports";
const REPORT_LOG: &str = "report_log";
const CURSORS: &str = "log_cursors";

#[async_trait]
impl EventLog for PostgresStore {
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
            r#"select first_undecided_report_id(xact_offset) - 1 as "head!" from report_log"#
        )
        .fetch_one(&self.pool)
        .run(&self.runtime, "find head of log", REPORT_LOG);
        head.await.map(LogPosition)
    }

    async fn seek(&self, moment: Timestamp) -> Result<LogPosition, StoreError> {
        let position = self.seek(moment);
        position
            .run(&self.runtime, "seek log by time", REPORTS)
            .await
    }

    async fn count_after(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError> {
        sqlx::query_as!(
            RemainingRow,
            r#"select count(*) as "reports!", min(arrived_at) as since,
                   (select pruned_through from report_log) as "pruned_through!"
               from (
                   select arrived_at from reports where id > $1 order by id limit $2
               ) as remaining"#,
            position.0,
            i64::from(at_most.get()),
        )
        .fetch_one(&self.pool)
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

impl LogSource<OffsetDateTime> for PostgresStore {
    async fn reports(
        &self,
        wanted: Vec<WantedReport<OffsetDateTime>>,
    ) -> Result<Vec<ReportRow>, StoreError> {
        let ids: Vec<_> = wanted.iter().map(|wanted| wanted.id).collect();
        let since: Vec<_> = wanted.iter().map(|wanted| wanted.since).collect();
        let until: Vec<_> = wanted.iter().map(|wanted| wanted.until).collect();
        let with_fields: Vec<_> = wanted.iter().map(|wanted| wanted.with_fields).collect();
        // The limit keeps the planner from joining whole partitions.
        sqlx::query_as!(
            ReportRow,
            r#"select report.id, report.arrived_at, report.credential_id,
                   report.revision as "revision: i64", report.channel_id, report.sid,
                   report.status, report.effect, report.recipient, report.sender,
                   report.error_code, report.error_text, report.idempotency_token, report.happened_at,
                   -- Fields may be long, and the state of a message does not depend on them.
                   case when wanted.with_fields then report.fields::text else '{}' end as "fields!"
               from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::boolean[])
                   as wanted (id, since, until, with_fields)
               cross join lateral (
                   select id, arrived_at, credential_id, revision, channel_id, sid, status, effect,
                       recipient, sender, error_code, error_text, idempotency_token, happened_at,
                       fields
                   from reports
                   where id = wanted.id and arrived_at between wanted.since and wanted.until
                   limit 1
               ) as report"#,
            &ids,
            &since,
            &until,
            &with_fields,
        )
        .fetch_all(&self.pool)
        .run(&self.runtime, "read reports by id", REPORTS)
        .await
    }

    async fn stored_message(&self, key: &MessageKey) -> Result<Option<Message>, StoreError> {
        let row = self.message_row(key);
        let row = row.run(&self.runtime, "read message", "messages").await?;
        row.map(Message::try_from).transpose()
    }

    async fn pruned_through(&self) -> Result<LogPosition, StoreError> {
        let id = sqlx::query_scalar!("select pruned_through from report_log")
            .fetch_one(&self.pool)
            .run(&self.runtime, "find start of log", REPORT_LOG);
        id.await.map(LogPosition)
    }
}

impl PostgresStore {
    async fn log_rows(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<Vec<LogRow>, sqlx::Error> {
        sqlx::query_as!(
            LogRow,
            r#"select report.id, report.arrived_at, report.credential_id,
                   report.revision as "revision: i64", report.channel_id, report.sid,
                   report.status, report.effect, report.recipient, report.sender,
                   report.error_code, report.error_text, report.idempotency_token, report.happened_at,
                   report.fields::text as "fields!", message.report_ids as "report_ids?",
                   message.first_reported_at as "first_reported_at?",
                   message.last_reported_at as "last_reported_at?"
               from (
                   select id, arrived_at, credential_id, revision, channel_id, sid, status, effect,
                       recipient, sender, error_code, error_text, idempotency_token, happened_at,
                       fields
                   from reports
                   where id > coalesce($1, (select pruned_through from report_log))
                       and id < (select first_undecided_report_id(xact_offset) from report_log)
                   order by id
                   limit $2
               ) as report
               left join messages as message
                   on message.channel_id = report.channel_id and message.sid = report.sid
               order by report.id"#,
            after.map(|after| after.0),
            i64::from(limit.get()),
        )
        .fetch_all(&self.pool)
        .await
    }
}
