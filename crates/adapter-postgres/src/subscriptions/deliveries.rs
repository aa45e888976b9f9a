//! Reading and retrying deliveries.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use domain::delivery::DeliveryFilter;
use domain::page::{Page, PageSize, ScanLimit};
use domain::{Delivery, DeliveryKey, LogPosition, SubscriptionId, Timestamp};
use ports::StoreError;
use ports::subscriptions::{DeliveryStore, MAX_RETRIED, RecentAttempts};
use sql_rows::deliveries::page_of_deliveries;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::PostgresStore;
use crate::error::store_error;
use crate::retry;
use crate::rows::DeliveryRow;
use crate::runtime::{Operation as _, Query as _};
use crate::subscriptions::list::{push_indexed, push_type_and_times};

const SUBSCRIPTIONS: &str = "subscriptions";
const DELIVERIES: &str = "deliveries";

#[async_trait]
impl DeliveryStore for PostgresStore {
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Delivery, DeliveryKey>, StoreError> {
        let read = self.read_deliveries(filter, after, size, scan);
        let (rows, scan_end) = read
            .run(&self.runtime, "list deliveries", DELIVERIES)
            .await?;
        page_of_deliveries(filter.subscription, rows, scan_end, size)
    }

    async fn delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let found = sqlx::query_as!(
            DeliveryRow,
            r#"select subscription_id, report_id, position, created_at, retrying_since,
                   next_attempt_at, cooldown_until, finished_at, revision as "revision: i64",
                   attempts as "attempts: i64", event_index as "event_index: i64", state,
                   event_type, channel_id, sid, last_attempts::text as "last_attempts!", body
               from deliveries
               where subscription_id = $1 and report_id = $2 and event_index = $3
                   and exists (select from subscriptions where id = $1 and not removed)"#,
            key.subscription.0,
            key.report_id,
            i16::from(key.event_index),
        )
        .fetch_optional(&self.pool)
        .run(&self.runtime, "find delivery", DELIVERIES)
        .await?;
        found.map(Delivery::try_from).transpose()
    }

    async fn retry(&self, key: DeliveryKey, now: Timestamp) -> Result<bool, StoreError> {
        let retried = self.try_retry(key, now);
        retried
            .run(&self.runtime, "retry delivery", DELIVERIES)
            .await
    }

    async fn retry_all(&self, filter: &DeliveryFilter, now: Timestamp) -> Result<u64, StoreError> {
        let retried = self.try_retry_all(filter, now);
        retried
            .run(&self.runtime, "retry deliveries", DELIVERIES)
            .await
    }

    async fn enqueue(
        &self,
        subscription: SubscriptionId,
        deliveries: &[Delivery],
    ) -> Result<bool, StoreError> {
        retry::again(|| {
            self.write(subscription, deliveries, None)
                .in_time(&self.runtime, "enqueue deliveries")
        })
        .await
        .map_err(store_error(DELIVERIES))
    }

    async fn replace_bodies(
        &self,
        subscription: SubscriptionId,
        bodies: &[(DeliveryKey, String)],
    ) -> Result<u64, StoreError> {
        let replaced = self.try_replace_bodies(subscription, bodies);
        replaced
            .run(&self.runtime, "replace bodies", DELIVERIES)
            .await
    }

    async fn rewind(
        &self,
        subscription: SubscriptionId,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let moved = self.clamp_position(subscription, LogPosition::START..=to);
        moved
            .run(&self.runtime, "rewind subscription", SUBSCRIPTIONS)
            .await
    }

    async fn skip(
        &self,
        subscription: SubscriptionId,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let moved = self.clamp_position(subscription, to..=LogPosition(i64::MAX));
        moved
            .run(&self.runtime, "skip pruned events", SUBSCRIPTIONS)
            .await
    }

    async fn attempts(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
    ) -> Result<RecentAttempts, StoreError> {
        self.recent_attempts(subscription, since).await
    }
}

impl PostgresStore {
    /// Moves the position of a subscription into a range, by as little as possible.
    async fn clamp_position(
        &self,
        subscription: SubscriptionId,
        within: RangeInclusive<LogPosition>,
    ) -> Result<bool, sqlx::Error> {
        let moved = sqlx::query!(
            "update subscriptions
             set position = greatest($2, least($3, position)), fence = fence + 1
             where id = $1 and not removed",
            subscription.0,
            within.start().0,
            within.end().0,
        )
        .execute(&self.pool)
        .await?;
        Ok(moved.rows_affected() > 0)
    }

