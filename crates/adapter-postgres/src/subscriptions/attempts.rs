//! How attempts to deliver events have ended lately.

use domain::delivery::Attempts;
use domain::{SubscriptionId, Timestamp};
use ports::StoreError;
use ports::subscriptions::{MAX_PENDING, MAX_RECENT, RecentAttempts};

use crate::PostgresStore;
use crate::error::{corrupt, store_error};
use crate::rows::time;
use crate::timeout::Operation as _;

const DELIVERIES: &str = "deliveries";

impl PostgresStore {
    pub(crate) async fn attempts(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
    ) -> Result<RecentAttempts, StoreError> {
        let ended = sqlx::query!(
            r#"select finished_at as "finished_at!",
                   case when subscription_id = $1 then last_attempts::text end as last_attempts
               from deliveries
               where finished_at >= $2
                   and exists (select from subscriptions where id = $1 and not removed)
               order by finished_at desc
               limit $3"#,
            subscription.0,
            since.to_date_time(),
            limit(MAX_RECENT + 1),
        )
        .fetch_all(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(DELIVERIES))?;
        let open = sqlx::query_scalar!(
            r#"select last_attempts::text as "last_attempts!"
               from deliveries
               where subscription_id = $1 and state in ('retrying', 'waiting')
                   and exists (select from subscriptions where id = $1 and not removed)
               order by position, revision, part
               limit $2"#,
            subscription.0,
            limit(MAX_PENDING),
        )
        .fetch_all(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(DELIVERIES))?;

        let mut recent = RecentAttempts::none(since);
        // Whatever began after the first one that was not looked at has ended after it.
        if let Some(first) = ended.get(MAX_RECENT) {
            let first = time(first.finished_at, DELIVERIES, "finished_at")?;
            recent.since = first.plus_micros(1);
        }
        let ended = ended.into_iter().filter_map(|row| row.last_attempts);
        for last in ended.chain(open) {
            let attempts =
                Attempts::from_parts(0, &last).map_err(corrupt(DELIVERIES, "last_attempts"))?;
            recent.count(&attempts);
        }
        Ok(recent)
    }
}

fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
