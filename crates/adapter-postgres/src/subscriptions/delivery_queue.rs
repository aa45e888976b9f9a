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
use sqlx::{PgConnection, PgExecutor};

use crate::PostgresStore;
use crate::error::store_error;
use crate::reports::batch::sparse;
use crate::retry;
use crate::rows::{PendingRow, SubscriptionRow};
use crate::runtime::{Operation as _, Query as _};
use crate::subscriptions::columns::DeliveryColumns;

const SUBSCRIPTIONS: &str = "subscriptions";
const DELIVERIES: &str = "deliveries";
const WORKERS: &str = "workers";

/// Before every pending delivery.
const FIRST: DeliveryOrder = (LogPosition(i64::MIN), 0, 0);

#[async_trait]
impl DeliveryQueue for PostgresStore {
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
        let rows = pending_rows(&self.pool, subscription, after, MAX_PENDING);
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
        sqlx::query!("delete from workers where name = $1", worker)
            .execute(&self.pool)
            .run(&self.runtime, "remove worker", WORKERS)
            .await
            .map(drop)
    }

    async fn record(&self, lease: &Lease, progress: Progress<'_>) -> Result<bool, StoreError> {
        let leased = Some((lease, &progress));
        retry::again(|| {
            self.write(lease.subscription, progress.deliveries, leased)
                .in_time(&self.runtime, "store progress")
        })
        .await
        .map_err(store_error(DELIVERIES))
    }

    async fn finish(&self, lease: &Lease, state: SubscriptionState) -> Result<bool, StoreError> {
        let finished = self.try_finish(lease, state);
        finished
            .run(&self.runtime, "finish lease", SUBSCRIPTIONS)
            .await
    }
}

impl PostgresStore {
    /// Claims and reads in one transaction, so that a subscription that cannot be read is not
    /// leased either.
    async fn try_claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<(SubscriptionRow, Vec<PendingRow>)>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        renew_worker(&mut transaction, worker, lease).await?;
        // A row that another worker is claiming is skipped. One that was claimed since this
        // statement began is checked again once it is locked, and is not free any more.
        let claimed = sqlx::query_as!(
            SubscriptionRow,
            r#"update subscriptions
               set fence = fence + 1, leased_fence = fence + 1, leased_by = $1,
                   free_at = now() + make_interval(secs => $2)
               where id = (
                   select id from subscriptions
                   where state = 'active' and not removed
                       -- A time further ahead than any lease lasts was written before the
                       -- clock was set back.
                       and (
                           leased_fence is null or free_at <= now()
                           or free_at > now() + make_interval(secs => $3)
                       )
                       and (
                           select count(*) from subscriptions
                           where leased_by = $1 and leased_fence = fence and free_at > now()
                               and not removed
                       ) < (select subscriptions from worker_share)
                   order by free_at, id
                   limit 1
                   for no key update skip locked
               )
               returning id, created_at, updated_at, version, url, channels, event_types, reveal,
                   description, secret, secret_created_at, previous_secret,
                   previous_secret_created_at, previous_secret_expires_at, state, pause_reason,
                   state_since, last_error::text, failing_since, last_delivered_at, position,
                   fence, leased_by, null::bigint as pending, null::bigint as dead"#,
            worker,
            lease.as_secs_f64(),
            LEASE_MAX.as_secs_f64(),
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(claimed) = claimed else {
            transaction.commit().await?;
            return Ok(None);
        };
        let id = SubscriptionId(claimed.id);
        // One more than is returned, to tell whether there are more.
        let pending = pending_rows(&mut *transaction, id, FIRST, MAX_PENDING + 1).await?;
        transaction.commit().await?;
        Ok(Some((claimed, pending)))
    }

