//! Operator events, and how far subscriptions have received them.

use domain::page::PageSize;
use domain::{SubscriptionId, Timestamp};
use ports::troubles::OperatorEventPosition;
use uuid::Uuid;

use crate::SqliteStore;
use crate::json;
use crate::rows::{OperatorEventRow, PositionRow};

impl SqliteStore {
    pub(super) async fn operator_event_rows(
        &self,
        after: i64,
        size: PageSize,
    ) -> Result<Vec<OperatorEventRow>, sqlx::Error> {
        sqlx::query_as!(
            OperatorEventRow,
            r#"select sequence, id as "id: Uuid", event_type, channel_id, at, body
               from operator_events
               where sequence > ?1
               order by sequence
               limit ?2"#,
            after,
            i64::from(size.get()),
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn last_operator_event_before(
        &self,
        before: Timestamp,
    ) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!(
            r#"select coalesce(max(sequence), 0) as "last!: i64" from operator_events where at < ?1"#,
            before.unix_micros(),
        )
        .fetch_one(&self.readers)
        .await
    }

    pub(super) async fn position_rows(&self) -> Result<Vec<PositionRow>, sqlx::Error> {
        sqlx::query_as!(
            PositionRow,
            r#"select subscription_id as "subscription_id: Uuid", sequence, failures, retry_at, failing_since
               from operator_event_positions
               order by subscription_id"#,
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn upsert_position(
        &self,
        subscription: SubscriptionId,
        position: &OperatorEventPosition,
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into operator_event_positions (
                 subscription_id, sequence, failures, retry_at, failing_since
             )
             values (?1, ?2, ?3, ?4, ?5)
             on conflict (subscription_id) do update set
                 sequence = excluded.sequence, failures = excluded.failures,
                 retry_at = excluded.retry_at, failing_since = excluded.failing_since
             where operator_event_positions.sequence <= excluded.sequence",
            subscription.0,
            position.sequence,
            position.failures,
            position.retry_at.map(Timestamp::unix_micros),
            position.failing_since.map(Timestamp::unix_micros),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    pub(super) async fn delete_other_positions(
        &self,
        subscriptions: &[SubscriptionId],
    ) -> Result<(), sqlx::Error> {
        let ids = json::array(subscriptions.iter().map(|id| json::hex(id.0.as_bytes())));
        let mut write = self.begin().await?;
        sqlx::query!(
            "delete from operator_event_positions
             where subscription_id not in (select unhex(value) from json_each(?1))",
            ids,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}
