//! Subscriptions.

use async_trait::async_trait;
use domain::subscription::PauseReason;
use domain::{LogPosition, Subscription, SubscriptionId, Timestamp};
use ports::StoreError;
use ports::subscriptions::{SubscriptionStatus, SubscriptionStore};
use sql_rows::subscriptions::{channels, event_types};
use uuid::Uuid;

use crate::SqliteStore;
use crate::json;
use crate::rows::SubscriptionRow;
use crate::runtime::Query as _;

const SUBSCRIPTIONS: &str = "subscriptions";

#[async_trait]
impl SubscriptionStore for SqliteStore {
    async fn add(
        &self,
        subscription: &Subscription,
        from: LogPosition,
    ) -> Result<bool, StoreError> {
        let added = self.try_add_subscription(subscription, from);
        added
            .run(&self.runtime, "add subscription", SUBSCRIPTIONS)
            .await
    }

    async fn find(&self, id: SubscriptionId) -> Result<Option<SubscriptionStatus>, StoreError> {
        let rows = self.subscription_rows(Some(id));
        let rows = rows.run(&self.runtime, "find subscription", SUBSCRIPTIONS);
        let mut found = rows.await?.into_iter().map(SubscriptionStatus::try_from);
        found.next().transpose()
    }

    async fn list(&self) -> Result<Vec<SubscriptionStatus>, StoreError> {
        let rows = self.subscription_rows(None);
        let rows = rows.run(&self.runtime, "list subscriptions", SUBSCRIPTIONS);
        let found = rows.await?.into_iter().map(SubscriptionStatus::try_from);
        found.collect()
    }

    async fn change(&self, subscription: &Subscription) -> Result<bool, StoreError> {
        let changed = self.try_change_subscription(subscription);
        changed
            .run(&self.runtime, "change subscription", SUBSCRIPTIONS)
            .await
    }

    async fn remove(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        let removed = self.try_remove_subscription(id);
        removed
            .run(&self.runtime, "remove subscription", SUBSCRIPTIONS)
            .await
    }
}

impl SqliteStore {
    /// Returns subscriptions and their counts as of one moment, since it is one statement.
    async fn subscription_rows(
        &self,
        id: Option<SubscriptionId>,
    ) -> Result<Vec<SubscriptionRow>, sqlx::Error> {
        sqlx::query_as!(
            SubscriptionRow,
            r#"select id as "id: Uuid", created_at, updated_at, version, url, channels, event_types,
                   reveal as "reveal: bool", description, secret, secret_created_at,
                   previous_secret, previous_secret_created_at, previous_secret_expires_at, state,
                   pause_reason, state_since, last_error, failing_since, last_delivered_at,
                   position, fence,
                   case when free_at > (select now from clock) then leased_by end as "leased_by: String",
                   (
                       select count(*)
                       from deliveries indexed by deliveries_subscription_id_position_idx
                       where subscription_id = subscriptions.id
                           and deliveries.state in ('retrying', 'waiting')
                   ) as "pending: i64",
                   (
                       select count(*)
                       from deliveries indexed by deliveries_subscription_id_report_id_event_index_idx
                       where subscription_id = subscriptions.id and deliveries.state = 'dead'
                   ) as "dead: i64"
               from subscriptions
               where not removed and (?1 is null or id = ?1)
               order by created_at, id"#,
            id.map(|id| id.0),
        )
        .fetch_all(&self.readers)
        .await
    }

    async fn try_add_subscription(
        &self,
        subscription: &Subscription,
        from: LogPosition,
    ) -> Result<bool, sqlx::Error> {
        let secrets = &subscription.secrets;
        let previous = secrets.previous.as_ref();
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
                 (select now from clock), 0, ?
             )
             on conflict (id) do nothing",
            subscription.id.0,
            subscription.created_at.unix_micros(),
            subscription.updated_at.unix_micros(),
            subscription.version,
            subscription.url.reveal(),
            channels(&subscription.filter).map(json::array),
            event_types(&subscription.filter).map(json::array),
            subscription.reveal,
            subscription.description.as_str(),
            secrets.current.sealed.0,
            secrets.current.created_at.unix_micros(),
            previous.map(|it| it.secret.sealed.0.as_slice()),
            previous.map(|it| it.secret.created_at.unix_micros()),
            previous.map(|it| it.expires_at.unix_micros()),
            subscription.state.as_str(),
            subscription.state.reason().map(PauseReason::as_str),
            subscription.state.since().map(Timestamp::unix_micros),
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
        let secrets = &subscription.secrets;
        let previous = secrets.previous.as_ref();
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
            subscription.id.0,
            version_before,
            subscription.updated_at.unix_micros(),
            subscription.version,
            subscription.url.reveal(),
            channels(&subscription.filter).map(json::array),
            event_types(&subscription.filter).map(json::array),
            subscription.reveal,
            subscription.description.as_str(),
            secrets.current.sealed.0,
            secrets.current.created_at.unix_micros(),
            previous.map(|it| it.secret.sealed.0.as_slice()),
            previous.map(|it| it.secret.created_at.unix_micros()),
            previous.map(|it| it.expires_at.unix_micros()),
            subscription.state.as_str(),
            subscription.state.reason().map(PauseReason::as_str),
            subscription.state.since().map(Timestamp::unix_micros),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(changed.rows_affected() > 0)
    }

    async fn try_remove_subscription(&self, id: SubscriptionId) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let removed = sqlx::query!(
            "update subscriptions
             set removed = 1, fence = fence + 1, leased_fence = null, leased_by = null, url = '',
                 channels = null, event_types = null, description = '', secret = x'',
                 previous_secret = null, last_error = null
             where id = ? and not removed",
            id.0,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(removed.rows_affected() > 0)
    }
}
