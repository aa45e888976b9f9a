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
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::error::store_error;
use crate::retry;
use crate::rows::WaitingRow;
use crate::runtime::{Operation as _, Query as _};

#[async_trait]
impl ForwardedRequestStore for PostgresStore {
    async fn store_requests(
        &self,
        requests: &[NewForwardedRequest],
    ) -> Result<Vec<StoredRequest>, StoreError> {
        let stored = retry::again(|| {
            self.try_store_requests(requests)
                .in_time(&self.runtime, "store requests to forward")
        });
        stored.await.map_err(store_error(FORWARDED_REQUESTS))
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
        let recorded = retry::again(|| {
            self.try_record_forwarding(forwarded, postponed)
                .in_time(&self.runtime, "record forwarded requests")
        });
        recorded.await.map_err(store_error(FORWARDED_REQUESTS))
    }

    async fn restore_due_times(&self, now: Timestamp) -> Result<u64, StoreError> {
        let restored = retry::again(|| {
            self.try_restore_due_times(now)
                .in_time(&self.runtime, "restore due times")
        });
        restored.await.map_err(store_error(FORWARDED_REQUESTS))
    }

    async fn remove_old_requests(
        &self,
        arrived_before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<(ChannelId, u64)>, StoreError> {
        let removed = retry::again(|| {
            self.try_remove_old_requests(arrived_before, now)
                .in_time(&self.runtime, "remove old requests to forward")
        });
        removed_by_channel(removed.await.map_err(store_error(FORWARDED_REQUESTS))?)
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

impl PostgresStore {
    async fn try_store_requests(
        &self,
        requests: &[NewForwardedRequest],
    ) -> Result<Vec<StoredRequest>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let backlogs = backlogs(&mut transaction, requests).await?;
        let waiting = waiting(&mut transaction, requests).await?;
        let outcomes = admit(requests, backlogs, waiting);
        let outcomes = outcomes.map_err(|error| sqlx::Error::Decode(error.into()))?;
        let mut admitted = admitted(requests, &outcomes);
        // Racing calls insert in the same order.
        admitted.sort_by_key(|request| &request.key);
        insert(&mut transaction, &admitted).await?;
        transaction.commit().await?;
        Ok(outcomes)
    }

    async fn try_claim_requests(
        &self,
        claim: &RequestClaim<'_>,
    ) -> Result<Vec<ClaimedRow>, sqlx::Error> {
        let lease = i64::try_from(claim.lease.as_micros()).unwrap_or(i64::MAX);
        let in_flight = claim.channels.iter().map(|it| i32::from(it.in_flight));
        sqlx::query_as!(
            ClaimedRow,
            r#"with due as (
                 -- Of each channel, the requests that are due for the longest time and that no
                 -- other process claims at this moment.
                 select of_channel.channel_id, of_channel.body_hash
                 from unnest($1::text[], $6::integer[]) as channel (id, in_flight)
                 cross join lateral (
                     select channel_id, body_hash, next_attempt_at
                     from forwarded_requests
                     where channel_id = channel.id and next_attempt_at <= $2
                     order by next_attempt_at
                     limit $3
                     for update skip locked
                 ) as of_channel
                 -- Channels share the limit equally, with what is in flight.
                 order by channel.in_flight + row_number() over (
                     partition by of_channel.channel_id order by of_channel.next_attempt_at
                 ), of_channel.next_attempt_at
                 limit $4
             )
             update forwarded_requests as claimed
             set next_attempt_at = $5, attempts = attempts + 1
             from due
             where claimed.channel_id = due.channel_id and claimed.body_hash = due.body_hash
             returning claimed.channel_id, claimed.body_hash, claimed.request,
                 claimed.attempts::bigint as "attempts!""#,
            &texts(claim.channels.iter().map(|channel| &channel.id)),
            claim.now.to_date_time(),
            i64::from(claim.per_channel),
            i64::from(claim.total),
            claim.now.plus_micros(lease).to_date_time(),
            &in_flight.collect::<Vec<_>>(),
        )
        .fetch_all(&self.pool)
        .await
    }

    async fn try_record_forwarding(
        &self,
        forwarded: &[ForwardedRequestKey],
        postponed: &[PostponedRequest],
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        if !forwarded.is_empty() {
            sqlx::query!(
                "delete from forwarded_requests as stored
                 using unnest($1::text[], $2::bytea[]) as forwarded (channel_id, body_hash)
                 where stored.channel_id = forwarded.channel_id
                     and stored.body_hash = forwarded.body_hash",
                &texts(forwarded.iter().map(|key| &key.channel)),
                &hashes(forwarded.iter()),
            )
            .execute(&mut *transaction)
            .await?;
        }
        if !postponed.is_empty() {
            let attempts = postponed.iter().map(|it| i32::try_from(it.attempts));
            let attempts: Vec<_> = attempts.map(|it| it.unwrap_or(i32::MAX)).collect();
            let due = postponed.iter().map(|it| it.next_attempt_at.to_date_time());
            let failed = postponed.iter().map(|it| it.failure.at.to_date_time());
            let errors = postponed.iter().map(|it| it.failure.error.clone());
            sqlx::query!(
                "update forwarded_requests as stored
                 set next_attempt_at = failed.next_attempt_at, failed_at = failed.failed_at,
                     last_error = failed.error
                 from unnest(
                     $1::text[], $2::bytea[], $3::integer[], $4::timestamptz[], $5::timestamptz[],
                     $6::text[]
                 ) as failed (channel_id, body_hash, attempts, next_attempt_at, failed_at, error)
                 where stored.channel_id = failed.channel_id
                     and stored.body_hash = failed.body_hash
                     and stored.attempts = failed.attempts",
                &texts(postponed.iter().map(|it| &it.key.channel)),
                &hashes(postponed.iter().map(|it| &it.key)),
                &attempts,
                &due.collect::<Vec<_>>(),
                &failed.collect::<Vec<_>>(),
                &errors.collect::<Vec<_>>(),
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }

    async fn try_restore_due_times(&self, now: Timestamp) -> Result<u64, sqlx::Error> {
        let restored = sqlx::query!(
            "with postponed as (
                 -- Without those that another process claims or records.
                 select channel_id, body_hash
                 from forwarded_requests
                 where next_attempt_at > $2 or (attempts = 0 and next_attempt_at > $3)
                 for update skip locked
             )
             update forwarded_requests as stored
             set next_attempt_at = $1
             from postponed
             where stored.channel_id = postponed.channel_id
                 and stored.body_hash = postponed.body_hash",
            now.to_date_time(),
            now.plus_micros(LONGEST_DELAY_MICROS).to_date_time(),
            now.plus_micros(FUTURE_MICROS).to_date_time(),
        )
        .execute(&self.pool)
        .await?;
        Ok(restored.rows_affected())
    }

    async fn try_remove_old_requests(
        &self,
        arrived_before: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<String>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "update forwarded_requests
             set arrived_at = $1, next_attempt_at = $1
             where arrived_at > $2",
            now.to_date_time(),
            now.plus_micros(FUTURE_MICROS).to_date_time(),
        )
        .execute(&mut *transaction)
        .await?;
        let removed = sqlx::query_scalar!(
            "with old as (
                 -- The oldest requests, without those that another process removes or records.
                 select channel_id, body_hash
                 from forwarded_requests
                 where arrived_at < $1
                 order by arrived_at
                 limit $2
                 for update skip locked
             )
             delete from forwarded_requests as stored
             using old
             where stored.channel_id = old.channel_id and stored.body_hash = old.body_hash
             returning stored.channel_id",
            arrived_before.to_date_time(),
            MAX_REMOVED,
        )
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(removed)
    }

