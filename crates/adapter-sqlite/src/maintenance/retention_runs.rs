//! When retention last ran. The engine has no clock of its own: that of this process counts.

use domain::Timestamp;
use domain::retention_days::DAY_MICROS;
use ports::StoreError;
use ports::maintenance::{RetentionClock, RetentionKind, RetentionRun};

use crate::SqliteStore;
use crate::error::store_error;
use crate::rows::time;
use crate::runtime::Operation as _;

const RUNS: &str = "retention_runs";

impl SqliteStore {
    pub(crate) async fn retention_clock(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<RetentionClock, StoreError> {
        let kind = kind.as_str();
        let row = sqlx::query!(
            r#"select ran_at, held_back as "held_back: bool" from retention_runs where kind = ?"#,
            kind,
        )
        .fetch_optional(&self.readers)
        .run_in(&self.runtime)
        .await
        .map_err(store_error(RUNS))?;
        let last_run = row.map(|row| {
            Ok(RetentionRun {
                at: time(row.ran_at, RUNS, "ran_at")?,
                held_back: row.held_back,
            })
        });
        Ok(RetentionClock {
            now,
            last_run: last_run.transpose()?,
        })
    }

    pub(crate) async fn note_retention_run(
        &self,
        kind: RetentionKind,
        run: RetentionRun,
    ) -> Result<(), StoreError> {
        self.try_note(kind, run).await.map_err(store_error(RUNS))
    }

    pub(crate) async fn has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (before, now) = (before.unix_micros(), now.unix_micros());
        let older = match kind {
            RetentionKind::Reports => {
                sqlx::query_scalar!(
                    r#"select exists (
                           select 1 from reports where arrived_at < ?
                       ) as "older!: bool""#,
                    before,
                )
                .fetch_one(&self.readers)
                .run_in(&self.runtime)
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
                .run_in(&self.runtime)
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
                .run_in(&self.runtime)
                .await
            }
        };
        older.map_err(store_error(RUNS))
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
        .fetch_optional(&self.readers)
        .run_in(&self.runtime)
        .await
        .map_err(store_error(RUNS))?;
        first
            .map(|first| time(first, "reports", "arrived_at"))
            .transpose()
    }

    pub(crate) async fn release_reports_after(&self, now: Timestamp) -> Result<(), StoreError> {
        self.try_release_reports_after(now)
            .await
            .map_err(store_error("report_log"))
    }
}

impl SqliteStore {
    async fn try_note(&self, kind: RetentionKind, run: RetentionRun) -> Result<(), sqlx::Error> {
        let (kind, at) = (kind.as_str(), run.at.unix_micros());
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into retention_runs (kind, ran_at, held_back)
             values (?, ?, ?)
             on conflict (kind) do update
             set ran_at = excluded.ran_at, held_back = excluded.held_back",
            kind,
            at,
            run.held_back,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    async fn try_release_reports_after(&self, now: Timestamp) -> Result<(), sqlx::Error> {
        let now = now.unix_micros();
        let mut write = self.begin().await?;
        sqlx::query!(
            "update report_log
             set released_through = max(
                     released_through, coalesce((select max(id) from reports), 0)
                 ),
                 released_after = ?",
            now,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}
