//! Counting recent delivery attempts.

use domain::{SubscriptionId, Timestamp};
use ports::StoreError;
use ports::subscriptions::{MAX_PENDING, MAX_RECENT, RecentAttempts};
use sql_rows::deliveries::count_recent;

use crate::SqliteStore;
use crate::rows::EndedRow;
use crate::runtime::Query as _;

const DELIVERIES: &str = "deliveries";

impl SqliteStore {
    pub(crate) async fn recent_attempts(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
    ) -> Result<RecentAttempts, StoreError> {
        let ended = sqlx::query_as!(
            EndedRow,
            r#"select finished_at as "finished_at!",
                   case when subscription_id = ?1 then last_attempts end
                       as "last_attempts?: String"
               from deliveries indexed by deliveries_finished_at_idx
               where finished_at >= ?2
                   and exists (select 1 from subscriptions where id = ?1 and not removed)
               order by finished_at desc
               limit ?3"#,
            subscription.0,
            since.unix_micros(),
            limit(MAX_RECENT + 1),
        )
        .fetch_all(&self.readers)
        .run(&self.runtime, "read ended attempts", DELIVERIES)
        .await?;
        let pending = sqlx::query_scalar!(
            "select last_attempts
             from deliveries indexed by deliveries_subscription_id_position_idx
             where subscription_id = ?1 and state in ('retrying', 'waiting')
                 and exists (select 1 from subscriptions where id = ?1 and not removed)
             order by position, revision, event_index
             limit ?2",
            subscription.0,
            limit(MAX_PENDING),
        )
        .fetch_all(&self.readers)
        .run(&self.runtime, "read pending attempts", DELIVERIES)
        .await?;
        count_recent(since, ended, pending)
    }
}

fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
