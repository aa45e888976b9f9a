//! The index of recipients.

use std::num::NonZeroU16;

use domain::crypto::RecipientHash;
use domain::page::{MessageCursor, MessageFilter, PageSize};
use ports::statistics::RecipientEntry;
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::reports::list::page_of_messages_to;
use crate::rows::MessageRow;

impl PostgresStore {
    /// Adds entries of messages that are stored and not erased. An erasure that is finishing waits,
    /// and removes them.
    pub(super) async fn try_list_recipients(
        &self,
        entries: &[RecipientEntry],
    ) -> Result<(), sqlx::Error> {
        let columns = Columns::of(entries);
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("select from statistics_position for update")
            .fetch_one(&mut *transaction)
            .await?;
        sqlx::query!(
            "insert into recipients_by_day (day, recipient_hash, channel_id, sid)
             select entry.day, entry.recipient_hash, entry.channel_id, entry.sid
             from unnest($1::integer[], $2::bigint[], $3::text[], $4::bytea[])
                 as entry (day, recipient_hash, channel_id, sid)
             where exists (
                 select from messages as message
                 where message.channel_id = entry.channel_id and message.sid = entry.sid
                     and message.recipient <> 'erased'
             )
             on conflict (day, recipient_hash, channel_id, sid) do nothing",
            &columns.days,
            &columns.hashes,
            &columns.channels,
            &columns.sids,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Returns one row more than a page has, if there are as many.
    pub(super) async fn recipient_rows(
        &self,
        hash: RecipientHash,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Vec<MessageRow>, sqlx::Error> {
        page_of_messages_to(hash, filter, after, size)
            .build_query_as()
            .fetch_all(&self.pool)
            .await
    }

    pub(super) async fn finished_erasures(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!("select erasures from statistics_position")
            .fetch_one(&self.pool)
            .await
    }

    /// Removes entries of one day.
    pub(super) async fn try_prune_recipients(&self, limit: NonZeroU16) -> Result<u64, sqlx::Error> {
        let pruned = sqlx::query!(
            "with expired as (
                 select min(day) as day
                 from recipients_by_day
                 where day < (
                     select coalesce(
                         floor(extract(epoch from min(first_reported_at)) / 86400)::integer,
                         2147483647
                     )
                     from messages
                 )
             )
             delete from recipients_by_day
             where day = (select day from expired) and recipient_hash <= coalesce(
                 (
                     select entry.recipient_hash
                     from recipients_by_day as entry
                     where entry.day = (select day from expired)
                     order by entry.recipient_hash
                     limit 1 offset $1
                 ),
                 9223372036854775807
             )",
            i64::from(limit.get()) - 1,
        )
        .execute(&self.pool)
        .await?;
        Ok(pruned.rows_affected())
    }
}

/// The columns of entries.
struct Columns {
    days: Vec<i32>,
    hashes: Vec<i64>,
    channels: Vec<String>,
    sids: Vec<Vec<u8>>,
}

impl Columns {
    fn of(entries: &[RecipientEntry]) -> Self {
        let keys = || entries.iter().map(|entry| &entry.key);
        Self {
            days: entries.iter().map(|entry| entry.day).collect(),
            hashes: entries.iter().map(|entry| entry.hash.0).collect(),
            channels: keys().map(|key| key.channel.as_str().to_owned()).collect(),
            sids: keys().map(|key| key.sid.to_compact()).collect(),
        }
    }
}

/// Adds the entries of a step. The caller has found that no erasure finished since it was made, and
/// keeps others from finishing.
pub(super) async fn list_recipients(
    connection: &mut PgConnection,
    entries: &[RecipientEntry],
) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(entries);
    sqlx::query!(
        "insert into recipients_by_day (day, recipient_hash, channel_id, sid)
         select * from unnest($1::integer[], $2::bigint[], $3::text[], $4::bytea[])
         on conflict (day, recipient_hash, channel_id, sid) do nothing",
        &columns.days,
        &columns.hashes,
        &columns.channels,
        &columns.sids,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Removes the entries of a recipient whose erasure finishes with this transaction.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    hash: RecipientHash,
) -> Result<(), sqlx::Error> {
    sqlx::query!("update statistics_position set erasures = erasures + 1")
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "with recursive days (day) as (
             select min(day) from recipients_by_day
             union all
             select (select min(entry.day) from recipients_by_day as entry where entry.day > days.day)
             from days
             where days.day is not null
         )
         delete from recipients_by_day as entry
         using days
         where entry.day = days.day and entry.recipient_hash = $1",
        hash.0,
    )
    .execute(connection)
    .await
    .map(drop)
}
