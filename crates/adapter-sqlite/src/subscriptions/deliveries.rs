//! Listing and retrying deliveries.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use domain::delivery::DeliveryFilter;
use domain::page::{Page, PageSize, ScanLimit};
use domain::{Delivery, DeliveryKey, DeliveryState, LogPosition, SubscriptionId, Timestamp};
use ports::StoreError;
use ports::subscriptions::{DeliveryStore, MAX_RETRIED, RecentAttempts};
use sql_rows::deliveries::page_of_deliveries;
use uuid::Uuid;

use crate::SqliteStore;
use crate::connection::Write;
use crate::json;
use crate::rows::DeliveryRow;
use crate::runtime::Query as _;
use crate::subscriptions::write::write_and_commit;

const SUBSCRIPTIONS: &str = "subscriptions";
pub(crate) const DELIVERIES: &str = "deliveries";

#[async_trait]
impl DeliveryStore for SqliteStore {
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
            r#"select subscription_id as "subscription_id!: Uuid", report_id as "report_id!",
                   event_index as "event_index!", position as "position!",
                   created_at as "created_at!", retrying_since, next_attempt_at, cooldown_until,
                   finished_at, revision as "revision!", attempts as "attempts!",
                   state as "state!", event_type as "event_type!", channel_id as "channel_id!",
                   sid as "sid!", last_attempts as "last_attempts!", body
               from deliveries
               where subscription_id = ?1 and report_id = ?2 and event_index = ?3
                   and exists (select 1 from subscriptions where id = ?1 and not removed)"#,
            key.subscription.0,
            key.report_id,
            key.event_index,
        )
        .fetch_optional(&self.readers)
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
        let enqueued = self.try_enqueue(subscription, deliveries);
        enqueued
            .run(&self.runtime, "enqueue deliveries", DELIVERIES)
            .await
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

impl SqliteStore {
    async fn try_retry(&self, key: DeliveryKey, now: Timestamp) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let retried = sqlx::query!(
            "update deliveries
             set state = 'retrying', next_attempt_at = ?4, finished_at = null,
                 retrying_since = ?4, cooldown_until = null
             where subscription_id = ?1 and report_id = ?2 and event_index = ?3 and body is not null
                 and (
                     state = 'dead'
                     or state = 'retrying' and coalesce(next_attempt_at > ?4, 1)
                 )
                 and exists (select 1 from subscriptions where id = ?1 and not removed)",
            key.subscription.0,
            key.report_id,
            key.event_index,
            now.unix_micros(),
        )
        .execute(&mut *write)
        .await?;
        let retried = retried.rows_affected() > 0;
        if retried {
            raise_fence(&mut write, key.subscription).await?;
        }
        write.commit().await?;
        Ok(retried)
    }

    async fn try_retry_all(
        &self,
        filter: &DeliveryFilter,
        now: Timestamp,
    ) -> Result<u64, sqlx::Error> {
        let mut write = self.begin().await?;
        // Dead letters and retrying deliveries, each by its index.
        let retried = sqlx::query!(
            "update deliveries
             set state = 'retrying', next_attempt_at = ?2, finished_at = null,
                 retrying_since = ?2, cooldown_until = null
             from (
                 select report_id, event_index
                 from deliveries indexed by deliveries_subscription_id_report_id_event_index_idx
                 where subscription_id = ?1 and state = 'dead' and body is not null
                     and created_at >= ?3 and created_at < ?4
                     and (?5 is null or event_type = ?5)
                     and (?6 is null or state = ?6)
                     and (?7 is null or channel_id = ?7 and sid = ?8)
                 union all
                 select report_id, event_index
                 from deliveries indexed by deliveries_subscription_id_position_idx
                 where subscription_id = ?1 and state in ('retrying', 'waiting')
                     and state = 'retrying' and coalesce(next_attempt_at > ?2, 1)
                     and body is not null
                     and created_at >= ?3 and created_at < ?4
                     and (?5 is null or event_type = ?5)
                     and (?6 is null or state = ?6)
                     and (?7 is null or channel_id = ?7 and sid = ?8)
                 order by 1, 2
                 limit ?9
             ) as chosen
             where deliveries.subscription_id = ?1
                 and deliveries.report_id = chosen.report_id
                 and deliveries.event_index = chosen.event_index
                 and exists (select 1 from subscriptions where id = ?1 and not removed)",
            filter.subscription.0,
            now.unix_micros(),
            filter.since.map_or(i64::MIN, Timestamp::unix_micros),
            filter.until.map_or(i64::MAX, Timestamp::unix_micros),
            filter.event_type.map(domain::EventType::as_str),
            filter.state.map(DeliveryState::as_str),
            filter.message.as_ref().map(|key| key.channel.as_str()),
            filter.message.as_ref().map(|key| key.sid.to_compact()),
            i64::try_from(MAX_RETRIED).unwrap_or(i64::MAX),
        )
        .execute(&mut *write)
        .await?
        .rows_affected();
        if retried > 0 {
            raise_fence(&mut write, filter.subscription).await?;
        }
        write.commit().await?;
        Ok(retried)
    }

    async fn try_enqueue(
        &self,
        subscription: SubscriptionId,
        deliveries: &[Delivery],
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        if !raise_fence(&mut write, subscription).await? {
            write.roll_back().await;
            return Ok(false);
        }
        write_and_commit(&mut write, subscription, deliveries).await?;
        write.committed();
        Ok(true)
    }

    async fn try_replace_bodies(
        &self,
        subscription: SubscriptionId,
        bodies: &[(DeliveryKey, String)],
    ) -> Result<u64, sqlx::Error> {
        let rows = bodies.iter();
        let rows = json::array(rows.map(|(key, body)| (key.report_id, key.event_index, body)));
        let mut write = self.begin().await?;
        if !raise_fence(&mut write, subscription).await? {
            write.roll_back().await;
            return Ok(0);
        }
        let replaced = sqlx::query!(
            "update deliveries set body = incoming.body
             from (
                 select value ->> 0 as report_id, value ->> 1 as event_index, value ->> 2 as body
                 from jsonb_each(?2)
             ) as incoming
             where deliveries.subscription_id = ?1
                 and deliveries.report_id = incoming.report_id
                 and deliveries.event_index = incoming.event_index and deliveries.body is not null",
            subscription.0,
            rows,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(replaced.rows_affected())
    }

    /// Moves the position of a subscription into a range, by as little as possible.
    async fn clamp_position(
        &self,
        subscription: SubscriptionId,
        within: RangeInclusive<LogPosition>,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let moved = sqlx::query!(
            "update subscriptions set position = max(?2, min(?3, position)), fence = fence + 1
             where id = ?1 and not removed",
            subscription.0,
            within.start().0,
            within.end().0,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(moved.rows_affected() > 0)
    }
}

/// Revokes the lease. Returns whether there is such a subscription.
async fn raise_fence(
    write: &mut Write<'_>,
    subscription: SubscriptionId,
) -> Result<bool, sqlx::Error> {
    let raised = sqlx::query!(
        "update subscriptions set fence = fence + 1 where id = ? and not removed",
        subscription.0,
    )
    .execute(&mut **write)
    .await?;
    Ok(raised.rows_affected() > 0)
}
