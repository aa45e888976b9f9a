//! What became of deliveries, and asking for more of them.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use domain::delivery::DeliveryFilter;
use domain::page::{Page, PageSize};
use domain::{Delivery, DeliveryKey, DeliveryState, LogPosition, SubscriptionId, Timestamp};
use ports::StoreError;
use ports::subscriptions::{DeliveryStore, MAX_RETRIED, RecentAttempts};

use crate::SqliteStore;
use crate::connection::Write;
use crate::error::store_error;
use crate::json::JsonRows;
use crate::runtime::Operation as _;
use crate::subscriptions::delivery_rows::{self, DeliveryRow};

const SUBSCRIPTIONS: &str = "subscriptions";
pub(crate) const DELIVERIES: &str = "deliveries";

#[async_trait]
impl DeliveryStore for SqliteStore {
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
    ) -> Result<Page<Delivery, DeliveryKey>, StoreError> {
        let rows = self.page_of_delivery_rows(filter, after, size).await;
        let rows = rows.map_err(store_error(DELIVERIES))?;
        let deliveries = rows.into_iter().map(Delivery::try_from);
        let deliveries = deliveries.collect::<Result<_, _>>()?;
        Ok(Page::cut(deliveries, size, |delivery| delivery.key))
    }

    async fn delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let subscription = key.subscription.0.as_bytes().as_slice();
        let found = sqlx::query_as!(
            DeliveryRow,
            "select subscription_id, report_id, part, position, created_at, retrying_since,
                 next_attempt_at, rests_until, finished_at, revision, attempts, state,
                 event_type, channel_id, sid, last_attempts, body
             from deliveries
             where subscription_id = ?1 and report_id = ?2 and part = ?3
                 and exists (select 1 from subscriptions where id = ?1 and not removed)",
            subscription,
            key.report_id,
            key.part,
        )
        .fetch_optional(&self.readers)
        .run_in(&self.runtime)
        .await
        .map_err(store_error(DELIVERIES))?;
        found.map(Delivery::try_from).transpose()
    }

    async fn retry(&self, key: DeliveryKey, now: Timestamp) -> Result<bool, StoreError> {
        let retried = self.try_retry(key, now).await;
        retried.map_err(store_error(DELIVERIES))
    }

    async fn retry_all(&self, filter: &DeliveryFilter, now: Timestamp) -> Result<u64, StoreError> {
        let retried = self.try_retry_all(filter, now).await;
        retried.map_err(store_error(DELIVERIES))
    }

    async fn enqueue(
        &self,
        subscription: SubscriptionId,
        deliveries: &[Delivery],
    ) -> Result<bool, StoreError> {
        let enqueued = self.try_enqueue(subscription, deliveries).await;
        enqueued.map_err(store_error(DELIVERIES))
    }

    async fn replace_bodies(
        &self,
        subscription: SubscriptionId,
        bodies: &[(DeliveryKey, String)],
    ) -> Result<u64, StoreError> {
        let replaced = self.try_replace_bodies(subscription, bodies).await;
        replaced.map_err(store_error(DELIVERIES))
    }

    async fn rewind(
        &self,
        subscription: SubscriptionId,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let moved = self.hold_position(subscription, LogPosition::START..=to);
        moved.await.map_err(store_error(SUBSCRIPTIONS))
    }

    async fn skip(
        &self,
        subscription: SubscriptionId,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let moved = self.hold_position(subscription, to..=LogPosition(i64::MAX));
        moved.await.map_err(store_error(SUBSCRIPTIONS))
    }

    async fn attempts(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
    ) -> Result<RecentAttempts, StoreError> {
        self.attempts(subscription, since).await
    }
}