    async fn try_retry(&self, key: DeliveryKey, now: Timestamp) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        if !lock(&mut transaction, key.subscription).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        let retried = sqlx::query!(
            "update deliveries
             set state = 'retrying', next_attempt_at = $4, finished_at = null,
                 retrying_since = $4, cooldown_until = null
             where subscription_id = $1 and report_id = $2 and event_index = $3 and body is not null
                 and (
                     state = 'dead'
                     or state = 'retrying' and coalesce(next_attempt_at > $4, true)
                 )",
            key.subscription.0,
            key.report_id,
            i16::from(key.event_index),
            now.to_date_time(),
        )
        .execute(&mut *transaction)
        .await?;
        if retried.rows_affected() == 0 {
            // Dropping the transaction would release the lock a little later, and a claim
            // meanwhile would skip the row.
            transaction.rollback().await?;
            return Ok(false);
        }
        raise_fence(&mut transaction, key.subscription).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn try_retry_all(
        &self,
        filter: &DeliveryFilter,
        now: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        if !lock(&mut transaction, filter.subscription).await? {
            transaction.rollback().await?;
            return Ok(0);
        }
        let retried = retry_of_deliveries(filter, now)
            .build()
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if retried > 0 {
            raise_fence(&mut transaction, filter.subscription).await?;
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(retried)
    }

    async fn try_replace_bodies(
        &self,
        subscription: SubscriptionId,
        bodies: &[(DeliveryKey, String)],
    ) -> Result<u64, sqlx::Error> {
        let report_ids: Vec<_> = bodies.iter().map(|(key, _)| key.report_id).collect();
        let parts: Vec<_> = bodies
            .iter()
            .map(|(key, _)| i16::from(key.event_index))
            .collect();
        let texts: Vec<_> = bodies.iter().map(|(_, body)| body.as_str()).collect();
        let mut transaction = self.pool.begin().await?;
        if !lock(&mut transaction, subscription).await? {
            transaction.rollback().await?;
            return Ok(0);
        }
        let replaced = sqlx::query!(
            "update deliveries set body = incoming.body
             from unnest($2::bigint[], $3::smallint[], $4::text[])
                 as incoming (report_id, event_index, body)
             where deliveries.subscription_id = $1
                 and deliveries.report_id = incoming.report_id
                 and deliveries.event_index = incoming.event_index and deliveries.body is not null",
            subscription.0,
            &report_ids,
            &parts,
            &texts as _,
        )
        .execute(&mut *transaction)
        .await?;
        raise_fence(&mut transaction, subscription).await?;
        transaction.commit().await?;
        Ok(replaced.rows_affected())
    }
}

/// Locks a subscription, which every writer of its deliveries does first. Returns whether it
/// exists.
async fn lock(
    connection: &mut PgConnection,
    subscription: SubscriptionId,
) -> Result<bool, sqlx::Error> {
    let locked = sqlx::query_scalar!(
        "select id from subscriptions where id = $1 and not removed for no key update",
        subscription.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(locked.is_some())
}

/// Revokes the lease.
async fn raise_fence(
    connection: &mut PgConnection,
    subscription: SubscriptionId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update subscriptions set fence = fence + 1 where id = $1",
        subscription.0,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn retry_of_deliveries(filter: &DeliveryFilter, now: Timestamp) -> QueryBuilder<Postgres> {
    let now = now.to_date_time();
    let mut query = QueryBuilder::new(
        "update deliveries
         set state = 'retrying', finished_at = null, cooldown_until = null, next_attempt_at = ",
    );
    query
        .push_bind(now)
        .push(", retrying_since = ")
        .push_bind(now)
        .push(
            " where ctid = any (array(
                 select ctid from deliveries
                 where body is not null
                     and (state = 'dead' or state = 'retrying' and coalesce(next_attempt_at > ",
        )
        .push_bind(now)
        .push(", true))");
    push_indexed(&mut query, filter);
    push_type_and_times(&mut query, filter);
    query
        .push(" order by report_id, event_index limit ")
        .push_bind(i64::try_from(MAX_RETRIED).unwrap_or(i64::MAX))
        .push(" for update))");
    query
}
