//! Subscriptions: added, found, changed and removed.

use async_trait::async_trait;
use domain::subscription::PauseReason;
use domain::{LogPosition, Subscription, SubscriptionId, Timestamp};
use ports::StoreError;
use ports::subscriptions::{SubscriptionStatus, SubscriptionStore};

use crate::SqliteStore;
use crate::error::store_error;
use crate::runtime::Operation as _;
use crate::subscriptions::rows::{SubscriptionRow, channels, event_types};

const SUBSCRIPTIONS: &str = "subscriptions";

#[async_trait]
impl SubscriptionStore for SqliteStore {
    async fn add(
        &self,
        subscription: &Subscription,
        from: LogPosition,
    ) -> Result<bool, StoreError> {
        self.try_add_subscription(subscription, from)
            .await
            .map_err(store_error(SUBSCRIPTIONS))
    }

    async fn find(&self, id: SubscriptionId) -> Result<Option<SubscriptionStatus>, StoreError> {
        let rows = self.subscription_rows(Some(id)).await;
        let rows = rows.map_err(store_error(SUBSCRIPTIONS))?;
        let mut found = rows.into_iter().map(SubscriptionStatus::try_from);
        found.next().transpose()
    }

    async fn list(&self) -> Result<Vec<SubscriptionStatus>, StoreError> {
        let rows = self.subscription_rows(None).await;
        let rows = rows.map_err(store_error(SUBSCRIPTIONS))?;
        rows.into_iter().map(SubscriptionStatus::try_from).collect()
    }

    async fn change(&self, subscription: &Subscription) -> Result<bool, StoreError> {
        self.try_change_subscription(subscription)
            .await
            .map_err(store_error(SUBSCRIPTIONS))
    }

    async fn remove(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        let removed = self.try_remove_subscription(id).await;
        removed.map_err(store_error(SUBSCRIPTIONS))
    }
}

impl SqliteStore {
    /// One statement, so that subscriptions and their counts are of the same moment.
    async fn subscription_rows(
        &self,
        id: Option<SubscriptionId>,
    ) -> Result<Vec<SubscriptionRow>, sqlx::Error> {
        let id = id.as_ref().map(|id| id.0.as_bytes().as_slice());
        sqlx::query_as!(
            SubscriptionRow,
            r#"select id, created_at, updated_at, version, url, channels, event_types,
                   reveal as "reveal: bool", description, secret, secret_created_at,
                   previous_secret, previous_secret_created_at, previous_secret_expires_at, state,
                   pause_reason, state_since, last_error, failing_since, last_delivered_at,
                   position, fence,
                   case
                       when free_at > cast(unixepoch('subsec') * 1000000 as integer)
                       then leased_by
                   end as "leased_by: String",
                   (
                       select count(*)
                       from deliveries indexed by deliveries_subscription_id_position_idx
                       where subscription_id = subscriptions.id
                           and deliveries.state in ('retrying', 'waiting')
                   ) as "open: i64",
                   (
                       select count(*)
                       from deliveries indexed by deliveries_subscription_id_report_id_part_idx
                       where subscription_id = subscriptions.id and deliveries.state = 'dead'
                   ) as "dead: i64"
               from subscriptions
               where not removed and (?1 is null or id = ?1)
               order by created_at, id"#,
            id,
        )
        .fetch_all(&self.readers)
        .run_in(&self.runtime)
        .await
    }

