//! Pruning deliveries, and erasing their bodies.

use std::num::NonZeroU32;

use domain::delivery::Attempts;
use domain::{MessageKey, Timestamp};
use sql_rows::attempts::attempts_to_json;
use sqlx::PgConnection;

use crate::PostgresStore;

impl PostgresStore {
    /// Deletes deliveries of removed subscriptions, then expired ones, and returns how many.
    pub(crate) async fn try_prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<u64, sqlx::Error> {
        let budget = i64::from(budget.get());
        // Each by its key: most removed subscriptions have no deliveries left, and finding that
        // out must be cheap.
        let of_removed = sqlx::query!(
            "delete from deliveries where ctid = any (array(
                 select found.ctid
                 from subscriptions
                 cross join lateral (
                     select ctid from deliveries
                     where subscription_id = subscriptions.id
                     order by subscription_id, report_id, event_index
                     limit $1
                 ) as found
                 where removed
                 limit $1
             ))",
            budget,
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        // Skips rows that a worker is writing: it may be waiting for this transaction.
        let expired = sqlx::query!(
            "delete from deliveries where ctid = any (array(
                 select ctid from deliveries
                 where finished_at < $1
                 order by finished_at
                 limit $2
                 for update skip locked
             ))",
            before.to_date_time(),
            budget.saturating_sub_unsigned(of_removed),
        )
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(of_removed.saturating_add(expired))
    }

    pub(crate) async fn try_erase_deliveries(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let erased_rows = erase_deliveries(&mut transaction, messages, now).await?;
        transaction.commit().await?;
        Ok(erased_rows)
    }
}

/// Erases the undelivered bodies of messages, within a transaction. Returns how many.
pub(crate) async fn erase_deliveries(
    connection: &mut PgConnection,
    messages: &[MessageKey],
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let channels: Vec<_> = messages.iter().map(|key| key.channel.as_str()).collect();
    let sids: Vec<_> = messages.iter().map(|key| key.sid.to_compact()).collect();
    let mut erased = Attempts::default();
    erased.erase(now);
    // Waits for workers that are writing; refuses those that come later.
    sqlx::query!("update subscriptions set fence = fence + 1")
        .execute(&mut *connection)
        .await?;
    let erased_rows = sqlx::query!(
        "update deliveries
         set state = 'dead', body = null, next_attempt_at = null, finished_at = $3,
             last_attempts = $4::text::json
         where body is not null
             and (channel_id, sid) in (
                 select channel_id, sid
                 from unnest($1::text[], $2::bytea[]) as erased (channel_id, sid)
             )",
        &channels as _,
        &sids,
        now.to_date_time(),
        attempts_to_json(&erased),
    )
    .execute(&mut *connection)
    .await?;
    Ok(erased_rows.rows_affected())
}
