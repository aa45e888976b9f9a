//! Leasing subscriptions to workers, and storing their progress.

use std::time::Duration;

use async_trait::async_trait;
use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::subscription::{PauseReason, SubscriptionState};
use domain::{Delivery, DeliveryKey, LogPosition, SubscriptionId, Timestamp};
use ports::subscriptions::{
    DeliveryQueue, LEASE_MAX, Lease, LeasedSubscription, MAX_PENDING, Progress, Renewal,
};
use ports::{DeliveryStore as _, StoreError};
use sql_rows::attempts::attempt_to_json;
use sql_rows::deliveries::pending_deliveries;
use sqlx::{SqliteConnection, SqliteExecutor};
use uuid::Uuid;

use crate::SqliteStore;
use crate::rows::{PendingRow, SubscriptionRow};
use crate::runtime::Query as _;
use crate::subscriptions::write::write_and_commit;

const SUBSCRIPTIONS: &str = "subscriptions";
const DELIVERIES: &str = "deliveries";
const WORKERS: &str = "workers";

/// Before every pending delivery.
const FIRST: DeliveryOrder = (LogPosition(i64::MIN), 0, 0);

#[async_trait]
impl DeliveryQueue for SqliteStore {
    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<LeasedSubscription>, StoreError> {
        let claimed = self.try_claim(worker, lease);
        let claimed = claimed.run(&self.runtime, "claim subscription", SUBSCRIPTIONS);
        let claimed = claimed.await?;
        claimed
            .map(|(row, pending)| row.leased(pending))
            .transpose()
    }

    async fn more_pending(
        &self,
        subscription: SubscriptionId,
        after: DeliveryOrder,
    ) -> Result<Vec<PendingDelivery>, StoreError> {
        let rows = pending_rows(&self.readers, subscription.0, after, MAX_PENDING);
        let rows = rows.run(&self.runtime, "read pending deliveries", DELIVERIES);
        pending_deliveries(rows.await?, subscription)
    }

    async fn pending_delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let found = self.delivery(key).await?;
        Ok(found.filter(|delivery| delivery.state.is_pending()))
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, StoreError> {
        let renewed = self.try_renew(lease, duration);
        renewed
            .run(&self.runtime, "renew lease", SUBSCRIPTIONS)
            .await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let released = self.try_release(lease);
        released
            .run(&self.runtime, "release lease", SUBSCRIPTIONS)
            .await
    }

    async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        let left = self.try_leave(worker);
        left.run(&self.runtime, "remove worker", WORKERS).await
    }

    async fn record(&self, lease: &Lease, progress: Progress<'_>) -> Result<bool, StoreError> {
        let recorded = self.try_record_progress(lease, &progress);
        recorded
            .run(&self.runtime, "store progress", DELIVERIES)
            .await
    }

    async fn finish(&self, lease: &Lease, state: SubscriptionState) -> Result<bool, StoreError> {
        let finished = self.try_finish(lease, state);
        finished
            .run(&self.runtime, "finish lease", SUBSCRIPTIONS)
            .await
    }
}