    async fn try_add_subscription(
        &self,
        subscription: &Subscription,
        from: LogPosition,
    ) -> Result<bool, sqlx::Error> {
        let id = subscription.id.0.as_bytes().as_slice();
        let created_at = subscription.created_at.unix_micros();
        let updated_at = subscription.updated_at.unix_micros();
        let url = subscription.url.reveal();
        let channels = channels(&subscription.filter);
        let event_types = event_types(&subscription.filter);
        let description = subscription.description.as_str();
        let secret = subscription.secrets.current.sealed.0.as_slice();
        let secret_created_at = subscription.secrets.current.created_at.unix_micros();
        let previous = subscription.secrets.previous.as_ref();
        let previous_secret = previous.map(|it| it.secret.sealed.0.as_slice());
        let previous_created_at = previous.map(|it| it.secret.created_at.unix_micros());
        let previous_expires_at = previous.map(|it| it.expires_at.unix_micros());
        let state = subscription.state.as_str();
        let reason = subscription.state.reason().map(PauseReason::as_str);
        let since = subscription.state.since().map(Timestamp::unix_micros);
        let mut write = self.begin().await?;
        let added = sqlx::query!(
            "insert into subscriptions (
                 id, created_at, updated_at, version, url, channels, event_types, reveal,
                 description, secret, secret_created_at, previous_secret,
                 previous_secret_created_at, previous_secret_expires_at, state, pause_reason,
                 state_since, free_at, fence, position
             )
             values (
                 ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                 cast(unixepoch('subsec') * 1000000 as integer), 0, ?
             )
             on conflict (id) do nothing",
            id,
            created_at,
            updated_at,
            subscription.version,
            url,
            channels,
            event_types,
            subscription.reveal,
            description,
            secret,
            secret_created_at,
            previous_secret,
            previous_created_at,
            previous_expires_at,
            state,
            reason,
            since,
            from.0,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(added.rows_affected() > 0)
    }

    async fn try_change_subscription(
        &self,
        subscription: &Subscription,
    ) -> Result<bool, sqlx::Error> {
        let Some(version_before) = subscription.version.checked_sub(1) else {
            return Ok(false);
        };
        let id = subscription.id.0.as_bytes().as_slice();
        let updated_at = subscription.updated_at.unix_micros();
        let url = subscription.url.reveal();
        let channels = channels(&subscription.filter);
        let event_types = event_types(&subscription.filter);
        let description = subscription.description.as_str();
        let secret = subscription.secrets.current.sealed.0.as_slice();
        let secret_created_at = subscription.secrets.current.created_at.unix_micros();
        let previous = subscription.secrets.previous.as_ref();
        let previous_secret = previous.map(|it| it.secret.sealed.0.as_slice());
        let previous_created_at = previous.map(|it| it.secret.created_at.unix_micros());
        let previous_expires_at = previous.map(|it| it.expires_at.unix_micros());
        let state = subscription.state.as_str();
        let reason = subscription.state.reason().map(PauseReason::as_str);
        let since = subscription.state.since().map(Timestamp::unix_micros);
        let mut write = self.begin().await?;
        let changed = sqlx::query!(
            "update subscriptions
             set updated_at = ?3, version = ?4, url = ?5, channels = ?6, event_types = ?7,
                 reveal = ?8, description = ?9, secret = ?10, secret_created_at = ?11,
                 previous_secret = ?12, previous_secret_created_at = ?13,
                 previous_secret_expires_at = ?14, state = ?15, pause_reason = ?16,
                 state_since = ?17, fence = fence + 1,
                 failing_since = case
                     when ?15 <> 'active' or state = 'active' then failing_since
                 end
             where id = ?1 and version = ?2 and not removed",
            id,
            version_before,
            updated_at,
            subscription.version,
            url,
            channels,
            event_types,
            subscription.reveal,
            description,
            secret,
            secret_created_at,
            previous_secret,
            previous_created_at,
            previous_expires_at,
            state,
            reason,
            since,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(changed.rows_affected() > 0)
    }

    async fn try_remove_subscription(&self, id: SubscriptionId) -> Result<bool, sqlx::Error> {
        let id = id.0.as_bytes().as_slice();
        let mut write = self.begin().await?;
        let removed = sqlx::query!(
            "update subscriptions
             set removed = 1, fence = fence + 1, leased_fence = null, leased_by = null, url = '',
                 channels = null, event_types = null, description = '', secret = x'',
                 previous_secret = null, last_error = null
             where id = ? and not removed",
            id,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(removed.rows_affected() > 0)
    }
}
