//! Channels and the credentials that prove their callers.

use async_trait::async_trait;
use domain::credential::LIVE_CREDENTIALS_MAX;
use domain::{
    Channel, ChannelCalls, ChannelId, Credential, CredentialId, PublicUrl, RetentionDays, Timestamp,
};
use ports::StoreError;
use ports::channels::{Change, ChannelStore, ChannelWithCredentials};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::channels::rows::{ChannelRow, fold, senders};
use crate::connection::Write;
use crate::error::{corrupt, store_error};
use crate::json::JsonRows;
use crate::rows::optional_time;
use crate::runtime::Operation as _;

const CHANNELS: &str = "channels";
const CALLS: &str = "channel_calls";
const CREDENTIALS: &str = "channel_credentials";

#[async_trait]
impl ChannelStore for SqliteStore {
    async fn revision(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar!("select revision from channel_directory")
            .fetch_one(&self.readers)
            .run_in(&self.runtime)
            .await
            .map_err(store_error("channel_directory"))
    }

    async fn all(&self) -> Result<Vec<ChannelWithCredentials>, StoreError> {
        fold(
            self.channel_rows(None)
                .await
                .map_err(store_error(CHANNELS))?,
        )
    }

    async fn find(&self, id: &ChannelId) -> Result<Option<ChannelWithCredentials>, StoreError> {
        let rows = self
            .channel_rows(Some(id))
            .await
            .map_err(store_error(CHANNELS))?;
        Ok(fold(rows)?.pop())
    }

    async fn add(&self, channel: &Channel, credential: &Credential) -> Result<Change, StoreError> {
        self.try_add(channel, credential)
            .await
            .map_err(store_error(CHANNELS))
    }

    async fn update(&self, channel: &Channel) -> Result<Change, StoreError> {
        self.try_update(channel)
            .await
            .map_err(store_error(CHANNELS))
    }

    async fn remove(&self, id: &ChannelId) -> Result<Change, StoreError> {
        self.try_remove(id).await.map_err(store_error(CHANNELS))
    }

    async fn add_credential(&self, credential: &Credential) -> Result<Change, StoreError> {
        self.try_add_credential(credential)
            .await
            .map_err(store_error(CREDENTIALS))
    }

    async fn remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<Change, StoreError> {
        self.try_remove_credential(channel, id)
            .await
            .map_err(store_error(CREDENTIALS))
    }

    async fn touch(&self, used: &[(CredentialId, Timestamp)]) -> Result<(), StoreError> {
        self.try_touch(used).await.map_err(store_error(CREDENTIALS))
    }

    async fn count_calls(&self, calls: &[(ChannelId, ChannelCalls)]) -> Result<(), StoreError> {
        self.try_count_calls(calls)
            .await
            .map_err(store_error(CALLS))
    }

    async fn calls(&self, id: &ChannelId) -> Result<ChannelCalls, StoreError> {
        let id = id.as_str();
        let row = sqlx::query!(
            "select challenged, refused, rejected, last_refused_at
             from channel_calls
             where channel_id = ?",
            id,
        )
        .fetch_optional(&self.readers)
        .run_in(&self.runtime)
        .await
        .map_err(store_error(CALLS))?;
        let Some(row) = row else {
            return Ok(ChannelCalls::default());
        };
        let count = |count: i64| u64::try_from(count).map_err(corrupt(CALLS, "counters"));
        Ok(ChannelCalls {
            challenged: count(row.challenged)?,
            refused: count(row.refused)?,
            rejected: count(row.rejected)?,
            last_refused_at: optional_time(row.last_refused_at, CALLS, "last_refused_at")?,
        })
    }
}

impl SqliteStore {
    /// One statement, so that channels and credentials are of the same moment.
    async fn channel_rows(&self, id: Option<&ChannelId>) -> Result<Vec<ChannelRow>, sqlx::Error> {
        let id = id.map(ChannelId::as_str);
        sqlx::query_as!(
            ChannelRow,
            r#"select channel.id, channel.integrator, channel.name,
                   channel.enabled as "enabled: bool", channel.senders, channel.public_url,
                   channel.signing_token, channel.keep_messages_days, channel.created_at,
                   channel.updated_at, channel.version,
                   credential.id as "credential_id?", credential.webhook_user as "webhook_user?",
                   credential.hash as "hash?", credential.key_id as "key_id?", credential.label,
                   credential.created_at as "credential_created_at?", credential.expires_at,
                   credential.last_used_at
               from channels as channel
               left join channel_credentials as credential on credential.channel_id = channel.id
               where ?1 is null or channel.id = ?1
               order by channel.id, credential.created_at, credential.id"#,
            id,
        )
        .fetch_all(&self.readers)
        .run_in(&self.runtime)
        .await
    }

