//! Further ids of messages.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU16;

use domain::alias::{self, JoinedBatch};
use domain::{ChannelId, MessageKey, MessageSid, Report};
use ports::StoreError;
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::error::store_error;
use crate::runtime::Operation as _;

pub(crate) const MESSAGE_ALIASES: &str = "message_aliases";

impl PostgresStore {
    /// Joins reports to their messages. Costs nothing if no report has an alias.
    pub(crate) async fn join_aliases<'a>(
        &self,
        reports: &'a [Report],
    ) -> Result<(Cow<'a, [Report]>, BTreeMap<MessageKey, MessageSid>), StoreError> {
        let wanted = alias::wanted(reports);
        if wanted.is_empty() {
            return Ok((Cow::Borrowed(reports), BTreeMap::new()));
        }
        let known = self.known_aliases(&wanted);
        let known = known.in_time(&self.runtime, "find aliases").await;
        let known = known.map_err(store_error(MESSAGE_ALIASES))?;
        let known = sql_rows::aliases::known(known)?;
        let JoinedBatch { reports, new } = alias::join(reports, known);
        Ok((Cow::Owned(reports), new))
    }

    /// Returns channel, alias and message id of those that are aliases.
    async fn known_aliases(
        &self,
        wanted: &[MessageKey],
    ) -> Result<Vec<(String, Vec<u8>, Vec<u8>)>, sqlx::Error> {
        let (channels, ids): (Vec<_>, Vec<_>) = columns(wanted);
        let rows = sqlx::query!(
            "select channel_id, alias, sid
             from message_aliases
             where (channel_id, alias) in (
                 select channel_id, id from unnest($1::text[], $2::bytea[]) as wanted (channel_id, id)
             )",
            &channels as _,
            &ids,
        )
        .fetch_all(&self.pool)
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
                   where channel_id = $1
                   -- Bounded: a channel has as many aliases as messages.
                   limit $2
               ) as other
               join messages as message
                   on message.channel_id = other.channel_id and message.sid = other.alias"#,
            channel.as_str(),
            i64::from(aliases.get()),
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Returns the id of the message that an id is an alias of.
    pub(crate) async fn alias_of(&self, key: &MessageKey) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar!(
            "select sid from message_aliases where channel_id = $1 and alias = $2",
            key.channel.as_str(),
            key.sid.to_compact(),
        )
        .fetch_optional(&self.pool)
        .await
    }
}

/// Stores new aliases of messages whose rows this transaction has locked. In the order of their
/// keys, so that concurrent batches never deadlock; an erased message has none.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    new: &BTreeMap<MessageKey, MessageSid>,
) -> Result<(), sqlx::Error> {
    let (channels, ids) = columns(new.keys());
    let sids: Vec<_> = new.values().map(MessageSid::to_compact).collect();
    sqlx::query!(
        "insert into message_aliases (channel_id, alias, sid)
         select channel_id, alias, sid
         from unnest($1::text[], $2::bytea[], $3::bytea[]) as new (channel_id, alias, sid)
         where exists (
             select from messages as message
             where message.channel_id = new.channel_id
                 and message.sid = new.sid
                 and message.recipient <> 'erased'
         )
         order by channel_id, alias
         on conflict (channel_id, alias) do nothing",
        &channels as _,
        &ids,
        &sids,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Removes the aliases of messages.
pub(crate) async fn remove(
    connection: &mut PgConnection,
    channels: &[String],
    sids: &[Vec<u8>],
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "delete from message_aliases
         where (channel_id, sid) in (
             select channel_id, sid
             from unnest($1::text[], $2::bytea[]) as found (channel_id, sid)
         )",
        channels,
        sids,
    )
    .execute(connection)
    .await
    .map(drop)
}

fn columns<'a>(keys: impl IntoIterator<Item = &'a MessageKey>) -> (Vec<&'a str>, Vec<Vec<u8>>) {
    let keys = keys.into_iter();
    keys.map(|key| (key.channel.as_str(), key.sid.to_compact()))
        .unzip()
}
