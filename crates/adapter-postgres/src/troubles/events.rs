//! Operator events, and how far subscriptions have received them.

use domain::page::PageSize;
use domain::{SubscriptionId, Timestamp};
use ports::troubles::OperatorEventPosition;

use crate::PostgresStore;
use crate::rows::{OperatorEventRow, PositionRow};

impl PostgresStore {
    pub(super) async fn operator_event_rows(
        &self,
        after: i64,
        size: PageSize,
    ) -> Result<Vec<OperatorEventRow>, sqlx::Error> {
        sqlx::query_as!(
            OperatorEventRow,
            r#"select sequence, id, event_type, channel_id, at, body
               from operator_events
               where sequence > $1
               order by sequence
               limit $2"#,
            after,
            i64::from(size.get()),
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn last_operator_event_before(
        &self,
        before: Timestamp,
    ) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!(
            r#"select coalesce(max(sequence), 0) as "last!" from operator_events where at < $1"#,
            before.to_date_time(),
        )
        .fetch_one(&self.pool)
        .await
    }

    pub(super) async fn position_rows(&self) -> Result<Vec<PositionRow>, sqlx::Error> {
        sqlx::query_as!(
            PositionRow,
            r#"select subscription_id, sequence, failures::bigint as "failures!", retry_at, failing_since
               from operator_event_positions
               order by subscription_id"#,
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn upsert_position(
        &self,
        subscription: SubscriptionId,
        position: &OperatorEventPosition,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "insert into operator_event_positions (
                 subscription_id, sequence, failures, retry_at, failing_since
             )
             values ($1, $2, $3, $4, $5)
             on conflict (subscription_id) do update set
                 sequence = excluded.sequence, failures = excluded.failures,
                 retry_at = excluded.retry_at, failing_since = excluded.failing_since
             where operator_event_positions.sequence <= excluded.sequence",
            subscription.0,
            position.sequence,
            i32::try_from(position.failures).unwrap_or(i32::MAX),
            position.retry_at.map(Timestamp::to_date_time),
            position.failing_since.map(Timestamp::to_date_time),
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    pub(super) async fn delete_other_positions(
        &self,
        subscriptions: &[SubscriptionId],
    ) -> Result<(), sqlx::Error> {
        let ids: Vec<_> = subscriptions.iter().map(|id| id.0).collect();
        sqlx::query!(
            "delete from operator_event_positions where subscription_id <> all($1)",
            &ids,
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }
}
