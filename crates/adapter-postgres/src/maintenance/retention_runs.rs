//! When retention last ran, by the server's clock.

use domain::Timestamp;
use ports::StoreError;
use ports::maintenance::{RetentionClock, RetentionKind, RetentionRun};

use crate::PostgresStore;
use crate::error::store_error;
use crate::rows::time;
use crate::timeout::Operation as _;

const RUNS: &str = "retention_runs";

impl PostgresStore {
    pub(crate) async fn retention_clock(
        &self,
        kind: RetentionKind,
        _: Timestamp,
    ) -> Result<RetentionClock, StoreError> {
        let row = sqlx::query!(
            r#"select now() as "now!", run.ran_at as "ran_at?", run.held_back as "held_back?"
               from (select 1) as one
               left join retention_runs as run on run.kind = $1"#,
            kind.as_str(),
        )
        .fetch_one(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(RUNS))?;
        let last_run = match (row.ran_at, row.held_back) {
            (Some(at), Some(held_back)) => Some(RetentionRun {
                at: time(at, RUNS, "ran_at")?,
                held_back,
            }),
            _ => None,
        };
        Ok(RetentionClock {
            now: time(row.now, RUNS, "now")?,
            last_run,
        })
    }

    pub(crate) async fn note_retention_run(
        &self,
        kind: RetentionKind,
        run: RetentionRun,
    ) -> Result<(), StoreError> {
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
        .in_time(&self.runtime)
        .await
        .map_err(store_error(RUNS))?;
        Ok(())
    }

    pub(crate) async fn has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (before, now) = (before.to_date_time(), now.to_date_time());
        let older = async {
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
                // `greatest` passes over the null of no channel with a time of its own.
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
            }
        };
        older
            .in_time(&self.runtime)
            .await
            .map_err(store_error(RUNS))
    }

    pub(crate) async fn first_report(&self) -> Result<Option<Timestamp>, StoreError> {
        let first = sqlx::query_scalar!(
            "select arrived_at
             from reports
             where id > (select released_through from report_log)
                 or arrived_at <= (select released_after from report_log)
             order by id
             limit 1",
        )
        .fetch_optional(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(RUNS))?;
        first
            .map(|first| time(first, "reports", "arrived_at"))
            .transpose()
    }

    pub(crate) async fn release_reports_after(&self, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query!(
            "update report_log
             set released_through = greatest(released_through, (select max(id) from reports)),
                 released_after = $1",
            now.to_date_time(),
        )
        .execute(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error("report_log"))?;
        Ok(())
    }
}
