//! Requests that wait to be forwarded.

use async_trait::async_trait;
use domain::forwarding::WaitingRequests;
use domain::{ChannelId, ForwardedRequestKey, Timestamp};
use ports::StoreError;
use ports::forwarding::{
    ClaimedRequest, ForwardedRequestStore, NewForwardedRequest, PostponedRequest, RequestClaim,
    StoredRequest,
};
use sql_rows::forwarding::{
    BacklogRow, ClaimedRow, FORWARDED_REQUESTS, FUTURE_MICROS, LONGEST_DELAY_MICROS, MAX_REMOVED,
    admit, admitted, removed_by_channel,
};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::json;
use crate::rows::WaitingRow;
use crate::runtime::Query as _;

#[async_trait]
impl ForwardedRequestStore for SqliteStore {
    async fn store_requests(
        &self,
        requests: &[NewForwardedRequest],
    ) -> Result<Vec<StoredRequest>, StoreError> {
        let stored = self.try_store_requests(requests);
        stored
            .run(
                &self.runtime,
                "store requests to forward",
                FORWARDED_REQUESTS,
            )
            .await
    }

    async fn claim_requests(
        &self,
        claim: &RequestClaim<'_>,
    ) -> Result<Vec<ClaimedRequest>, StoreError> {
        let rows = self.try_claim_requests(claim);
        let rows = rows
            .run(
                &self.runtime,
                "claim requests to forward",
                FORWARDED_REQUESTS,
            )
            .await?;
        rows.into_iter().map(ClaimedRequest::try_from).collect()
    }

    async fn record_forwarding(
        &self,
        forwarded: &[ForwardedRequestKey],
        postponed: &[PostponedRequest],
    ) -> Result<(), StoreError> {
        let recorded = self.try_record_forwarding(forwarded, postponed);
        recorded
            .run(
                &self.runtime,
                "record forwarded requests",
                FORWARDED_REQUESTS,
            )
            .await
    }

    async fn restore_due_times(&self, now: Timestamp) -> Result<u64, StoreError> {
        let restored = self.try_restore_due_times(now);
        restored
            .run(&self.runtime, "restore due times", FORWARDED_REQUESTS)
            .await
    }

    async fn remove_old_requests(
        &self,
        arrived_before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<(ChannelId, u64)>, StoreError> {
        let removed = self.try_remove_old_requests(arrived_before, now);
        let removed = removed
            .run(
                &self.runtime,
                "remove old requests to forward",
                FORWARDED_REQUESTS,
            )
            .await?;
        removed_by_channel(removed)
    }

    async fn waiting_requests(
        &self,
        channel: Option<&ChannelId>,
    ) -> Result<Vec<(ChannelId, WaitingRequests)>, StoreError> {
        let rows = self.waiting_rows(channel);
        let rows = rows
            .run(
                &self.runtime,
                "count requests to forward",
                FORWARDED_REQUESTS,
            )
            .await?;
        rows.into_iter().map(TryFrom::try_from).collect()
    }
}

impl SqliteStore {
    async fn try_store_requests(
        &self,
        requests: &[NewForwardedRequest],
    ) -> Result<Vec<StoredRequest>, sqlx::Error> {
        let mut write = self.begin().await?;
        let backlogs = backlogs(&mut write, requests).await?;
        let waiting = waiting(&mut write, requests).await?;
        let outcomes = admit(requests, backlogs, waiting);
        let outcomes = outcomes.map_err(|error| sqlx::Error::Decode(error.into()))?;
        for request in admitted(requests, &outcomes) {
            sqlx::query!(
                "insert into forwarded_requests (
                     channel_id, body_hash, request, size, arrived_at, next_attempt_at
                 )
                 values (?1, ?2, ?3, length(?3), ?4, ?4)",
                request.key.channel.as_str(),
                request.key.body_hash.as_slice(),
                request.sealed.0,
                request.arrived_at.unix_micros(),
            )
            .execute(&mut *write)
            .await?;
        }
        write.commit().await?;
        Ok(outcomes)
    }