impl SqliteStore {
    /// One row more than a page has, if there are as many.
    ///
    /// Four statements for what has four ways to be found: what is open and what is dead have
    /// an index of their own, a message knows its reports, and the rest is read along the key.
    /// The engine has to be told: it thinks that the key is always best.
    async fn page_of_delivery_rows(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let subscription = filter.subscription.0.as_bytes().as_slice();
        let state = filter.state.map(DeliveryState::as_str);
        let channel = filter.message.as_ref().map(|key| key.channel.as_str());
        let sid = filter.message.as_ref().map(|key| key.sid.to_compact());
        let event_type = filter.event_type.map(domain::EventType::as_str);
        let since = filter.since.map_or(i64::MIN, Timestamp::unix_micros);
        let until = filter.until.map_or(i64::MAX, Timestamp::unix_micros);
        let (after_report, after_part) = after.map_or((i64::MAX, i64::MAX), |after| {
            (after.report_id, i64::from(after.part))
        });
        let limit = i64::from(size.get()) + 1;
        macro_rules! page {
            ($deliveries:literal, $narrowed:literal) => {
                sqlx::query_as!(
                    DeliveryRow,
                    r#"select subscription_id as "subscription_id!", report_id as "report_id!",
                           part as "part!", position as "position!", created_at as "created_at!",
                           retrying_since, next_attempt_at, rests_until, finished_at,
                           revision as "revision!",
                           attempts as "attempts!", state as "state!",
                           event_type as "event_type!", channel_id as "channel_id!",
                           sid as "sid!", last_attempts as "last_attempts!", body
                       from "#
                        + $deliveries
                        + " where subscription_id = ?1 and "
                        + $narrowed
                        + " and created_at >= ?4 and created_at < ?5
                         and (?6 is null or event_type = ?6)
                         and (?7 is null or state = ?7)
                         and (?8 is null or channel_id = ?8 and sid = ?9)
                         and exists (select 1 from subscriptions where id = ?1 and not removed)
                     order by report_id desc, part desc
                     limit ?10",
                    subscription,
                    after_report,
                    after_part,
                    since,
                    until,
                    event_type,
                    state,
                    channel,
                    sid,
                    limit,
                )
                .fetch_all(&self.readers)
                .run_in(&self.runtime)
                .await
            };
        }
        if filter.message.is_some() {
            return page!(
                "deliveries",
                "report_id in (
                     select value from json_each((
                         select report_ids from messages where channel_id = ?8 and sid = ?9
                     ))
                 )
                 and (+report_id, +part) < (?2, ?3)"
            );
        }
        match filter.state {
            None | Some(DeliveryState::Delivered) => {
                page!("deliveries", "(report_id, part) < (?2, ?3)")
            }
            Some(DeliveryState::Retrying | DeliveryState::Waiting) => page!(
                "deliveries indexed by deliveries_subscription_id_position_idx",
                "state in ('retrying', 'waiting') and (report_id, part) < (?2, ?3)"
            ),
            Some(DeliveryState::Dead) => page!(
                "deliveries indexed by deliveries_subscription_id_report_id_part_idx",
                "state = 'dead' and (report_id, part) < (?2, ?3)"
            ),
        }
    }

    async fn try_retry(&self, key: DeliveryKey, now: Timestamp) -> Result<bool, sqlx::Error> {
        let subscription = key.subscription.0.as_bytes().as_slice();
        let now = now.unix_micros();
        let mut write = self.begin().await?;
        let retried = sqlx::query!(
            "update deliveries
             set state = 'retrying', next_attempt_at = ?4, finished_at = null,
                 retrying_since = ?4, rests_until = null
             where subscription_id = ?1 and report_id = ?2 and part = ?3 and body is not null
                 and (
                     state = 'dead'
                     or state = 'retrying' and coalesce(next_attempt_at > ?4, 1)
                 )
                 and exists (select 1 from subscriptions where id = ?1 and not removed)",
            subscription,
            key.report_id,
            key.part,
            now,
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
        let subscription = filter.subscription.0.as_bytes().as_slice();
        let state = filter.state.map(DeliveryState::as_str);
        let channel = filter.message.as_ref().map(|key| key.channel.as_str());
        let sid = filter.message.as_ref().map(|key| key.sid.to_compact());
        let event_type = filter.event_type.map(domain::EventType::as_str);
        let since = filter.since.map_or(i64::MIN, Timestamp::unix_micros);
        let until = filter.until.map_or(i64::MAX, Timestamp::unix_micros);
        let now = now.unix_micros();
        let limit = i64::try_from(MAX_RETRIED).unwrap_or(i64::MAX);
        let mut write = self.begin().await?;
        // What is dead and what is retrying, each along its index.
        let retried = sqlx::query!(
            "update deliveries
             set state = 'retrying', next_attempt_at = ?2, finished_at = null,
                 retrying_since = ?2, rests_until = null
             from (
                 select report_id, part
                 from deliveries indexed by deliveries_subscription_id_report_id_part_idx
                 where subscription_id = ?1 and state = 'dead' and body is not null
                     and created_at >= ?3 and created_at < ?4
                     and (?5 is null or event_type = ?5)
                     and (?6 is null or state = ?6)
                     and (?7 is null or channel_id = ?7 and sid = ?8)
                 union all
                 select report_id, part
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
                 and deliveries.part = chosen.part
                 and exists (select 1 from subscriptions where id = ?1 and not removed)",
            subscription,
            now,
            since,
            until,
            event_type,
            state,
            channel,
            sid,
            limit,
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
        delivery_rows::write(&mut write, subscription, deliveries).await?;
        write.committed();
        Ok(true)
    }

    async fn try_replace_bodies(
        &self,
        subscription: SubscriptionId,
        bodies: &[(DeliveryKey, String)],
    ) -> Result<u64, sqlx::Error> {
        let id = subscription.0.as_bytes().as_slice();
        let mut rows = JsonRows::with_capacity(bodies.len(), 1_024);
        for (key, body) in bodies {
            let mut row = rows.row();
            row.integer(key.report_id)
                .integer(key.part.into())
                .text(body);
        }
        let rows = rows.finish();
        let mut write = self.begin().await?;
        if !raise_fence(&mut write, subscription).await? {
            write.roll_back().await;
            return Ok(0);
        }
        let replaced = sqlx::query!(
            "update deliveries set body = incoming.body
             from (
                 select value ->> 0 as report_id, value ->> 1 as part, value ->> 2 as body
                 from jsonb_each(?2)
             ) as incoming
             where deliveries.subscription_id = ?1
                 and deliveries.report_id = incoming.report_id
                 and deliveries.part = incoming.part and deliveries.body is not null",
            id,
            rows,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(replaced.rows_affected())
    }

    /// Moves a position by as little as it takes to have it within these.
    async fn hold_position(
        &self,
        subscription: SubscriptionId,
        within: RangeInclusive<LogPosition>,
    ) -> Result<bool, sqlx::Error> {
        let id = subscription.0.as_bytes().as_slice();
        let (first, last) = (within.start().0, within.end().0);
        let mut write = self.begin().await?;
        let moved = sqlx::query!(
            "update subscriptions set position = max(?2, min(?3, position)), fence = fence + 1
             where id = ?1 and not removed",
            id,
            first,
            last,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(moved.rows_affected() > 0)
    }
}

/// Takes the lease from its holder. Whether there is such a subscription.
async fn raise_fence(
    write: &mut Write<'_>,
    subscription: SubscriptionId,
) -> Result<bool, sqlx::Error> {
    let id = subscription.0.as_bytes().as_slice();
    let raised = sqlx::query!(
        "update subscriptions set fence = fence + 1 where id = ? and not removed",
        id,
    )
    .execute(&mut **write)
    .await?;
    Ok(raised.rows_affected() > 0)
}
