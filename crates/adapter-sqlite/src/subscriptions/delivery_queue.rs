//! Subscriptions handed out to workers, and what the workers have done.

use std::time::Duration;

use async_trait::async_trait;
use domain::delivery::{Attempt, DeliveryOrder, PendingDelivery};
use domain::subscription::{PauseReason, SubscriptionState};
use domain::{Delivery, DeliveryKey, LogPosition, SubscriptionId, Timestamp};
use ports::subscriptions::{
    DeliveryQueue, LEASE_MAX, Lease, LeasedSubscription, MAX_PENDING, Progress, Renewal,
};
use ports::{DeliveryStore as _, StoreError};
use sqlx::{SqliteConnection, SqliteExecutor};

use crate::SqliteStore;
use crate::error::store_error;
use crate::rows::optional_time;
use crate::runtime::Operation as _;
use crate::subscriptions::delivery_rows::{self, OpenRow};
use crate::subscriptions::rows::SubscriptionRow;

const SUBSCRIPTIONS: &str = "subscriptions";
const DELIVERIES: &str = "deliveries";
const WORKERS: &str = "workers";

/// Before every open delivery.
const FIRST: DeliveryOrder = (LogPosition(i64::MIN), 0, 0);

#[async_trait]
impl DeliveryQueue for SqliteStore {
    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<LeasedSubscription>, StoreError> {
        let claimed = self.try_claim(worker, lease).await;
        let Some((row, open)) = claimed.map_err(store_error(SUBSCRIPTIONS))? else {
            return Ok(None);
        };
        let subscription = row.subscription()?;
        let mut open = open_deliveries(open, subscription.id)?;
        let more_pending = open.len() > MAX_PENDING;
        open.truncate(MAX_PENDING);
        Ok(Some(LeasedSubscription {
            lease: Lease {
                subscription: subscription.id,
                token: row.fence,
            },
            subscription,
            position: LogPosition(row.position),
            failing_since: optional_time(row.failing_since, SUBSCRIPTIONS, "failing_since")?,
            open,
            more_pending,
        }))
    }

    async fn more_pending(
        &self,
        subscription: SubscriptionId,
        after: DeliveryOrder,
    ) -> Result<Vec<PendingDelivery>, StoreError> {
        let id = subscription.0.as_bytes().as_slice();
        let rows = open_rows(&self.readers, id, after, MAX_PENDING)
            .run_in(&self.runtime)
            .await;
        open_deliveries(rows.map_err(store_error(DELIVERIES))?, subscription)
    }

    async fn pending_delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let found = self.delivery(key).await?;
        Ok(found.filter(|delivery| delivery.state.is_open()))
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, StoreError> {
        let renewed = self.try_renew(lease, duration).await;
        renewed.map_err(store_error(SUBSCRIPTIONS))
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let released = self.try_release(lease).await;
        released.map_err(store_error(SUBSCRIPTIONS))
    }

    async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        let left = self.try_leave(worker).await;
        left.map_err(store_error(WORKERS))
    }

    async fn record(&self, lease: &Lease, progress: Progress<'_>) -> Result<bool, StoreError> {
        let recorded = self.try_record(lease, &progress).await;
        recorded.map_err(store_error(DELIVERIES))
    }

    async fn finish(&self, lease: &Lease, state: SubscriptionState) -> Result<bool, StoreError> {
        let finished = self.try_finish(lease, state).await;
        finished.map_err(store_error(SUBSCRIPTIONS))
    }
}

impl SqliteStore {
    async fn try_claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<(SubscriptionRow, Vec<OpenRow>)>, sqlx::Error> {
        let (duration, longest) = (micros(lease), micros(LEASE_MAX));
        // Workers without work ask all the time; whoever records reports need not wait for that.
        let any = sqlx::query_scalar!(
            r#"select exists (
                   select 1 from subscriptions
                   where state = 'active' and not removed
                       and (
                           leased_fence is null
                           or free_at not between cast(unixepoch('subsec') * 1000000 as integer) + 1
                               and cast(unixepoch('subsec') * 1000000 as integer) + ?3
                       )
               ) or not exists (
                   select 1 from workers
                   where name = ?1
                       and alive_until between cast(unixepoch('subsec') * 1000000 as integer) + ?2 * 2 / 3 + 1
                           and cast(unixepoch('subsec') * 1000000 as integer) + ?2
               ) as "any!: bool""#,
            worker,
            duration,
            longest,
        );
        if !any.fetch_one(&self.readers).run_in(&self.runtime).await? {
            return Ok(None);
        }
        let mut write = self.begin().await?;
        be_alive(&mut write, worker, duration).await?;
        let claimed = sqlx::query_as!(
            SubscriptionRow,
            r#"update subscriptions
               set fence = fence + 1, leased_fence = fence + 1, leased_by = ?1,
                   free_at = cast(unixepoch('subsec') * 1000000 as integer) + ?2
               where id = (
                   select id from subscriptions
                   where state = 'active' and not removed
                       -- A time further ahead than any lease lasts was written before the
                       -- clock was set back.
                       and (
                           leased_fence is null
                           or free_at not between cast(unixepoch('subsec') * 1000000 as integer) + 1
                               and cast(unixepoch('subsec') * 1000000 as integer) + ?3
                       )
                       and (
                           select count(*) from subscriptions
                           where leased_by = ?1 and leased_fence = fence and not removed
                               and free_at > cast(unixepoch('subsec') * 1000000 as integer)
                       ) < (select subscriptions from worker_share)
                   order by free_at, id
                   limit 1
               )
               returning id as "id!", created_at as "created_at!", updated_at as "updated_at!",
                   version as "version!", url as "url!", channels, event_types,
                   reveal as "reveal!: bool", description as "description!", secret as "secret!",
                   secret_created_at as "secret_created_at!", previous_secret,
                   previous_secret_created_at, previous_secret_expires_at, state as "state!",
                   pause_reason, state_since, last_error, failing_since, last_delivered_at,
                   position as "position!", fence as "fence!", leased_by, null as "open: i64",
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
        // One more than a worker is handed, if there are as many.
        let open = open_rows(&mut *write, &claimed.id, FIRST, MAX_PENDING + 1).await?;
        write.commit().await?;
        Ok(Some((claimed, open)))
    }

