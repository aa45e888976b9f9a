//! Reading the log.
//!
//! The ids of a transaction's reports are made of its own id, and are seen by others when it
//! commits, in any order. So a reader stays below the ids of all transactions under way:
//! what is there has been decided, and nothing comes behind it.
//!
//! Within a message the order of ids is not that of revisions, if a transaction had to wait
//! for one that began later. A report is handed out at the greatest id among its message's
//! reports up to its own revision: not before any of these. That follows from the row of the
//! message alone, whose list of ids only ever grows at its end, so every reader comes to the
//! same order and nobody has to remember anything.

use std::collections::HashMap;
use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::{LogEntry, LogPosition, LoggedReport, Message, MessageState, Timestamp};
use ports::event_log::{Cursor, LogPage, LogRead, Remaining};
use ports::{EventLog, StoreError};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::store_error;
use crate::rows::{ReportRow, optional_time};
use crate::timeout::Operation as _;

const REPORTS: &str = "reports";
const REPORT_LOG: &str = "report_log";

#[async_trait]
impl EventLog for PostgresStore {
    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError> {
        let rows = self
            .log_rows(after, limit)
            .in_time(&self.runtime)
            .await
            .map_err(store_error(REPORTS))?;
        let complete = rows.len() < usize::from(limit.get());
        let last = rows.last().map(|row| LogPosition(row.id));
        let entries = self.entries(rows).await?;
        // Asked after the reports were read: what goes from now on is not missing above.
        let oldest = self.pruned_through().await?;
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
            r#"select ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + xact_offset) << 16)
                   - 1 as "head!"
               from report_log"#
        )
        .fetch_one(&self.pool)
        .in_time(&self.runtime)
        .await;
        head.map(LogPosition).map_err(store_error(REPORT_LOG))
    }

    async fn position_at(&self, moment: Timestamp) -> Result<LogPosition, StoreError> {
        self.try_position_at(moment)
            .in_time(&self.runtime)
            .await
            .map_err(store_error(REPORTS))
    }

    async fn behind(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError> {
        let rest = sqlx::query!(
            r#"select count(*) as "reports!", min(arrived_at) as since,
                   (select pruned_through from report_log) as "pruned_through!"
               from (
                   select arrived_at from reports where id > $1 order by id limit $2
               ) as behind"#,
            position.0,
            i64::from(at_most.get()),
        )
        .fetch_one(&self.pool)
        .in_time(&self.runtime)
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

/// A report in the order of ids, and what its message says of its place.
struct LogRow {
    id: i64,
    arrived_at: OffsetDateTime,
    credential_id: Uuid,
    revision: i32,
    channel_id: String,
    sid: Vec<u8>,
    status: String,
    effect: String,
    recipient: String,
    sender: String,
    error_code: Option<String>,
    error_text: Option<String>,
    idempotency_token: Option<String>,
    fields: String,
    /// Null if the message is gone.
    report_ids: Option<Vec<i64>>,
    first_reported_at: Option<OffsetDateTime>,
    last_reported_at: Option<OffsetDateTime>,
}

/// The reports of a message that stand around one of them.
struct Neighbours {
    /// The ids of its reports from the first one to those that are handed out with this one.
    ids: Vec<i64>,
    /// How many of these come before it.
    before: usize,
    since: OffsetDateTime,
    until: OffsetDateTime,
}

impl LogRow {
    /// `None` if it is handed out further on.
    fn neighbours(&mut self) -> Option<Neighbours> {
        let mut ids = self.report_ids.take().unwrap_or_default();
        let before = usize::try_from(self.revision - 1).unwrap_or_default();
        let times = self.first_reported_at.zip(self.last_reported_at);
        let (true, Some((since, until))) = (ids.get(before) == Some(&self.id), times) else {
            // Its message is another one by now, or none: it stands alone.
            return Some(Neighbours {
                ids: vec![self.id],
                before: 0,
                since: self.arrived_at,
                until: self.arrived_at,
            });
        };
        if ids.iter().take(before).any(|id| *id > self.id) {
            return None;
        }
        let later = ids.iter().skip(before + 1);
        let together = later.take_while(|id| **id < self.id).count();
        ids.truncate(before + 1 + together);
        Some(Neighbours {
            ids,
            before,
            since,
            until,
        })
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
            fields: self.fields,
        }
        .try_into()
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
            r#"select report.id, report.arrived_at, report.credential_id, report.revision,
                   report.channel_id, report.sid, report.status, report.effect, report.recipient,
                   report.sender, report.error_code, report.error_text, report.idempotency_token,
                   report.fields::text as "fields!", message.report_ids as "report_ids?",
                   message.first_reported_at as "first_reported_at?",
                   message.last_reported_at as "last_reported_at?"
               from (
                   select id, arrived_at, credential_id, revision, channel_id, sid, status, effect,
                       recipient, sender, error_code, error_text, idempotency_token, fields
                   from reports
                   where id > coalesce($1, (select pruned_through from report_log))
                       and id < (
                           select
                               (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + xact_offset)
                                   << 16
                           from report_log
                       )
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

    async fn pruned_through(&self) -> Result<LogPosition, StoreError> {
        let id = sqlx::query_scalar!("select pruned_through from report_log")
            .fetch_one(&self.pool)
            .in_time(&self.runtime)
            .await;
        id.map(LogPosition).map_err(store_error(REPORT_LOG))
    }

    /// What is handed out at the ids of these rows.
    async fn entries(&self, rows: Vec<LogRow>) -> Result<Vec<LogEntry>, StoreError> {
        let mut places = Vec::with_capacity(rows.len());
        let mut reports = HashMap::with_capacity(rows.len());
        for mut row in rows {
            let neighbours = row.neighbours();
            places.extend(neighbours.map(|neighbours| (row.id, neighbours)));
            reports.insert(row.id, row.into_report()?);
        }
        for report in self.reports_beside(&places, &reports).await? {
            reports.insert(report.id, report);
        }

        let mut entries = Vec::with_capacity(places.len());
        for (position, neighbours) in places {
            let (before, handed_out) = neighbours.ids.split_at(neighbours.before);
            let mut state = MessageState::default();
            for earlier in before.iter().filter_map(|id| reports.get(id)) {
                state.absorb(&earlier.report);
            }
            if !before.iter().all(|id| reports.contains_key(id)) {
                state = state.join(self.kept_before(reports.get(&position)).await?);
            }
            for report in handed_out.iter().filter_map(|id| reports.get(id)) {
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

    /// The reports around those of a page that are not on it, as far as they are kept.
    async fn reports_beside(
        &self,
        places: &[(i64, Neighbours)],
        on_the_page: &HashMap<i64, LoggedReport>,
    ) -> Result<Vec<LoggedReport>, StoreError> {
        let (mut ids, mut since, mut until) = (Vec::new(), Vec::new(), Vec::new());
        for (_, neighbours) in places {
            for id in &neighbours.ids {
                if !on_the_page.contains_key(id) {
                    ids.push(*id);
                    since.push(neighbours.since);
                    until.push(neighbours.until);
                }
            }
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        // The limit keeps the planner from joining whole partitions.
        let rows = sqlx::query_as!(
            ReportRow,
            r#"select report.id, report.arrived_at, report.credential_id, report.revision,
                   report.channel_id, report.sid, report.status, report.effect, report.recipient,
                   report.sender, report.error_code, report.error_text, report.idempotency_token,
                   report.fields::text as "fields!"
               from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[])
                   as wanted (id, since, until)
               cross join lateral (
                   select id, arrived_at, credential_id, revision, channel_id, sid, status, effect,
                       recipient, sender, error_code, error_text, idempotency_token, fields
                   from reports
                   where id = wanted.id and arrived_at between wanted.since and wanted.until
                   limit 1
               ) as report"#,
            &ids,
            &since,
            &until,
        )
        .fetch_all(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(REPORTS))?;
        rows.into_iter().map(LoggedReport::try_from).collect()
    }

    /// Where a message stood before a report some of whose predecessors are gone.
    async fn kept_before(&self, logged: Option<&LoggedReport>) -> Result<MessageState, StoreError> {
        let Some(LoggedReport { report, .. }) = logged else {
            return Ok(MessageState::default());
        };
        let row = self.message_row(&report.key).in_time(&self.runtime).await;
        let Some(row) = row.map_err(store_error("messages"))? else {
            return Ok(MessageState::default());
        };
        let message = Message::try_from(row)?;
        Ok(message.state.before(report.arrived_at))
    }
}