    async fn try_claim_requests(
        &self,
        claim: &RequestClaim<'_>,
    ) -> Result<Vec<ClaimedRow>, sqlx::Error> {
        let channels = claim.channels.iter();
        let channels = json::array(channels.map(|it| (it.id.as_str(), it.in_flight)));
        let now = claim.now.unix_micros();
        // Claims are frequent, and most find nothing: the writer is not needed for these.
        let is_due = sqlx::query_scalar!(
            r#"select exists (
                   select 1 from jsonb_each(?1) as channel
                   join forwarded_requests as due
                       on due.channel_id = channel.value ->> 0 and due.next_attempt_at <= ?2
               ) as "is_due!: bool""#,
            channels,
            now,
        )
        .fetch_one(&self.readers)
        .await?;
        if !is_due {
            return Ok(Vec::new());
        }
        let lease = i64::try_from(claim.lease.as_micros()).unwrap_or(i64::MAX);
        let mut write = self.begin().await?;
        let rows = sqlx::query_as!(
            ClaimedRow,
            "update forwarded_requests
             set next_attempt_at = ?5, attempts = attempts + 1
             where rowid in (
                 select claimed.rowid
                 from jsonb_each(?1) as channel
                 join forwarded_requests as claimed on claimed.rowid in (
                     -- Of each channel, the requests that are due for the longest time.
                     select due.rowid from forwarded_requests as due
                     where due.channel_id = channel.value ->> 0 and due.next_attempt_at <= ?2
                     order by due.next_attempt_at
                     limit ?3
                 )
                 -- Channels share the limit equally, with what is in flight.
                 order by (channel.value ->> 1) + row_number() over (
                     partition by claimed.channel_id order by claimed.next_attempt_at
                 ), claimed.next_attempt_at
                 limit ?4
             )
             returning channel_id, body_hash, request, attempts",
            channels,
            now,
            i64::from(claim.per_channel),
            i64::from(claim.total),
            claim.now.plus_micros(lease).unix_micros(),
        )
        .fetch_all(&mut *write)
        .await?;
        write.commit().await?;
        Ok(rows)
    }

    async fn try_record_forwarding(
        &self,
        forwarded: &[ForwardedRequestKey],
        postponed: &[PostponedRequest],
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        for key in forwarded {
            sqlx::query!(
                "delete from forwarded_requests where channel_id = ? and body_hash = ?",
                key.channel.as_str(),
                key.body_hash.as_slice(),
            )
            .execute(&mut *write)
            .await?;
        }
        for request in postponed {
            sqlx::query!(
                "update forwarded_requests
                 set next_attempt_at = ?, failed_at = ?, last_error = ?
                 where channel_id = ? and body_hash = ? and attempts = ?",
                request.next_attempt_at.unix_micros(),
                request.failure.at.unix_micros(),
                request.failure.error,
                request.key.channel.as_str(),
                request.key.body_hash.as_slice(),
                request.attempts,
            )
            .execute(&mut *write)
            .await?;
        }
        write.commit().await
    }

    async fn try_restore_due_times(&self, now: Timestamp) -> Result<u64, sqlx::Error> {
        let longest = now.plus_micros(LONGEST_DELAY_MICROS).unix_micros();
        let future = now.plus_micros(FUTURE_MICROS).unix_micros();
        // Most calls find nothing: the writer is not needed for these.
        let is_postponed = sqlx::query_scalar!(
            r#"select exists (
                   select 1 from forwarded_requests
                   where next_attempt_at > ?1 or (attempts = 0 and next_attempt_at > ?2)
               ) as "is_postponed!: bool""#,
            longest,
            future,
        )
        .fetch_one(&self.readers)
        .await?;
        if !is_postponed {
            return Ok(0);
        }
        let mut write = self.begin().await?;
        let restored = sqlx::query!(
            "update forwarded_requests
             set next_attempt_at = ?1
             where next_attempt_at > ?2 or (attempts = 0 and next_attempt_at > ?3)",
            now.unix_micros(),
            longest,
            future,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(restored.rows_affected())
    }

    async fn try_remove_old_requests(
        &self,
        arrived_before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<String>, sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!(
            "update forwarded_requests
             set arrived_at = ?1, next_attempt_at = ?1
             where arrived_at > ?2",
            now.unix_micros(),
            now.plus_micros(FUTURE_MICROS).unix_micros(),
        )
        .execute(&mut *write)
        .await?;
        let removed = sqlx::query_scalar!(
            "delete from forwarded_requests
             where rowid in (
                 select rowid from forwarded_requests
                 where arrived_at < ?
                 order by arrived_at
                 limit ?
             )
             returning channel_id",
            arrived_before.unix_micros(),
            MAX_REMOVED,
        )
        .fetch_all(&mut *write)
        .await?;
        write.commit().await?;
        Ok(removed)
    }

    async fn waiting_rows(
        &self,
        channel: Option<&ChannelId>,
    ) -> Result<Vec<WaitingRow>, sqlx::Error> {
        // With `max` alone, SQLite takes the bare column from the row of the maximum.
        sqlx::query_as!(
            WaitingRow,
            r#"select waiting.channel_id as "channel_id!", waiting.requests as "requests!: i64",
                   waiting.bytes as "bytes!: i64", waiting.oldest_at as "oldest_at!: i64",
                   failed.failed_at as "failed_at?: i64", failed.last_error as "last_error?"
               from (
                   select channel_id, count(*) as requests, sum(size) as bytes,
                       min(arrived_at) as oldest_at
                   from forwarded_requests
                   where ?1 is null or channel_id = ?1
                   group by channel_id
               ) as waiting
               left join (
                   select channel_id, max(failed_at) as failed_at, last_error
                   from forwarded_requests
                   where failed_at is not null and (?1 is null or channel_id = ?1)
                   group by channel_id
               ) as failed on failed.channel_id = waiting.channel_id
               order by waiting.channel_id"#,
            channel.map(ChannelId::as_str),
        )
        .fetch_all(&self.readers)
        .await
    }
}