    async fn try_renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, sqlx::Error> {
        let id = lease.subscription.0.as_bytes().as_slice();
        let duration = micros(duration);
        let mut write = self.begin().await?;
        let renewed = sqlx::query!(
            "update subscriptions
             set free_at = cast(unixepoch('subsec') * 1000000 as integer) + ?3
             where id = ?1 and fence = ?2 and leased_fence = ?2",
            id,
            lease.token,
            duration,
        )
        .execute(&mut *write)
        .await?;
        let surplus = sqlx::query_scalar!(
            r#"select (
                   select count(*) from subscriptions as theirs
                   where theirs.leased_by = mine.leased_by and theirs.leased_fence = theirs.fence
                       and theirs.free_at > cast(unixepoch('subsec') * 1000000 as integer)
                       and not theirs.removed and theirs.id < mine.id
               ) >= (select subscriptions from worker_share) as "surplus!: bool"
               from subscriptions as mine
               where id = ?"#,
            id,
        )
        .fetch_optional(&mut *write)
        .await?;
        write.commit().await?;
        Ok(match surplus {
            Some(_) | None if renewed.rows_affected() == 0 => Renewal::Lost,
            Some(true) => Renewal::OverQuota,
            Some(false) | None => Renewal::Renewed,
        })
    }

    async fn try_release(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        let id = lease.subscription.0.as_bytes().as_slice();
        let mut write = self.begin().await?;
        sqlx::query!(
            "update subscriptions
             set leased_fence = null, leased_by = null,
                 free_at = cast(unixepoch('subsec') * 1000000 as integer)
             where id = ?1 and leased_fence = ?2",
            id,
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

    async fn try_record(
        &self,
        lease: &Lease,
        progress: &Progress<'_>,
    ) -> Result<bool, sqlx::Error> {
        let id = lease.subscription.0.as_bytes().as_slice();
        let failing_since = progress.failing_since.map(Timestamp::unix_micros);
        let delivered_at = progress.last_delivered_at().map(Timestamp::unix_micros);
        let error_at = progress.last_error().map(|error| error.at.unix_micros());
        let error = progress.last_error().map(Attempt::to_json);
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
            id,
            lease.token,
            progress.position.0,
            failing_since,
            delivered_at,
            error_at,
            error,
        )
        .execute(&mut *write)
        .await?;
        if held.rows_affected() == 0 {
            write.roll_back().await;
            return Ok(false);
        }
        delivery_rows::write(&mut write, lease.subscription, progress.deliveries).await?;
        write.committed();
        Ok(true)
    }

    async fn try_finish(
        &self,
        lease: &Lease,
        state: SubscriptionState,
    ) -> Result<bool, sqlx::Error> {
        let id = lease.subscription.0.as_bytes().as_slice();
        let word = state.as_str();
        let reason = state.reason().map(PauseReason::as_str);
        let since = state.since().map(Timestamp::unix_micros);
        let mut write = self.begin().await?;
        let finished = sqlx::query!(
            "update subscriptions
             set state = ?3, pause_reason = ?4, state_since = ?5,
                 updated_at = coalesce(?5, updated_at), version = version + 1,
                 leased_fence = null, leased_by = null,
                 free_at = cast(unixepoch('subsec') * 1000000 as integer)
             where id = ?1 and fence = ?2 and leased_fence = ?2",
            id,
            lease.token,
            word,
            reason,
            since,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(finished.rows_affected() > 0)
    }
}

/// So many rows behind a place, or all that there are.
async fn open_rows(
    executor: impl SqliteExecutor<'_>,
    subscription: &[u8],
    (position, revision, part): DeliveryOrder,
    limit: usize,
) -> Result<Vec<OpenRow>, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    sqlx::query_as!(
        OpenRow,
        r#"select report_id as "report_id!", part as "part!", position as "position!",
               next_attempt_at, rests_until, revision as "revision!", channel_id, sid
           from deliveries indexed by deliveries_subscription_id_position_idx
           where subscription_id = ? and state in ('retrying', 'waiting')
               and (position, revision, part) > (?, ?, ?)
           order by position, revision, part
           limit ?"#,
        subscription,
        position.0,
        revision,
        part,
        limit,
    )
    .fetch_all(executor)
    .await
}

fn open_deliveries(
    rows: Vec<OpenRow>,
    subscription: SubscriptionId,
) -> Result<Vec<PendingDelivery>, StoreError> {
    let rows = rows.into_iter();
    rows.map(|row| row.delivery(subscription)).collect()
}

/// Takes down that a worker is there, and forgets those that have been gone for a day.
async fn be_alive(
    connection: &mut SqliteConnection,
    worker: &str,
    micros: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from workers
         where alive_until < cast((unixepoch('subsec') - 86400) * 1000000 as integer)"
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "insert into workers (name, alive_until)
         values (?1, cast(unixepoch('subsec') * 1000000 as integer) + ?2)
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