    async fn try_add(
        &self,
        channel: &Channel,
        credential: &Credential,
    ) -> Result<Change, sqlx::Error> {
        let (id, integrator) = (channel.id.as_str(), channel.integrator.as_str());
        let (name, senders) = (channel.name.as_str(), senders(channel));
        let public_url = channel.public_url.as_ref().map(PublicUrl::reveal);
        let signing_token = channel
            .signing_token
            .as_ref()
            .map(|token| token.0.as_slice());
        let keep_messages_days = channel.keep_messages_days.map(RetentionDays::get);
        let created_at = channel.created_at.unix_micros();
        let updated_at = channel.updated_at.unix_micros();
        let mut write = self.begin().await?;
        let added = sqlx::query!(
            "insert into channels (
                 id, integrator, name, enabled, senders, public_url, signing_token,
                 keep_messages_days, created_at, updated_at, version
             )
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             on conflict (id) do nothing",
            id,
            integrator,
            name,
            channel.enabled,
            senders,
            public_url,
            signing_token,
            keep_messages_days,
            created_at,
            updated_at,
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
        let (id, name, senders) = (channel.id.as_str(), channel.name.as_str(), senders(channel));
        let public_url = channel.public_url.as_ref().map(PublicUrl::reveal);
        let signing_token = channel
            .signing_token
            .as_ref()
            .map(|token| token.0.as_slice());
        let keep_messages_days = channel.keep_messages_days.map(RetentionDays::get);
        let updated_at = channel.updated_at.unix_micros();
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
                 keep_messages_days = ?, updated_at = ?, version = ?
             where id = ?",
            name,
            channel.enabled,
            senders,
            public_url,
            signing_token,
            keep_messages_days,
            updated_at,
            channel.version,
            id,
        )
        .execute(&mut *write)
        .await?;
        changed(write).await
    }

    async fn try_remove(&self, id: &ChannelId) -> Result<Change, sqlx::Error> {
        let id = id.as_str();
        let mut write = self.begin().await?;
        let removed = sqlx::query!("delete from channels where id = ?", id)
            .execute(&mut *write)
            .await?;
        if removed.rows_affected() == 0 {
            return unchanged(write, Change::Absent).await;
        }
        changed(write).await
    }

    async fn try_add_credential(&self, credential: &Credential) -> Result<Change, sqlx::Error> {
        let channel = credential.channel.as_str();
        let created_at = credential.created_at.unix_micros();
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
               where channel_id = ? and (expires_at is null or expires_at > ?)"#,
            channel,
            created_at,
        )
        .fetch_one(&mut *write)
        .await?;
        if usize::try_from(live).is_ok_and(|live| live >= LIVE_CREDENTIALS_MAX) {
            return unchanged(write, Change::Full).await;
        }
        insert_credential(&mut write, credential).await?;
        changed(write).await
    }

    async fn try_remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<Change, sqlx::Error> {
        let (channel, id) = (channel.as_str(), id.0.as_bytes().as_slice());
        let mut write = self.begin().await?;
        let removed = sqlx::query!(
            "delete from channel_credentials where channel_id = ? and id = ?",
            channel,
            id,
        )
        .execute(&mut *write)
        .await?;
        if removed.rows_affected() == 0 {
            return unchanged(write, Change::Absent).await;
        }
        changed(write).await
    }

    async fn try_touch(&self, used: &[(CredentialId, Timestamp)]) -> Result<(), sqlx::Error> {
        let mut rows = JsonRows::with_capacity(used.len(), 64);
        for (id, at) in used {
            rows.row().bytes(id.0.as_bytes()).integer(at.unix_micros());
        }
        let rows = rows.finish();
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
}

impl SqliteStore {
    async fn try_count_calls(
        &self,
        calls: &[(ChannelId, ChannelCalls)],
    ) -> Result<(), sqlx::Error> {
        let mut rows = JsonRows::with_capacity(calls.len(), 96);
        for (id, calls) in calls {
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let mut row = rows.row();
            row.text(id.as_str())
                .integer(count(calls.challenged))
                .integer(count(calls.refused))
                .integer(count(calls.rejected));
            // A value that is not there is null.
            if let Some(at) = calls.last_refused_at {
                row.integer(at.unix_micros());
            }
        }
        let rows = rows.finish();
        let mut write = self.begin().await?;
        sqlx::query!(
            "insert into channel_calls (
                 channel_id, challenged, refused, rejected, last_refused_at
             )
             select channel.id, counted.value ->> 1, counted.value ->> 2, counted.value ->> 3,
                 counted.value ->> 4
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

/// Raises the revision of the directory and commits.
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
    let (id, channel) = (
        credential.id.0.as_bytes().as_slice(),
        credential.channel.as_str(),
    );
    let (user, hash) = (credential.user.as_str(), credential.hash.0.as_slice());
    let created_at = credential.created_at.unix_micros();
    let expires_at = credential.expires_at.map(Timestamp::unix_micros);
    let last_used_at = credential.last_used_at.map(Timestamp::unix_micros);
    sqlx::query!(
        "insert into channel_credentials (
             id, channel_id, webhook_user, hash, key_id, label, created_at, expires_at,
             last_used_at
         )
         values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        id,
        channel,
        user,
        hash,
        credential.key_id.0,
        credential.label,
        created_at,
        expires_at,
        last_used_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}
