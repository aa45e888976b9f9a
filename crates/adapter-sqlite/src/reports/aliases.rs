//! Further ids of messages.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

use domain::alias::{self, JoinedBatch};
use domain::{ChannelId, MessageKey, MessageSid, Report};
use ports::StoreError;
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::error::store_error;
use crate::json;

pub(crate) const MESSAGE_ALIASES: &str = "message_aliases";

impl SqliteStore {
    /// Joins reports to their messages. Costs nothing if no report has an alias.
    pub(crate) async fn join_aliases<'a>(
        &self,
        reports: &'a [Report],
    ) -> Result<(Cow<'a, [Report]>, BTreeMap<MessageKey, MessageSid>), StoreError> {
        let wanted = alias::wanted(reports);
        if wanted.is_empty() {
            return Ok((Cow::Borrowed(reports), BTreeMap::new()));
        }
        let known = self.known_aliases(&wanted).await;
        let known = sql_rows::aliases::known(known.map_err(store_error(MESSAGE_ALIASES))?)?;
        let JoinedBatch { reports, new } = alias::join(reports, known);
        Ok((Cow::Owned(reports), new))
    }

    /// Returns channel, alias and message id of those that are aliases.
    async fn known_aliases(
        &self,
        wanted: &[MessageKey],
    ) -> Result<Vec<(String, Vec<u8>, Vec<u8>)>, sqlx::Error> {
        let wanted = json::keys(wanted);
        let rows = sqlx::query!(
            "select other.channel_id, other.alias, other.sid
             from jsonb_each(?) as wanted
             cross join message_aliases as other
                 on other.channel_id = wanted.value ->> 0
                 and other.alias = unhex(wanted.value ->> 1)",
            wanted,
        )
        .fetch_all(&self.readers)
        .await?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| (row.channel_id, row.alias, row.sid))
            .collect())
    }

    pub(crate) async fn count_separate_messages(
        &self,
        channel: &ChannelId,
        aliases: NonZeroU16,
    ) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!(
            r#"select count(*) as "count!"
               from (
                   select channel_id, alias
                   from message_aliases
                   where channel_id = ?1
                   -- Bounded: a channel has as many aliases as messages.
                   limit ?2
               ) as other
               join messages as message
                   on message.channel_id = other.channel_id and message.sid = other.alias"#,
            channel.as_str(),
            i64::from(aliases.get()),
        )
        .fetch_one(&self.readers)
        .await
    }

    /// Returns the id of the message that an id is an alias of.
    pub(crate) async fn alias_of(&self, key: &MessageKey) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar!(
            "select sid from message_aliases where channel_id = ? and alias = ?",
            key.channel.as_str(),
            key.sid.to_compact(),
        )
        .fetch_optional(&self.readers)
        .await
    }
}

/// Stores new aliases of messages; an erased message has none.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    new: &BTreeMap<MessageKey, MessageSid>,
) -> Result<(), sqlx::Error> {
    let new = json::array(new.iter().map(|(alias, sid)| {
        let [alias_hex, sid_hex] = [&alias.sid, sid].map(|id| json::hex(&id.to_compact()));
        (alias.channel.as_str(), alias_hex, sid_hex)
    }));
    sqlx::query!(
        "insert into message_aliases (channel_id, alias, sid)
         select message.channel_id, unhex(new.value ->> 1), message.sid
         from jsonb_each(?) as new
         cross join messages as message
             on message.channel_id = new.value ->> 0
             and message.sid = unhex(new.value ->> 2)
         where message.recipient <> 'erased'
         on conflict (channel_id, alias) do nothing",
        new,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Removes the aliases of messages, which are an array of channel and id for each.
pub(crate) async fn remove(
    connection: &mut SqliteConnection,
    keys: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from message_aliases
         where rowid in (
             select other.rowid
             from jsonb_each(?) as gone
             cross join message_aliases as other
                 on other.channel_id = gone.value ->> 0
                 and other.sid = unhex(gone.value ->> 1)
         )",
        keys,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Removes the aliases of those of the messages that do not exist any more.
pub(crate) async fn remove_of_missing(
    connection: &mut SqliteConnection,
    keys: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from message_aliases
         where rowid in (
             select other.rowid
             from jsonb_each(?) as gone
             cross join message_aliases as other
                 on other.channel_id = gone.value ->> 0
                 and other.sid = unhex(gone.value ->> 1)
             where not exists (
                 select 1 from messages as message
                 where message.channel_id = other.channel_id and message.sid = other.sid
             )
         )",
        keys,
    )
    .execute(connection)
    .await
    .map(drop)
}
