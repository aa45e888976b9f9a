//! Forgetting deliveries, and what they were to bring.

use std::num::NonZeroU32;

use domain::delivery::Attempts;
use domain::{MessageKey, Timestamp};
use ports::StoreError;
use ports::maintenance::Pruning;
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::error::store_error;
use crate::retry;
use crate::subscriptions::deliveries::DELIVERIES;
use crate::timeout::Operation as _;

impl PostgresStore {
    pub(crate) async fn prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let budget = i64::from(budget.get());
        // Each by its key: of most there is nothing left, and to see that must cost little.
        let nobodys = sqlx::query!(
            "delete from deliveries where ctid = any (array(
                 select theirs.ctid
                 from subscriptions
                 cross join lateral (
                     select ctid from deliveries
                     where subscription_id = subscriptions.id
                     order by subscription_id, report_id, part
                     limit $1
                 ) as theirs
                 where removed
                 limit $1
             ))",
            budget,
        )
        .execute(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(DELIVERIES))?
        .rows_affected();
        let left = budget.saturating_sub_unsigned(nobodys);
        // What a worker is writing is not waited for: it would wait for this in turn.
        let old = sqlx::query!(
            "delete from deliveries where ctid = any (array(
                 select ctid from deliveries
                 where finished_at < $1
                 order by finished_at
                 limit $2
                 for update skip locked
             ))",
            before.to_date_time(),
            left,
        )
        .execute(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(DELIVERIES))?
        .rows_affected();
        let rows = nobodys.saturating_add(old);
        Ok(Pruning {
            rows,
            days: 0,
            done: rows < budget.unsigned_abs(),
        })
    }

    pub(crate) async fn forget_bodies(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        retry::again(|| self.try_forget_bodies(messages, now).in_time(&self.runtime))
            .await
            .map_err(store_error(DELIVERIES))
    }
}

impl PostgresStore {
    async fn try_forget_bodies(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let forgotten = forget_bodies(&mut transaction, messages, now).await?;
        transaction.commit().await?;
        Ok(forgotten)
    }
}

/// Forgets what was to be sent about messages, within a transaction.
pub(crate) async fn forget_bodies(
    connection: &mut PgConnection,
    messages: &[MessageKey],
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let channels: Vec<_> = messages.iter().map(|key| key.channel.as_str()).collect();
    let sids: Vec<_> = messages.iter().map(|key| key.sid.to_compact()).collect();
    let mut erased = Attempts::default();
    erased.erase(now);
    // Whoever is writing is waited for; whoever comes later is refused.
    sqlx::query!("update subscriptions set fence = fence + 1")
        .execute(&mut *connection)
        .await?;
    let forgotten = sqlx::query!(
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
        erased.last_to_json(),
    )
    .execute(&mut *connection)
    .await?;
    Ok(forgotten.rows_affected())
}
