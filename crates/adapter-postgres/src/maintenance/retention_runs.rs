//! Runs of retention, by the server's clock.

use domain::Timestamp;
use ports::maintenance::{RetentionKind, RetentionRun};
use time::OffsetDateTime;

use crate::PostgresStore;
use crate::rows::RetentionRunRow;

impl PostgresStore {
    pub(crate) async fn clock_and_last_run(
        &self,
        kind: RetentionKind,
    ) -> Result<(OffsetDateTime, Option<RetentionRunRow>), sqlx::Error> {
        let row = sqlx::query!(
            r#"select now() as "now!", run.ran_at as "ran_at?", run.held_back as "held_back?"
               from (select 1) as one
               left join retention_runs as run on run.kind = $1"#,
            kind.as_str(),
        )
        .fetch_one(&self.pool)
        .await?;
        let run = row.ran_at.zip(row.held_back);
        let run = run.map(|(ran_at, held_back)| RetentionRunRow { ran_at, held_back });
        Ok((row.now, run))
    }

    pub(crate) async fn store_run(
        &self,
        kind: RetentionKind,
        run: RetentionRun,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "insert into retention_runs (kind, ran_at, held_back)
             values ($1, $2, $3)
             on conflict (kind) do update
             set ran_at = excluded.ran_at, held_back = excluded.held_back",
            kind.as_str(),
            run.at.to_date_time(),
            run.held_back,
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    pub(crate) async fn try_has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let (before, now) = (before.to_date_time(), now.to_date_time());
        match kind {
            RetentionKind::Reports => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select from reports where arrived_at < $1
                       ) as "older!""#,
                    before,
                )
                .fetch_one(&self.pool)
                .await
            }
            // `greatest` ignores the null if no channel has a retention of its own.
            RetentionKind::Messages => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select from messages
                           where first_reported_at < greatest(
                               $1,
                               $2::timestamptz - interval '24 hours' * (
                                   select min(keep_messages_days) from channels
                               )
                           )
                       ) as "older!""#,
                    before,
                    now,
                )
                .fetch_one(&self.pool)
                .await
            }
            RetentionKind::Deliveries => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select from deliveries where finished_at < $1
                       ) as "older!""#,
                    before,
                )
                .fetch_one(&self.pool)
                .await
            }
            RetentionKind::Audit => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select from audit_log where at < $1
                       ) as "older!""#,
                    before,
                )
                .fetch_one(&self.pool)
                .await
            }
            RetentionKind::ForwardedRequests => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select from forwarded_requests where arrived_at < $1
                       ) as "older!""#,
                    before,
                )
                .fetch_one(&self.pool)
                .await
            }
        }
    }

    /// Returns when the first report arrived that was not released.
    pub(crate) async fn first_arrival(&self) -> Result<Option<OffsetDateTime>, sqlx::Error> {
        sqlx::query_scalar!(
            "select arrived_at
             from reports
             where id > (select released_through from report_log)
                 or arrived_at <= (select released_after from report_log)
             order by id
             limit 1",
        )
        .fetch_optional(&self.pool)
        .await
    }

    pub(crate) async fn try_release_reports_after(
        &self,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update report_log
             set released_through = greatest(released_through, (select max(id) from reports)),
                 released_after = $1",
            now.to_date_time(),
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }
}