    async fn waiting_rows(
        &self,
        channel: Option<&ChannelId>,
    ) -> Result<Vec<WaitingRow>, sqlx::Error> {
        sqlx::query_as!(
            WaitingRow,
            r#"select channel_id, count(*) as "requests!", sum(size) as "bytes!",
                   min(arrived_at) as "oldest_at!", max(failed_at) as failed_at,
                   (array_agg(last_error order by failed_at desc nulls last))[1] as last_error
               from forwarded_requests
               where $1::text is null or channel_id = $1
               group by channel_id
               order by channel_id"#,
            channel.map(ChannelId::as_str),
        )
        .fetch_all(&self.pool)
        .await
    }
}

/// Removes the requests of a channel.
pub(super) async fn remove_requests(
    connection: &mut PgConnection,
    channel: &ChannelId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from forwarded_requests where channel_id = $1",
        channel.as_str(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks the channels of requests that have a forward URL, and returns what waits of each.
async fn backlogs(
    connection: &mut PgConnection,
    requests: &[NewForwardedRequest],
) -> Result<Vec<BacklogRow>, sqlx::Error> {
    // Locked, so that the URL or the channel is not removed meanwhile.
    let channels = sqlx::query_scalar!(
        "select id from channels
         where id = any ($1) and forward_url is not null
         order by id
         for share",
        &texts(requests.iter().map(|request| &request.key.channel)),
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query_as!(
        BacklogRow,
        r#"select channel.id as "channel_id!", count(waiting.size) as "requests!",
               coalesce(sum(waiting.size), 0) as "bytes!"
           from unnest($1::text[]) as channel (id)
           left join forwarded_requests as waiting on waiting.channel_id = channel.id
           group by channel.id"#,
        &channels,
    )
    .fetch_all(connection)
    .await
}

/// Returns those of the requests that are stored already.
async fn waiting(
    connection: &mut PgConnection,
    requests: &[NewForwardedRequest],
) -> Result<Vec<(String, Vec<u8>)>, sqlx::Error> {
    let rows = sqlx::query!(
        "select waiting.channel_id, waiting.body_hash
         from unnest($1::text[], $2::bytea[]) as new (channel_id, body_hash)
         join forwarded_requests as waiting
             on waiting.channel_id = new.channel_id and waiting.body_hash = new.body_hash",
        &texts(requests.iter().map(|request| &request.key.channel)),
        &hashes(requests.iter().map(|request| &request.key)),
    )
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(|row| (row.channel_id, row.body_hash));
    Ok(rows.collect())
}

async fn insert(
    connection: &mut PgConnection,
    requests: &[&NewForwardedRequest],
) -> Result<(), sqlx::Error> {
    if requests.is_empty() {
        return Ok(());
    }
    let times = requests
        .iter()
        .map(|request| request.arrived_at.to_date_time());
    let sealed: Vec<&[u8]> = requests
        .iter()
        .map(|request| &request.sealed.0[..])
        .collect();
    sqlx::query!(
        "insert into forwarded_requests (
             channel_id, body_hash, request, size, arrived_at, next_attempt_at
         )
         select channel_id, body_hash, request, octet_length(request), arrived_at, arrived_at
         from unnest($1::text[], $2::bytea[], $3::bytea[], $4::timestamptz[])
             as new (channel_id, body_hash, request, arrived_at)
         -- Another process stores the same request.
         on conflict (channel_id, body_hash) do nothing",
        &texts(requests.iter().map(|request| &request.key.channel)),
        &hashes(requests.iter().map(|request| &request.key)),
        &sealed as &[&[u8]],
        &times.collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn texts<'a>(channels: impl Iterator<Item = &'a ChannelId>) -> Vec<String> {
    channels
        .map(|channel| channel.as_str().to_owned())
        .collect()
}

fn hashes<'a>(keys: impl Iterator<Item = &'a ForwardedRequestKey>) -> Vec<Vec<u8>> {
    keys.map(|key| key.body_hash.to_vec()).collect()
}
