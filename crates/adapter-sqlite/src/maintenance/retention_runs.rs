//! Runs of retention. The engine has no clock of its own: that of this process counts.

use domain::Timestamp;
use domain::retention_days::DAY_MICROS;
use ports::maintenance::{RetentionKind, RetentionRun};

use crate::SqliteStore;
use crate::rows::RetentionRunRow;

impl SqliteStore {
    pub(crate) async fn last_run(
        &self,
        kind: RetentionKind,
    ) -> Result<Option<RetentionRunRow>, sqlx::Error> {
        sqlx::query_as!(
            RetentionRunRow,
            r#"select ran_at, held_back as "held_back: bool" from retention_runs where kind = ?"#,
            kind.as_str(),
        )
        .fetch_optional(&self.readers)
        .await
    }

    pub(crate) async fn store_run(
        &self,
        kind: RetentionKind,
        run: RetentionRun,
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into retention_runs (kind, ran_at, held_back)
             values (?, ?, ?)
             on conflict (kind) do update
             set ran_at = excluded.ran_at, held_back = excluded.held_back",
            kind.as_str(),
            run.at.unix_micros(),
            run.held_back,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    pub(crate) async fn try_has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, sqlx::Error> {
        let (before, now) = (before.unix_micros(), now.unix_micros());
        match kind {
            RetentionKind::Reports => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select 1 from reports where arrived_at < ?
                       ) as "older!: bool""#,
                    before,
                )
                .fetch_one(&self.readers)
                .await
            }
            RetentionKind::Messages => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select 1
                           from messages
                           where first_reported_at < max(
                               ?1,
                               coalesce(
                                   ?2 - ?3 * (select min(keep_messages_days) from channels),
                                   ?1
                               )
                           )
                       ) as "older!: bool""#,
                    before,
                    now,
                    DAY_MICROS,
                )
                .fetch_one(&self.readers)
                .await
            }
            RetentionKind::Deliveries => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select 1 from deliveries where finished_at < ?
                       ) as "older!: bool""#,
                    before,
                )
                .fetch_one(&self.readers)
                .await
            }
            RetentionKind::Audit => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select 1 from audit_log where at < ?
                       ) as "older!: bool""#,
                    before,
                )
                .fetch_one(&self.readers)
                .await
            }
            RetentionKind::ForwardedRequests => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select 1 from forwarded_requests where arrived_at < ?
                       ) as "older!: bool""#,
                    before,
                )
                .fetch_one(&self.readers)
                .await
            }
        }
    }

    /// Returns when the first report arrived that was not released.
    pub(crate) async fn first_arrival(&self) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar!(
            "select arrived_at
             from reports
             where id > (select released_through from report_log)
                 or arrived_at <= (select released_after from report_log)
             order by id
             limit 1",
        )
        .fetch_optional(&self.readers)
        .await
    }

    pub(crate) async fn try_release_reports_after(
        &self,
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!(
            "update report_log
             set released_through = max(
                     released_through, coalesce((select max(id) from reports), 0)
                 ),
                 released_after = ?",
            now.unix_micros(),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}
