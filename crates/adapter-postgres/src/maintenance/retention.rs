//! Making room: days of the log that are too old.

use std::num::NonZeroU32;

use domain::{RetentionDays, Timestamp};
use ports::StoreError;
use ports::maintenance::Pruning;
use time::Date;

use crate::PostgresStore;
use crate::error::store_error;
use crate::maintenance::partitions;
use crate::timeout::Operation as _;

const REPORTS: &str = "reports";

impl PostgresStore {
    pub(crate) async fn make_partitions(&self, today: Timestamp) -> Result<u32, StoreError> {
        let today = today.to_date_time().date();
        let made = async {
            let mut connection = self.pool.acquire().await?;
            partitions::make(&mut connection, today).await
        };
        made.in_time(&self.runtime)
            .await
            .map_err(store_error(REPORTS))
    }

    pub(crate) async fn prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let pruned = self.try_prune_reports(before.to_date_time().date(), budget);
        pruned
            .in_time(&self.runtime)
            .await
            .map_err(store_error(REPORTS))
    }

    pub(crate) async fn prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let pruned = self.try_prune_messages(now, keep, budget);
        pruned
            .in_time(&self.runtime)
            .await
            .map_err(store_error("messages"))
    }
}

impl PostgresStore {
    /// A whole day, or else some reports of days that have no partition.
    async fn try_prune_reports(
        &self,
        before: Date,
        budget: NonZeroU32,
    ) -> Result<Pruning, sqlx::Error> {
        let cut = self.first_kept(before).await?;
        let dropped = sqlx::query_scalar!(
            r#"select reports_drop_day($1, $2) as "dropped!""#,
            before,
            cut
        )
        .fetch_one(&self.pool)
        .await?;
        if dropped {
            return Ok(Pruning {
                rows: 0,
                days: 1,
                done: false,
            });
        }
        let rows = sqlx::query_scalar!(
            r#"with gone as (
                   delete from reports_default
                   where (id, arrived_at) in (
                       select id, arrived_at
                       from reports_default
                       where id < $1
                       order by id
                       limit $2
                   )
                   returning id
               ),
               noted as (
                   update report_log
                   set pruned_through = (select max(id) from gone)
                   where pruned_through < (select max(id) from gone)
               )
               select count(*) as "count!" from gone"#,
            cut,
            i64::from(budget.get()),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(pruning(rows, budget))
    }

    /// The lowest id that stays: of the reports that arrived from `before` on and were not
    /// released the one that was recorded first, but none that readers may not have seen yet.
    /// Days are whole: each partition is asked for its first report only.
    async fn first_kept(&self, before: Date) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!(
            r#"select least(
                   (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + xact_offset) << 16,
                   (
                       select id
                       from reports
                       where arrived_at >= $1::date::timestamp at time zone 'UTC'
                           and (
                               id > (select released_through from report_log)
                               or arrived_at <= (select released_after from report_log)
                           )
                       order by id
                       limit 1
                   )
               ) as "id!"
               from report_log"#,
            before,
        )
        .fetch_one(&self.pool)
        .await
    }
}

fn pruning(rows: i64, budget: NonZeroU32) -> Pruning {
    Pruning {
        rows: rows.unsigned_abs(),
        days: 0,
        done: rows < i64::from(budget.get()),
    }
}