    async fn try_renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, sqlx::Error> {
        let over_quota = sqlx::query_scalar!(
            r#"with renewed as (
                   update subscriptions set free_at = now() + make_interval(secs => $3)
                   where id = $1 and fence = $2 and leased_fence = $2
                   returning leased_by
               )
               select (
                   select count(*) from subscriptions
                   where leased_by = renewed.leased_by and leased_fence = fence
                       and free_at > now() and not removed and id < $1
               ) >= (select subscriptions from worker_share) as "over_quota!"
               from renewed"#,
            lease.subscription.0,
            lease.token,
            duration.as_secs_f64(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(match over_quota {
            Some(false) => Renewal::Renewed,
            Some(true) => Renewal::OverQuota,
            None => Renewal::Lost,
        })
    }

    async fn try_release(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update subscriptions set leased_fence = null, leased_by = null, free_at = now()
             where id = $1 and leased_fence = $2",
            lease.subscription.0,
            lease.token,
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    async fn try_finish(
        &self,
        lease: &Lease,
        state: SubscriptionState,
    ) -> Result<bool, sqlx::Error> {
        let finished = sqlx::query!(
            "update subscriptions
             set state = $3, pause_reason = $4, state_since = $5,
                 updated_at = coalesce($5, updated_at), version = version + 1,
                 leased_fence = null, leased_by = null, free_at = now()
             where id = $1 and fence = $2 and leased_fence = $2",
            lease.subscription.0,
            lease.token,
            state.as_str(),
            state.reason().map(PauseReason::as_str),
            state.since().map(Timestamp::to_date_time),
        )
        .execute(&self.pool)
        .await?;
        Ok(finished.rows_affected() > 0)
    }

    /// Writes deliveries of a subscription in one statement. Returns `false`, having written
    /// nothing, if there is no such subscription, or if a lease is given and not held.
    ///
    /// With a lease it stores the progress made under it; without one it revokes the lease.
    /// Either way it locks the subscription first, which orders all writes of its deliveries.
    pub(crate) async fn write(
        &self,
        subscription: SubscriptionId,
        deliveries: &[Delivery],
        under: Option<(&Lease, &Progress<'_>)>,
    ) -> Result<bool, sqlx::Error> {
        let columns = DeliveryColumns::of(deliveries);
        let progress = under.map(|(_, progress)| progress);
        let error = progress.and_then(Progress::last_error);
        let delivered_at = progress.and_then(Progress::last_delivered_at);
        let failing_since = progress.and_then(|progress| progress.failing_since);
        sqlx::query_scalar!(
            r#"
with held as (
    update subscriptions
    set position = coalesce($3, position),
        failing_since = case when $2::bigint is null then failing_since else $4 end,
        last_delivered_at = greatest(last_delivered_at, $5),
        last_error = case
            when $6 >= coalesce(last_error_at, $6) then $7::text::json else last_error
        end,
        last_error_at = greatest(last_error_at, $6),
        fence = case when $2::bigint is null then fence + 1 else fence end
    where id = $1
        and case when $2::bigint is null then not removed else fence = $2 and leased_fence = $2 end
    returning id
),
written as (
    insert into deliveries (
        subscription_id, report_id, position, created_at, next_attempt_at, finished_at,
        revision, attempts, event_index, state, event_type, channel_id, sid, last_attempts, body,
        retrying_since, cooldown_until
    )
    select
        held.id, report_id, position, created_at, next_attempt_at, finished_at, revision,
        attempts, event_index, state, event_type, channel_id, sid, last_attempts::json, body,
        retrying_since, cooldown_until
    from held
    cross join unnest(
        $8::bigint[], $9::bigint[], $10::timestamptz[], $11::timestamptz[],
        $12::timestamptz[], $13::integer[], $14::integer[], $15::smallint[], $16::text[],
        $17::text[], $18::text[], $19::bytea[], $20::text[], $21::text[], $22::timestamptz[],
        $23::timestamptz[]
    ) with ordinality as incoming (
        report_id, position, created_at, next_attempt_at, finished_at, revision, attempts,
        event_index, state, event_type, channel_id, sid, last_attempts, body, retrying_since,
        cooldown_until, nth
    )
    order by nth
    on conflict (subscription_id, report_id, event_index) do update
    set next_attempt_at = excluded.next_attempt_at,
        finished_at = excluded.finished_at,
        attempts = excluded.attempts,
        state = excluded.state,
        last_attempts = excluded.last_attempts,
        body = excluded.body,
        retrying_since = coalesce(excluded.retrying_since, excluded.created_at),
        cooldown_until = excluded.cooldown_until
)
select exists (select from held) as "held!"
"#,
            subscription.0,
            under.map(|(lease, _)| lease.token),
            progress.map(|progress| progress.position.0),
            failing_since.map(Timestamp::to_date_time),
            delivered_at.map(Timestamp::to_date_time),
            error.map(|error| error.at.to_date_time()),
            error.map(attempt_to_json),
            &columns.report_id,
            &columns.position,
            &columns.created_at,
            sparse(&columns.next_attempt_at) as _,
            sparse(&columns.finished_at) as _,
            &columns.revision,
            &columns.attempts,
            &columns.event_index,
            &columns.state as _,
            &columns.event_type as _,
            &columns.channel_id as _,
            &columns.sid,
            &columns.last_attempts,
            sparse(&columns.body) as _,
            sparse(&columns.retrying_since) as _,
            sparse(&columns.cooldown_until) as _,
        )
        .fetch_one(&self.pool)
        .await
    }
}

/// Extends the time until which a worker counts as alive, if that ends soon, and deletes those
/// that ended a day ago.
async fn renew_worker(
    connection: &mut PgConnection,
    worker: &str,
    lease: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "with gone as (
             delete from workers where alive_until < now() - interval '1 day' and name <> $1
         )
         insert into workers (name, alive_until)
         select $1, now() + make_interval(secs => $2)
         where not exists (
             select from workers
             where name = $1 and alive_until > now() + make_interval(secs => $2 * 2 / 3)
                 and alive_until <= now() + make_interval(secs => $2)
         )
         on conflict (name) do update set alive_until = excluded.alive_until",
        worker,
        lease.as_secs_f64(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the pending deliveries after one, at most `limit`.
async fn pending_rows(
    executor: impl PgExecutor<'_>,
    subscription: SubscriptionId,
    (position, revision, event_index): DeliveryOrder,
    limit: usize,
) -> Result<Vec<PendingRow>, sqlx::Error> {
    sqlx::query_as!(
        PendingRow,
        r#"select report_id, position, next_attempt_at, cooldown_until,
             revision as "revision: i64", event_index as "event_index: i64", channel_id, sid
         from deliveries
         where subscription_id = $1 and state in ('retrying', 'waiting')
             and (position, revision, event_index) > ($2, $3, $4)
         order by position, revision, event_index
         limit $5"#,
        subscription.0,
        position.0,
        i32::try_from(revision).unwrap_or(i32::MAX),
        i16::from(event_index),
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(executor)
    .await
}
