//! Channels, and the credentials that authenticate their callers.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::webhook::TargetUrl;
use domain::{Channel, ChannelCalls, ChannelId, Credential, CredentialId, PublicUrl, Timestamp};
use ports::StoreError;
use ports::channels::{Change, ChannelStore, ChannelWithCredentials};
use sql_rows::channels::group;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::forwarding::remove_requests;
use crate::PostgresStore;
use crate::error::store_error;
use crate::retry;
use crate::rows::{CallsRow, ChannelRow};
use crate::runtime::{Operation as _, Query as _};

const CHANNELS: &str = "channels";
const CALLS: &str = "channel_calls";
const CREDENTIALS: &str = "channel_credentials";

#[async_trait]
impl ChannelStore for PostgresStore {
    async fn revision(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar!("select revision from channel_directory")
            .fetch_one(&self.pool)
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
        let operation = "store use of credentials";
        retry::again(|| self.try_touch(used).in_time(&self.runtime, operation))
            .await
            .map_err(store_error(CREDENTIALS))
    }

    async fn count_calls(&self, calls: &[(ChannelId, ChannelCalls)]) -> Result<(), StoreError> {
        let operation = "count calls";
        retry::again(|| {
            self.try_count_calls(calls)
                .in_time(&self.runtime, operation)
        })
        .await
        .map_err(store_error(CALLS))
    }

    async fn calls(&self, id: &ChannelId) -> Result<ChannelCalls, StoreError> {
        let row = sqlx::query_as!(
            CallsRow,
            "select challenged, refused, rejected, last_refused_at
             from channel_calls
             where channel_id = $1",
            id.as_str(),
        )
        .fetch_optional(&self.pool)
        .run(&self.runtime, "read counts of calls", CALLS)
        .await?;
        row.map_or(Ok(ChannelCalls::default()), ChannelCalls::try_from)
    }
}

impl PostgresStore {
    /// Returns channels with their credentials as of one moment, since it is one statement.
    async fn channel_rows(&self, id: Option<&ChannelId>) -> Result<Vec<ChannelRow>, sqlx::Error> {
        sqlx::query_as!(
            ChannelRow,
            r#"select channel.id, channel.integrator, channel.name, channel.enabled,
                   channel.senders, channel.public_url, channel.signing_token,
                   channel.keep_messages_days as "keep_messages_days: i64", channel.forward_url,
                   channel.created_at, channel.updated_at,
                   channel.version, credential.id as "credential_id?",
                   credential.webhook_user as "webhook_user?", credential.hash as "hash?",
                   credential.key_id as "key_id?", credential.label,
                   credential.created_at as "credential_created_at?", credential.expires_at,
                   credential.last_used_at, credential.is_test as "is_test?"
               from channels as channel
               left join channel_credentials as credential on credential.channel_id = channel.id
               where $1::text is null or channel.id = $1
               order by channel.id, credential.created_at, credential.id"#,
            id.map(ChannelId::as_str),
        )
        .fetch_all(&self.pool)
        .await
    }

