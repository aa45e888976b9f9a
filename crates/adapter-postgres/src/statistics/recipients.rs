//! The index of recipients.

use domain::crypto::RecipientHash;
use domain::page::{MessageCursor, MessageFilter, PageSize};
use ports::statistics::RecipientEntry;
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::reports::list::page_of_messages_to;
use crate::rows::MessageRow;

impl PostgresStore {
    pub(super) async fn try_list_recipients(
        &self,
        entries: &[RecipientEntry],
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        lock(&mut transaction).await?;
        hold(&mut transaction, entries).await?;
        list_recipients(&mut transaction, entries).await?;
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
}

/// Locks the row that every change of the index locks first. An erasure locks it too: a transaction
/// that adds entries ends before the erasure removes them, or begins when the recipient is erased.
pub(crate) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select only_row from statistics_position for update")
        .fetch_one(connection)
        .await
        .map(drop)
}

/// Keeps retention from removing messages before their entries can be seen. The reader need not: it
/// adds entries of messages that have just begun.
async fn hold(
    connection: &mut PgConnection,
    entries: &[RecipientEntry],
) -> Result<(), sqlx::Error> {
    let keys = || entries.iter().map(|entry| &entry.key);
    let channels: Vec<_> = keys().map(|key| key.channel.as_str().to_owned()).collect();
    let sids: Vec<_> = keys().map(|key| key.sid.to_compact()).collect();
    sqlx::query!(
        "select from messages
         where (channel_id, sid) in (select * from unnest($1::text[], $2::bytea[]))
         order by channel_id, sid
         for key share",
        &channels,
        &sids,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Adds entries that do not exist. The caller has locked `statistics_position`.
pub(super) async fn list_recipients(
    connection: &mut PgConnection,
    entries: &[RecipientEntry],
) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let hashes: Vec<_> = entries.iter().map(|entry| entry.hash.0).collect();
    let keys = || entries.iter().map(|entry| &entry.key);
    let channels: Vec<_> = keys().map(|key| key.channel.as_str().to_owned()).collect();
    let sids: Vec<_> = keys().map(|key| key.sid.to_compact()).collect();
    sqlx::query!(
        "insert into message_recipients (recipient_hash, channel_id, sid)
         select entry.recipient_hash, entry.channel_id, entry.sid
         from unnest($1::bigint[], $2::text[], $3::bytea[])
             as entry (recipient_hash, channel_id, sid)
         where exists (
             select from messages as message
             where message.channel_id = entry.channel_id and message.sid = entry.sid
                 and message.recipient <> 'erased'
         )
         on conflict (recipient_hash, channel_id, sid) do nothing",
        &hashes,
        &channels,
        &sids,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Removes the entries of messages whose recipient is erased.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    channel_ids: &[String],
    sids: &[Vec<u8>],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from message_recipients
         where (channel_id, sid) in (
             select channel_id, sid
             from unnest($1::text[], $2::bytea[]) as erased (channel_id, sid)
         )",
        channel_ids,
        sids,
    )
    .execute(connection)
    .await
    .map(drop)
}
