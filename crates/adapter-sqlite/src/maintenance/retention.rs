//! Making room: reports that are too old.

use std::num::NonZeroU32;

use domain::{RetentionDays, Timestamp};
use ports::StoreError;
use ports::maintenance::Pruning;

use crate::SqliteStore;
use crate::error::store_error;

impl SqliteStore {
    pub(crate) async fn prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let pruned = self.try_prune_reports(before, budget).await;
        pruned.map_err(store_error("reports"))
    }

    pub(crate) async fn prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let pruned = self.try_prune_messages(now, keep, budget).await;
        pruned.map_err(store_error("messages"))
    }
}

impl SqliteStore {
    async fn try_prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, sqlx::Error> {
        let limit = budget.get();
        let since = before.unix_micros();
        let mut write = self.begin().await?;
        let through = sqlx::query_scalar!(
            r#"with front as materialized (
                   select id, arrived_at from reports order by id limit ?1
               )
               select max(id) as "id: i64"
               from front
               where id < coalesce(
                   (
                       select min(id)
                       from front
                       where arrived_at >= ?2
                           and (
                               id > (select released_through from report_log)
                               or arrived_at <= (select released_after from report_log)
                           )
                   ),
                   9223372036854775807
               )"#,
            limit,
            since,
        )
        .fetch_one(&mut *write)
        .await?;
        let Some(through) = through else {
            write.roll_back().await;
            return Ok(pruning(0, budget));
        };
        let gone = sqlx::query!("delete from reports where id <= ?", through)
            .execute(&mut *write)
            .await?;
        sqlx::query!("update report_log set pruned_through = ?", through)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(pruning(gone.rows_affected(), budget))
    }
}

fn pruning(rows: u64, budget: NonZeroU32) -> Pruning {
    Pruning {
        rows,
        days: 0,
        done: rows < u64::from(budget.get()),
    }
}