    async fn try_add(
        &self,
        channel: &Channel,
        credential: &Credential,
    ) -> Result<Change, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let added = sqlx::query!(
            "insert into channels (
                 id, integrator, name, enabled, senders, public_url, signing_token,
                 keep_messages_days, forward_url, created_at, updated_at, version
             )
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             on conflict (id) do nothing",
            channel.id.as_str(),
            channel.integrator.as_str(),
            channel.name.as_str(),
            channel.enabled,
            &senders(channel),
            channel.public_url.as_ref().map(PublicUrl::reveal),
            channel
                .signing_token
                .as_ref()
                .map(|token| token.0.as_slice()),
            channel.keep_messages_days.map(|days| i32::from(days.get())),
            channel.forward_url.as_ref().map(TargetUrl::reveal),
            channel.created_at.to_date_time(),
            channel.updated_at.to_date_time(),
            channel.version,
        )
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 0 {
            return Ok(Change::Exists);
        }
        insert_credential(&mut transaction, credential).await?;
        raise_revision(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Change::Done)
    }

    async fn try_update(&self, channel: &Channel) -> Result<Change, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let version = sqlx::query_scalar!(
            "select version from channels where id = $1 for update",
            channel.id.as_str(),
        )
        .fetch_optional(&mut *transaction)
        .await?;
        match version {
            None => return Ok(Change::Absent),
            Some(version) if version != channel.version.saturating_sub(1) => {
                return Ok(Change::Outdated);
            }
            Some(_) => {}
        }
        sqlx::query!(
            "update channels
             set name = $2, enabled = $3, senders = $4, public_url = $5, signing_token = $6,
                 keep_messages_days = $7, forward_url = $8, updated_at = $9, version = $10
             where id = $1",
            channel.id.as_str(),
            channel.name.as_str(),
            channel.enabled,
            &senders(channel),
            channel.public_url.as_ref().map(PublicUrl::reveal),
            channel
                .signing_token
                .as_ref()
                .map(|token| token.0.as_slice()),
            channel.keep_messages_days.map(|days| i32::from(days.get())),
            channel.forward_url.as_ref().map(TargetUrl::reveal),
            channel.updated_at.to_date_time(),
            channel.version,
        )
        .execute(&mut *transaction)
        .await?;
        if channel.forward_url.is_none() {
            remove_requests(&mut transaction, &channel.id).await?;
        }
        raise_revision(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Change::Done)
    }

    async fn try_remove(&self, id: &ChannelId) -> Result<Change, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let removed = sqlx::query!("delete from channels where id = $1", id.as_str())
            .execute(&mut *transaction)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(Change::Absent);
        }
        raise_revision(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Change::Done)
    }

    async fn try_add_credential(&self, credential: &Credential) -> Result<Change, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        // Locks the channel, so that the count below includes every credential added before.
        let channel = sqlx::query_scalar!(
            "select id from channels where id = $1 for update",
            credential.channel.as_str(),
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if channel.is_none() {
            return Ok(Change::Absent);
        }
        let live = sqlx::query_scalar!(
            r#"select count(*) as "live!" from channel_credentials
               where channel_id = $1 and (expires_at is null or expires_at > $2)
                   and is_test = $3"#,
            credential.channel.as_str(),
            credential.created_at.to_date_time(),
            credential.is_test,
        )
        .fetch_one(&mut *transaction)
        .await?;
        if usize::try_from(live).is_ok_and(|live| live >= credential.live_max()) {
            return Ok(Change::Full);
        }
        // Left behind by processes that were killed during a test.
        sqlx::query!(
            "delete from channel_credentials
             where channel_id = $1 and is_test and expires_at <= $2",
            credential.channel.as_str(),
            credential.created_at.to_date_time(),
        )
        .execute(&mut *transaction)
        .await?;
        insert_credential(&mut transaction, credential).await?;
        raise_revision(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Change::Done)
    }

    async fn try_remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<Change, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let removed = sqlx::query!(
            "delete from channel_credentials where channel_id = $1 and id = $2",
            channel.as_str(),
            id.0,
        )
        .execute(&mut *transaction)
        .await?;
        if removed.rows_affected() == 0 {
            return Ok(Change::Absent);
        }
        raise_revision(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Change::Done)
    }

    async fn try_touch(&self, used: &[(CredentialId, Timestamp)]) -> Result<(), sqlx::Error> {
        // An update from a list applies only one of several values for a row: keep the latest.
        let mut latest = BTreeMap::new();
        for (id, at) in used {
            let entry = latest.entry(*id).or_insert(*at);
            *entry = (*entry).max(*at);
        }
        if latest.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = latest.keys().map(|id| id.0).collect();
        let times: Vec<_> = latest.values().map(|at| at.to_date_time()).collect();
        sqlx::query!(
            "update channel_credentials as credential
             set last_used_at = used.at
             from unnest($1::uuid[], $2::timestamptz[]) as used (id, at)
             where credential.id = used.id
                 and (credential.last_used_at is null or credential.last_used_at < used.at)",
            &ids,
            &times,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn try_count_calls(
        &self,
        calls: &[(ChannelId, ChannelCalls)],
    ) -> Result<(), sqlx::Error> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let ids: Vec<_> = calls.iter().map(|(id, _)| id.as_str().to_owned()).collect();
        let challenged: Vec<_> = calls.iter().map(|(_, it)| count(it.challenged)).collect();
        let refused: Vec<_> = calls.iter().map(|(_, it)| count(it.refused)).collect();
        let rejected: Vec<_> = calls.iter().map(|(_, it)| count(it.rejected)).collect();
        let last = calls.iter().map(|(_, it)| it.last_refused_at);
        let last: Vec<_> = last.map(|at| at.map(Timestamp::to_date_time)).collect();
        // In the order of ids, so that two receivers never deadlock.
        sqlx::query!(
            "insert into channel_calls (
                 channel_id, challenged, refused, rejected, last_refused_at
             )
             select channel.id, counted.challenged, counted.refused, counted.rejected,
                 counted.last_refused_at
             from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[])
                 as counted (channel_id, challenged, refused, rejected, last_refused_at)
             join channels as channel on channel.id = counted.channel_id
             order by channel.id
             on conflict (channel_id) do update
             set challenged = channel_calls.challenged + excluded.challenged,
                 refused = channel_calls.refused + excluded.refused,
                 rejected = channel_calls.rejected + excluded.rejected,
                 last_refused_at = greatest(
                     channel_calls.last_refused_at, excluded.last_refused_at
                 )",
            &ids,
            &challenged,
            &refused,
            &rejected,
            &last as &[Option<OffsetDateTime>],
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn senders(channel: &Channel) -> Vec<String> {
    channel
        .senders
        .iter()
        .map(|sender| sender.reveal().to_owned())
        .collect()
}

async fn insert_credential(
    connection: &mut PgConnection,
    credential: &Credential,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into channel_credentials (
             id, channel_id, webhook_user, hash, key_id, label, created_at, expires_at,
             last_used_at, is_test
         )
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        credential.id.0,
        credential.channel.as_str(),
        credential.user.as_str(),
        &credential.hash.0[..],
        i64::from(credential.key_id.0),
        credential.label,
        credential.created_at.to_date_time(),
        credential.expires_at.map(Timestamp::to_date_time),
        credential.last_used_at.map(Timestamp::to_date_time),
        credential.is_test,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn raise_revision(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("update channel_directory set revision = revision + 1")
        .execute(connection)
        .await?;
    Ok(())
}
