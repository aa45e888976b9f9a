//! Forgetting deliveries, and what they were to bring.

use std::num::NonZeroU32;

use domain::delivery::Attempts;
use domain::{MessageKey, Timestamp};
use ports::StoreError;
use ports::maintenance::Pruning;

use crate::SqliteStore;
use crate::connection::Write;
use crate::error::store_error;
use crate::json;
use crate::subscriptions::deliveries::DELIVERIES;

impl SqliteStore {
    pub(crate) async fn prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let rows = self.try_prune_deliveries(before, budget).await;
        let rows = rows.map_err(store_error(DELIVERIES))?;
        Ok(Pruning {
            rows,
            days: 0,
            done: rows < u64::from(budget.get()),
        })
    }

    pub(crate) async fn forget_bodies(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let forgotten = self.try_forget_bodies(messages, now).await;
        forgotten.map_err(store_error(DELIVERIES))
    }
}

impl SqliteStore {
    async fn try_prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<u64, sqlx::Error> {
        let before = before.unix_micros();
        let budget = i64::from(budget.get());
        let mut write = self.begin().await?;
        let nobodys = sqlx::query!(
            "delete from deliveries
             where (subscription_id, report_id, part) in (
                 select subscription_id, report_id, part
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
        let left = budget.saturating_sub_unsigned(nobodys);
        let old = sqlx::query!(
            "delete from deliveries
             where (subscription_id, report_id, part) in (
                 select subscription_id, report_id, part
                 from deliveries
                 where finished_at < ?
                 order by finished_at
                 limit ?
             )",
            before,
            left,
        )
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(nobodys.saturating_add(old))
    }

    async fn try_forget_bodies(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let mut write = self.begin().await?;
        let forgotten = forget_bodies(&mut write, messages, now).await?;
        write.commit().await?;
        Ok(forgotten)
    }
}

/// Forgets what was to be sent about messages, within a step that writes.
pub(crate) async fn forget_bodies(
    write: &mut Write<'_>,
    messages: &[MessageKey],
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let rows = json::keys(messages);
    let mut erased = Attempts::default();
    erased.erase(now);
    let (erased, now) = (erased.last_to_json(), now.unix_micros());
    sqlx::query!("update subscriptions set fence = fence + 1")
        .execute(&mut **write)
        .await?;
    let forgotten = sqlx::query!(
        "update deliveries indexed by deliveries_channel_id_sid_idx
         set state = 'dead', body = null, next_attempt_at = null, finished_at = ?2,
             last_attempts = ?3
         where body is not null
             and (channel_id, sid) in (
                 select value ->> 0, unhex(value ->> 1) from jsonb_each(?1)
             )",
        rows,
        now,
        erased,
    )
    .execute(&mut **write)
    .await?;
    Ok(forgotten.rows_affected())
}
