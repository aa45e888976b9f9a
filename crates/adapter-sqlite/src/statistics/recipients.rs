//! The index of recipients.

use ports::statistics::RecipientEntry;
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::json;

impl SqliteStore {
    pub(super) async fn try_list_recipients(
        &self,
        entries: &[RecipientEntry],
    ) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        list_recipients(&mut write, entries).await?;
        write.commit().await
    }
}

/// Adds entries that do not exist.
pub(super) async fn list_recipients(
    connection: &mut SqliteConnection,
    entries: &[RecipientEntry],
) -> Result<(), sqlx::Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows = json::array(entries.iter().map(|entry| {
        (
            entry.hash.0,
            entry.key.channel.as_str(),
            json::hex(&entry.key.sid.to_compact()),
        )
    }));
    sqlx::query!(
        "insert into message_recipients (recipient_hash, channel_id, sid)
         select entry.value ->> 0, message.channel_id, message.sid
         from json_each(?) as entry
         cross join messages as message
             on message.channel_id = entry.value ->> 1
             and message.sid = unhex(entry.value ->> 2)
         where message.recipient <> 'erased'
         on conflict (recipient_hash, channel_id, sid) do nothing",
        rows,
    )
    .execute(connection)
    .await
    .map(drop)
}