/// Returns what waits of the channels of requests that have a forward URL.
async fn backlogs(
    connection: &mut SqliteConnection,
    requests: &[NewForwardedRequest],
) -> Result<Vec<BacklogRow>, sqlx::Error> {
    let channels = channels(requests.iter().map(|request| &request.key.channel));
    sqlx::query_as!(
        BacklogRow,
        r#"select channel.id as channel_id, count(waiting.size) as "requests!: i64",
               coalesce(sum(waiting.size), 0) as "bytes!: i64"
           from channels as channel
           left join forwarded_requests as waiting on waiting.channel_id = channel.id
           where channel.forward_url is not null
               and channel.id in (select value from jsonb_each(?))
           group by channel.id"#,
        channels,
    )
    .fetch_all(connection)
    .await
}

/// Returns those of the requests that are stored already.
async fn waiting(
    connection: &mut SqliteConnection,
    requests: &[NewForwardedRequest],
) -> Result<Vec<(String, Vec<u8>)>, sqlx::Error> {
    let keys = json::array(requests.iter().map(|request| {
        let hash = json::hex(&request.key.body_hash);
        (request.key.channel.as_str(), hash)
    }));
    let rows = sqlx::query!(
        "select waiting.channel_id, waiting.body_hash
         from jsonb_each(?) as new
         join forwarded_requests as waiting
             on waiting.channel_id = new.value ->> 0
                 and waiting.body_hash = unhex(new.value ->> 1)",
        keys,
    )
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(|row| (row.channel_id, row.body_hash));
    Ok(rows.collect())
}

fn channels<'a>(channels: impl Iterator<Item = &'a ChannelId>) -> String {
    json::array(channels.map(ChannelId::as_str))
}
