//! Retention of the log.

use std::num::NonZeroU32;

use ports::maintenance::Pruning;
use sql_rows::retention::pruning;
use time::Date;

use crate::PostgresStore;

impl PostgresStore {
    /// Drops the partition of a day, or else deletes reports of days without a partition.
    pub(crate) async fn try_prune_reports(
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
            r#"with
               -- Reports of the default partition, oldest first.
               deleted as (
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
               -- What readers have missed.
               noted as (
                   update report_log
                   set pruned_through = (select max(id) from deleted)
                   where pruned_through < (select max(id) from deleted)
               )
               select count(*) as "count!" from deleted"#,
            cut,
            i64::from(budget.get()),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(pruning(rows.unsigned_abs(), budget))
    }

    /// Returns the lowest id that stays: the first report recorded of those that arrived since
    /// `before` and were not released, and never above what readers may have seen. `before` is
    /// the start of a day, so each partition is asked for its first report only.
    async fn first_kept(&self, before: Date) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!(
            r#"select least(
                   first_undecided_report_id(xact_offset),
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
