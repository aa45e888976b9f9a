//! Reads the log for the reader of statistics.

use std::num::NonZeroU16;

use domain::LogPosition;
use domain::statistics::StatusChange;

use crate::SqliteStore;
use crate::json;
use crate::rows::{ChangeRow, MessageReportsRow};

impl SqliteStore {
    pub(super) async fn change_rows(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<Vec<ChangeRow>, sqlx::Error> {
        sqlx::query_as!(
            ChangeRow,
            "select id, channel_id, sid, revision, arrived_at, happened_at, recipient, status,
                 error_code
             from reports
             where id > max(coalesce(?, 0), (select pruned_through from report_log))
             order by id
             limit ?",
            after.map(|after| after.0),
            limit.get(),
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn message_reports(
        &self,
        changes: &[StatusChange],
    ) -> Result<Vec<MessageReportsRow>, sqlx::Error> {
        let keys = json::keys(changes.iter().map(|change| &change.key));
        sqlx::query_as!(
            MessageReportsRow,
            "select channel_id, sid, report_ids, first_reported_at, last_reported_at
             from messages
             where (channel_id, sid) in (
                 select value ->> 0, unhex(value ->> 1) from json_each(?)
             )",
            keys,
        )
        .fetch_all(&self.readers)
        .await
    }
}
