//! Channels, and the credentials that authenticate their callers.

use async_trait::async_trait;
use domain::webhook::TargetUrl;
use domain::{
    Channel, ChannelCalls, ChannelId, Credential, CredentialId, PublicUrl, RetentionDays, Timestamp,
};
use ports::StoreError;
use ports::channels::{Change, ChannelStore, ChannelWithCredentials};
use sql_rows::channels::group;
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::SqliteStore;
use crate::connection::Write;
use crate::json;
use crate::rows::{CallsRow, ChannelRow};
use crate::runtime::Query as _;

const CHANNELS: &str = "channels";
const CALLS: &str = "channel_calls";
const CREDENTIALS: &str = "channel_credentials";

#[async_trait]
impl ChannelStore for SqliteStore {
    async fn revision(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar!("select revision from channel_directory")
            .fetch_one(&self.readers)
            .run(&self.runtime, "read revision", "channel_directory")
            .await
    }

    async fn all(&self) -> Result<Vec<ChannelWithCredentials>, StoreError> {
        let rows = self.channel_rows(None);
        group(rows.run(&self.runtime, "list channels", CHANNELS).await?)
    }

    async fn find(&self, id: &ChannelId) -> Result<Option<ChannelWithCredentials>, StoreError> {
        let rows = self.channel_rows(Some(id));
        let rows = rows.run(&self.runtime, "find channel", CHANNELS).await?;
        Ok(group(rows)?.pop())
    }

    async fn add(&self, channel: &Channel, credential: &Credential) -> Result<Change, StoreError> {
        let change = self.try_add(channel, credential);
        change.run(&self.runtime, "add channel", CHANNELS).await
    }

    async fn update(&self, channel: &Channel) -> Result<Change, StoreError> {
        let change = self.try_update(channel);
        change.run(&self.runtime, "update channel", CHANNELS).await
    }

    async fn remove(&self, id: &ChannelId) -> Result<Change, StoreError> {
        let change = self.try_remove(id);
        change.run(&self.runtime, "remove channel", CHANNELS).await
    }

    async fn add_credential(&self, credential: &Credential) -> Result<Change, StoreError> {
        let change = self.try_add_credential(credential);
        change
            .run(&self.runtime, "add credential", CREDENTIALS)
            .await
    }

    async fn remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<Change, StoreError> {
        let change = self.try_remove_credential(channel, id);
        change
            .run(&self.runtime, "remove credential", CREDENTIALS)
            .await
    }

    async fn touch(&self, used: &[(CredentialId, Timestamp)]) -> Result<(), StoreError> {
        let touched = self.try_touch(used);
        touched
            .run(&self.runtime, "store use of credentials", CREDENTIALS)
            .await
    }

    async fn count_calls(&self, calls: &[(ChannelId, ChannelCalls)]) -> Result<(), StoreError> {
        let counted = self.try_count_calls(calls);
        counted.run(&self.runtime, "count calls", CALLS).await
    }

    async fn calls(&self, id: &ChannelId) -> Result<ChannelCalls, StoreError> {
        let row = sqlx::query_as!(
            CallsRow,
            "select challenged, refused, rejected, last_refused_at
             from channel_calls
             where channel_id = ?",
            id.as_str(),
        )
        .fetch_optional(&self.readers)
        .run(&self.runtime, "read counts of calls", CALLS)
        .await?;
        row.map_or(Ok(ChannelCalls::default()), ChannelCalls::try_from)
    }
}

impl SqliteStore {
    /// Returns channels with their credentials as of one moment, since it is one statement.
    async fn channel_rows(&self, id: Option<&ChannelId>) -> Result<Vec<ChannelRow>, sqlx::Error> {
        sqlx::query_as!(
            ChannelRow,
            r#"select channel.id, channel.integrator, channel.name,
                   channel.enabled as "enabled: bool", channel.senders, channel.public_url,
                   channel.signing_token, channel.keep_messages_days, channel.forward_url,
                   channel.created_at,
                   channel.updated_at, channel.version,
                   credential.id as "credential_id?: Uuid", credential.webhook_user as "webhook_user?",
                   credential.hash as "hash?", credential.key_id as "key_id?", credential.label,
                   credential.created_at as "credential_created_at?", credential.expires_at,
                   credential.last_used_at, credential.is_test as "is_test?: bool"
               from channels as channel
               left join channel_credentials as credential on credential.channel_id = channel.id
               where ?1 is null or channel.id = ?1
               order by channel.id, credential.created_at, credential.id"#,
            id.map(ChannelId::as_str),
        )
        .fetch_all(&self.readers)
        .await
    }

