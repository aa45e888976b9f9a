//! Reads the log for the reader of statistics.

use std::num::NonZeroU16;

use domain::LogPosition;
use domain::statistics::StatusChange;

use crate::PostgresStore;
use crate::rows::{ChangeRow, MessageReportsRow};

impl PostgresStore {
    pub(super) async fn change_rows(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<Vec<ChangeRow>, sqlx::Error> {
        sqlx::query_as!(
            ChangeRow,
            r#"select id, channel_id, sid, revision as "revision: i64", arrived_at, happened_at,
                   recipient, status, error_code
               from reports
               where id > greatest($1, (select pruned_through from report_log))
                   and id < (select first_undecided_report_id(xact_offset) from report_log)
               order by id
               limit $2"#,
            after.map(|after| after.0),
            i64::from(limit.get()),
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn try_log_end(&self) -> Result<LogPosition, sqlx::Error> {
        // Every transaction that has committed is before the first one that has not begun.
        let end = sqlx::query_scalar!(
            r#"select first_report_id(pg_snapshot_xmax(pg_current_snapshot()), xact_offset) - 1
                   as "end!"
               from report_log"#
        );
        end.fetch_one(&self.pool).await.map(LogPosition)
    }

    pub(super) async fn message_reports(
        &self,
        changes: &[StatusChange],
    ) -> Result<Vec<MessageReportsRow>, sqlx::Error> {
        let channels: Vec<_> = changes
            .iter()
            .map(|change| change.key.channel.as_str().to_owned())
            .collect();
        let sids: Vec<_> = changes
            .iter()
            .map(|change| change.key.sid.to_compact())
            .collect();
        sqlx::query_as!(
            MessageReportsRow,
            "select channel_id, sid, report_ids, first_reported_at, last_reported_at
             from messages
             where (channel_id, sid) in (select * from unnest($1::text[], $2::bytea[]))",
            &channels,
            &sids,
        )
        .fetch_all(&self.pool)
        .await
    }
}
