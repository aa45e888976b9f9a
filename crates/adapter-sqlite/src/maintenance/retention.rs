//! Retention of the log.

use std::num::NonZeroU32;

use domain::Timestamp;

use crate::SqliteStore;

impl SqliteStore {
    /// Deletes expired reports at the start of the log and returns how many.
    pub(crate) async fn try_prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<u64, sqlx::Error> {
        let mut write = self.begin().await?;
        // The last one before the first report that has to stay.
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
                   ?3
               )"#,
            budget.get(),
            before.unix_micros(),
            i64::MAX,
        )
        .fetch_one(&mut *write)
        .await?;
        let Some(through) = through else {
            write.roll_back().await;
            return Ok(0);
        };
        let deleted = sqlx::query!("delete from reports where id <= ?", through)
            .execute(&mut *write)
            .await?;
        sqlx::query!("update report_log set pruned_through = ?", through)
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(deleted.rows_affected())
    }
}
