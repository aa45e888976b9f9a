//! Pruning deliveries, and erasing their bodies.

use std::num::NonZeroU32;

use domain::delivery::Attempts;
use domain::{MessageKey, Timestamp};
use sql_rows::attempts::attempts_to_json;
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::json;

impl SqliteStore {
    /// Deletes deliveries of removed subscriptions, then expired ones, and returns how many.
    pub(crate) async fn try_prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<u64, sqlx::Error> {
        let budget = i64::from(budget.get());
        let mut write = self.begin().await?;
        let of_removed = sqlx::query!(
            "delete from deliveries
             where (subscription_id, report_id, event_index) in (
                 select subscription_id, report_id, event_index
                 from subscriptions
                 cross join deliveries on deliveries.subscription_id = subscriptions.id
                 where removed
                 limit ?
             )",
            budget,
        )
        .execute(&mut *write)
        .await?
        .rows_affected();
        let expired = sqlx::query!(
            "delete from deliveries
             where (subscription_id, report_id, event_index) in (
                 select subscription_id, report_id, event_index
                 from deliveries
                 where finished_at < ?
                 order by finished_at
                 limit ?
             )",
            before.unix_micros(),
            budget.saturating_sub_unsigned(of_removed),
        )
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(of_removed.saturating_add(expired))
    }

    pub(crate) async fn try_erase_deliveries(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let mut write = self.begin().await?;
        let erased = erase_deliveries(&mut write, messages, now).await?;
        write.commit().await?;
        Ok(erased)
    }
}

/// Erases the undelivered bodies of messages, within a transaction. Returns how many.
pub(crate) async fn erase_deliveries(
    connection: &mut SqliteConnection,
    messages: &[MessageKey],
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let mut erased = Attempts::default();
    erased.erase(now);
    sqlx::query!("update subscriptions set fence = fence + 1")
        .execute(&mut *connection)
        .await?;
    let erased_rows = sqlx::query!(
        "update deliveries indexed by deliveries_channel_id_sid_idx
         set state = 'dead', body = null, next_attempt_at = null, finished_at = ?2,
             last_attempts = ?3
         where body is not null
             and (channel_id, sid) in (
                 select value ->> 0, unhex(value ->> 1) from jsonb_each(?1)
             )",
        json::keys(messages),
        now.unix_micros(),
        attempts_to_json(&erased),
    )
    .execute(connection)
    .await?;
    Ok(erased_rows.rows_affected())
}