    async fn try_add(
        &self,
        channel: &Channel,
        credential: &Credential,
    ) -> Result<Change, sqlx::Error> {
        let signing_token = channel.signing_token.as_ref();
        let mut write = self.begin().await?;
        let added = sqlx::query!(
            "insert into channels (
                 id, integrator, name, enabled, senders, public_url, signing_token,
                 keep_messages_days, forward_url, created_at, updated_at, version
             )
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (id) do nothing",
            channel.id.as_str(),
            channel.integrator.as_str(),
            channel.name.as_str(),
            channel.enabled,
            senders(channel),
            channel.public_url.as_ref().map(PublicUrl::reveal),
            signing_token.map(|token| token.0.as_slice()),
            channel.keep_messages_days.map(RetentionDays::get),
            channel.forward_url.as_ref().map(TargetUrl::reveal),
            channel.created_at.unix_micros(),
            channel.updated_at.unix_micros(),
            channel.version,
        )
        .execute(&mut *write)
        .await?;
        if added.rows_affected() == 0 {
            return unchanged(write, Change::Exists).await;
        }
        insert_credential(&mut write, credential).await?;
        changed(write).await
    }

    async fn try_update(&self, channel: &Channel) -> Result<Change, sqlx::Error> {
        let id = channel.id.as_str();
        let signing_token = channel.signing_token.as_ref();
        let mut write = self.begin().await?;
        let version = sqlx::query_scalar!("select version from channels where id = ?", id)
            .fetch_optional(&mut *write)
            .await?;
        match version.map(|version| version.checked_add(1)) {
            None => return unchanged(write, Change::Absent).await,
            Some(next) if next != Some(channel.version) => {
                return unchanged(write, Change::Outdated).await;
            }
            Some(_) => {}
        }
        sqlx::query!(
            "update channels
             set name = ?, enabled = ?, senders = ?, public_url = ?, signing_token = ?,
                 keep_messages_days = ?, forward_url = ?, updated_at = ?, version = ?
             where id = ?",
            channel.name.as_str(),
            channel.enabled,
            senders(channel),
            channel.public_url.as_ref().map(PublicUrl::reveal),
            signing_token.map(|token| token.0.as_slice()),
            channel.keep_messages_days.map(RetentionDays::get),
            channel.forward_url.as_ref().map(TargetUrl::reveal),
            channel.updated_at.unix_micros(),
            channel.version,
            id,
        )
        .execute(&mut *write)
        .await?;
        if channel.forward_url.is_none() {
            sqlx::query!("delete from forwarded_requests where channel_id = ?", id)
                .execute(&mut *write)
                .await?;
        }
        changed(write).await
    }

    async fn try_remove(&self, id: &ChannelId) -> Result<Change, sqlx::Error> {
        let mut write = self.begin().await?;
        let removed = sqlx::query!("delete from channels where id = ?", id.as_str())
            .execute(&mut *write)
            .await?;
        if removed.rows_affected() == 0 {
            return unchanged(write, Change::Absent).await;
        }
        changed(write).await
    }

    async fn try_add_credential(&self, credential: &Credential) -> Result<Change, sqlx::Error> {
        let channel = credential.channel.as_str();
        let mut write = self.begin().await?;
        let there = sqlx::query_scalar!(
            r#"select exists (select 1 from channels where id = ?) as "there!: bool""#,
            channel,
        )
        .fetch_one(&mut *write)
        .await?;
        if !there {
            return unchanged(write, Change::Absent).await;
        }
        let live = sqlx::query_scalar!(
            r#"select count(*) as "live!: i64" from channel_credentials
               where channel_id = ? and (expires_at is null or expires_at > ?) and is_test = ?"#,
            channel,
            credential.created_at.unix_micros(),
            credential.is_test,
        )
        .fetch_one(&mut *write)
        .await?;
        if usize::try_from(live).is_ok_and(|live| live >= credential.live_max()) {
            return unchanged(write, Change::Full).await;
        }
        // Left behind by processes that were killed during a test.
        sqlx::query!(
            "delete from channel_credentials
             where channel_id = ? and is_test and expires_at <= ?",
            channel,
            credential.created_at.unix_micros(),
        )
        .execute(&mut *write)
        .await?;
        insert_credential(&mut write, credential).await?;
        changed(write).await
    }

    async fn try_remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<Change, sqlx::Error> {
        let mut write = self.begin().await?;
        let removed = sqlx::query!(
            "delete from channel_credentials where channel_id = ? and id = ?",
            channel.as_str(),
            id.0,
        )
        .execute(&mut *write)
        .await?;
        if removed.rows_affected() == 0 {
            return unchanged(write, Change::Absent).await;
        }
        changed(write).await
    }

    async fn try_touch(&self, used: &[(CredentialId, Timestamp)]) -> Result<(), sqlx::Error> {
        let rows = used.iter();
        let rows = rows.map(|(id, at)| (json::hex(id.0.as_bytes()), at.unix_micros()));
        let rows = json::array(rows);
        let mut write = self.begin().await?;
        sqlx::query!(
            "update channel_credentials as credential
             set last_used_at = used.at
             from (
                 select unhex(value ->> 0) as id, max(value ->> 1) as at
                 from jsonb_each(?)
                 group by 1
             ) as used
             where credential.id = used.id
                 and (credential.last_used_at is null or credential.last_used_at < used.at)",
            rows,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    async fn try_count_calls(
        &self,
        calls: &[(ChannelId, ChannelCalls)],
    ) -> Result<(), sqlx::Error> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let rows = json::array(calls.iter().map(|(id, calls)| {
            let counts = [calls.challenged, calls.refused, calls.rejected].map(count);
            let last_refused_at = calls.last_refused_at.map(Timestamp::unix_micros);
            (id.as_str(), counts, last_refused_at)
        }));
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into channel_calls (
                 channel_id, challenged, refused, rejected, last_refused_at
             )
             select channel.id, counted.value ->> '$[1][0]', counted.value ->> '$[1][1]',
                 counted.value ->> '$[1][2]', counted.value ->> 2
             from jsonb_each(?) as counted
             join channels as channel on channel.id = counted.value ->> 0
             where true
             on conflict (channel_id) do update
             set challenged = challenged + excluded.challenged,
                 refused = refused + excluded.refused,
                 rejected = rejected + excluded.rejected,
                 last_refused_at = coalesce(
                     max(last_refused_at, excluded.last_refused_at),
                     last_refused_at,
                     excluded.last_refused_at
                 )",
            rows,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }
}

/// Increments the revision of the directory and commits.
async fn changed(mut write: Write<'_>) -> Result<Change, sqlx::Error> {
    sqlx::query!("update channel_directory set revision = revision + 1")
        .execute(&mut *write)
        .await?;
    write.commit().await?;
    Ok(Change::Done)
}

async fn unchanged(write: Write<'_>, why: Change) -> Result<Change, sqlx::Error> {
    write.roll_back().await;
    Ok(why)
}

async fn insert_credential(
    connection: &mut SqliteConnection,
    credential: &Credential,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into channel_credentials (
             id, channel_id, webhook_user, hash, key_id, label, created_at, expires_at,
             last_used_at, is_test
         )
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        credential.id.0,
        credential.channel.as_str(),
        credential.user.as_str(),
        credential.hash.0.as_slice(),
        credential.key_id.0,
        credential.label,
        credential.created_at.unix_micros(),
        credential.expires_at.map(Timestamp::unix_micros),
        credential.last_used_at.map(Timestamp::unix_micros),
        credential.is_test,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn senders(channel: &Channel) -> String {
    json::array(channel.senders.iter().map(domain::Address::reveal))
}