impl SqliteStore {
    async fn try_claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<(SubscriptionRow, Vec<PendingRow>)>, sqlx::Error> {
        let (duration, longest) = (micros(lease), micros(LEASE_MAX));
        // Idle workers ask all the time: the writer is used only if there is something to do.
        let needed = sqlx::query_scalar!(
            r#"select exists (
                   select 1 from subscriptions
                   where state = 'active' and not removed
                       and (
                           leased_fence is null
                           or free_at not between (select now from clock) + 1
                               and (select now from clock) + ?3
                       )
               ) or not exists (
                   select 1 from workers
                   where name = ?1
                       and alive_until between (select now from clock) + ?2 * 2 / 3 + 1
                           and (select now from clock) + ?2
               ) as "needed!: bool""#,
            worker,
            duration,
            longest,
        );
        if !needed.fetch_one(&self.readers).await? {
            return Ok(None);
        }
        let mut write = self.begin().await?;
        renew_worker(&mut write, worker, duration).await?;
        let claimed = sqlx::query_as!(
            SubscriptionRow,
            r#"update subscriptions
               set fence = fence + 1, leased_fence = fence + 1, leased_by = ?1,
                   free_at = (select now from clock) + ?2
               where id = (
                   select id from subscriptions
                   where state = 'active' and not removed
                       -- A time further ahead than any lease lasts was written before the
                       -- clock was set back.
                       and (
                           leased_fence is null
                           or free_at not between (select now from clock) + 1
                               and (select now from clock) + ?3
                       )
                       and (
                           select count(*) from subscriptions
                           where leased_by = ?1 and leased_fence = fence and not removed
                               and free_at > (select now from clock)
                       ) < (select subscriptions from worker_share)
                   order by free_at, id
                   limit 1
               )
               returning id as "id!: Uuid", created_at as "created_at!", updated_at as "updated_at!",
                   version as "version!", url as "url!", channels, event_types,
                   reveal as "reveal!: bool", description as "description!", secret as "secret!",
                   secret_created_at as "secret_created_at!", previous_secret,
                   previous_secret_created_at, previous_secret_expires_at, state as "state!",
                   pause_reason, state_since, last_error, failing_since, last_delivered_at,
                   position as "position!", fence as "fence!", leased_by, null as "pending: i64",
                   null as "dead: i64""#,
            worker,
            duration,
            longest,
        )
        .fetch_optional(&mut *write)
        .await?;
        let Some(claimed) = claimed else {
            write.commit().await?;
            return Ok(None);
        };
        // One more than is returned, to tell whether there are more.
        let pending = pending_rows(&mut *write, claimed.id, FIRST, MAX_PENDING + 1).await?;
        write.commit().await?;
        Ok(Some((claimed, pending)))
    }

    async fn try_renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, sqlx::Error> {
        let mut write = self.begin().await?;
        let renewed = sqlx::query!(
            "update subscriptions
             set free_at = (select now from clock) + ?3
             where id = ?1 and fence = ?2 and leased_fence = ?2",
            lease.subscription.0,
            lease.token,
            micros(duration),
        )
        .execute(&mut *write)
        .await?;
        let over_quota = sqlx::query_scalar!(
            r#"select (
                   select count(*) from subscriptions as other
                   where other.leased_by = own.leased_by and other.leased_fence = other.fence
                       and other.free_at > (select now from clock)
                       and not other.removed and other.id < own.id
               ) >= (select subscriptions from worker_share) as "over_quota!: bool"
               from subscriptions as own
               where id = ?"#,
            lease.subscription.0,
        )
        .fetch_optional(&mut *write)
        .await?;
        write.commit().await?;
        Ok(match over_quota {
            Some(_) | None if renewed.rows_affected() == 0 => Renewal::Lost,
            Some(true) => Renewal::OverQuota,
            Some(false) | None => Renewal::Renewed,
        })
    }

    async fn try_release(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!(
            "update subscriptions
             set leased_fence = null, leased_by = null,
                 free_at = (select now from clock)
             where id = ?1 and leased_fence = ?2",
            lease.subscription.0,
            lease.token,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    async fn try_leave(&self, worker: &str) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!("delete from workers where name = ?", worker)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    async fn try_record_progress(
        &self,
        lease: &Lease,
        progress: &Progress<'_>,
    ) -> Result<bool, sqlx::Error> {
        let error = progress.last_error();
        let mut write = self.begin().await?;
        let held = sqlx::query!(
            "update subscriptions
             set position = ?3, failing_since = ?4,
                 last_delivered_at =
                     max(coalesce(last_delivered_at, ?5), coalesce(?5, last_delivered_at)),
                 last_error = case
                     when ?6 >= coalesce(last_error_at, ?6) then ?7 else last_error
                 end,
                 last_error_at = max(coalesce(last_error_at, ?6), coalesce(?6, last_error_at))
             where id = ?1 and fence = ?2 and leased_fence = ?2",
            lease.subscription.0,
            lease.token,
            progress.position.0,
            progress.failing_since.map(Timestamp::unix_micros),
            progress.last_delivered_at().map(Timestamp::unix_micros),
            error.map(|error| error.at.unix_micros()),
            error.map(attempt_to_json),
        )
        .execute(&mut *write)
        .await?;
        if held.rows_affected() == 0 {
            write.roll_back().await;
            return Ok(false);
        }
        write_and_commit(&mut write, lease.subscription, progress.deliveries).await?;
        write.committed();
        Ok(true)
    }

    async fn try_finish(
        &self,
        lease: &Lease,
        state: SubscriptionState,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let finished = sqlx::query!(
            "update subscriptions
             set state = ?3, pause_reason = ?4, state_since = ?5,
                 updated_at = coalesce(?5, updated_at), version = version + 1,
                 leased_fence = null, leased_by = null,
                 free_at = (select now from clock)
             where id = ?1 and fence = ?2 and leased_fence = ?2",
            lease.subscription.0,
            lease.token,
            state.as_str(),
            state.reason().map(PauseReason::as_str),
            state.since().map(Timestamp::unix_micros),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(finished.rows_affected() > 0)
    }
}

/// Returns the pending deliveries after one, at most `limit`.
async fn pending_rows(
    executor: impl SqliteExecutor<'_>,
    subscription: Uuid,
    (position, revision, event_index): DeliveryOrder,
    limit: usize,
) -> Result<Vec<PendingRow>, sqlx::Error> {
    sqlx::query_as!(
        PendingRow,
        r#"select report_id as "report_id!", event_index as "event_index!",
               position as "position!", next_attempt_at, cooldown_until, revision as "revision!", channel_id, sid
           from deliveries indexed by deliveries_subscription_id_position_idx
           where subscription_id = ? and state in ('retrying', 'waiting')
               and (position, revision, event_index) > (?, ?, ?)
           order by position, revision, event_index
           limit ?"#,
        subscription,
        position.0,
        revision,
        event_index,
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(executor)
    .await
}

/// Extends the time until which a worker counts as alive, and deletes those that ended a day ago.
async fn renew_worker(
    connection: &mut SqliteConnection,
    worker: &str,
    micros: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from workers
         where alive_until < (select now from clock) - 24 * 60 * 60 * 1000000"
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "insert into workers (name, alive_until)
         values (?1, (select now from clock) + ?2)
         on conflict (name) do update set alive_until = excluded.alive_until",
        worker,
        micros,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
