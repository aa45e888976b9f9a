//! The index of recipients.

use std::num::NonZeroU16;

use domain::crypto::RecipientHash;
use ports::statistics::RecipientEntry;
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::json;

impl SqliteStore {
    /// Adds entries of messages that are stored and not erased.
    pub(super) async fn try_list_recipients(
        &self,
        entries: &[RecipientEntry],
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        let rows = rows(entries);
        sqlx::query!(
            "insert into recipients_by_day (day, recipient_hash, channel_id, sid)
             select entry.value ->> 0, entry.value ->> 1, message.channel_id, message.sid
             from json_each(?) as entry
             cross join messages as message
                 on message.channel_id = entry.value ->> 2
                 and message.sid = unhex(entry.value ->> 3)
             where message.recipient <> 'erased'
             on conflict (day, recipient_hash, channel_id, sid) do nothing",
            rows,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    pub(super) async fn finished_erasures(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!("select erasures from statistics_position")
            .fetch_one(&self.readers)
            .await
    }

    /// Removes entries of one day.
    pub(super) async fn try_prune_recipients(&self, limit: NonZeroU16) -> Result<u64, sqlx::Error> {
        let mut write = self.begin().await?;
        let pruned = sqlx::query!(
            "with expired as (
                 select min(day) as day
                 from recipients_by_day
                 where day < (
                     select coalesce(
                         (first - (first % 86400000000 + 86400000000) % 86400000000)
                             / 86400000000,
                         9223372036854775807
                     )
                     from (select min(first_reported_at) as first from messages)
                 )
             )
             delete from recipients_by_day
             where day = (select day from expired) and recipient_hash <= coalesce(
                 (
                     select entry.recipient_hash
                     from recipients_by_day as entry
                     where entry.day = (select day from expired)
                     order by entry.recipient_hash
                     limit 1 offset ?
                 ),
                 9223372036854775807
             )",
            i64::from(limit.get()) - 1,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(pruned.rows_affected())
    }
}

fn rows(entries: &[RecipientEntry]) -> String {
    json::array(entries.iter().map(|entry| {
        (
            entry.day,
            entry.hash.0,
            entry.key.channel.as_str(),
            json::hex(&entry.key.sid.to_compact()),
        )
    }))
}

/// Adds the entries of a step, which was made since the last erasure finished.
pub(super) async fn list_recipients(
    connection: &mut SqliteConnection,
    entries: &[RecipientEntry],
) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows = rows(entries);
    sqlx::query!(
        "insert into recipients_by_day (day, recipient_hash, channel_id, sid)
         select value ->> 0, value ->> 1, value ->> 2, unhex(value ->> 3)
         from json_each(?)
         where true
         on conflict (day, recipient_hash, channel_id, sid) do nothing",
        rows,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Removes the entries of a recipient whose erasure finishes with this transaction.
pub(crate) async fn remove(
    connection: &mut SqliteConnection,
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
         delete from recipients_by_day
         where day in (select day from days) and recipient_hash = ?",
        hash.0,
    )
    .execute(connection)
    .await
    .map(drop)
}
