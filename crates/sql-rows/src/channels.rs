//! Rows of channels, their credentials and their counters.

use domain::crypto::{CredentialHash, KeyId, SealedSecret};
use domain::webhook::TargetUrl;
use domain::{
    Channel, ChannelCalls, ChannelId, ChannelName, Credential, CredentialId, IntegratorName,
    PublicUrl, RetentionDays, WebhookUser,
};
use ports::StoreError;
use ports::channels::ChannelWithCredentials;
use uuid::Uuid;

use crate::error::corrupt;
use crate::values::{StoredList, StoredTime, address, count, optional_time, time};

const CHANNELS: &str = "channels";
const CREDENTIALS: &str = "channel_credentials";
const CALLS: &str = "channel_calls";

/// A row of `channels` joined with one of its credentials, or none.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the tables")]
pub struct ChannelRow<T, L> {
    pub id: String,
    pub integrator: String,
    pub name: String,
    pub enabled: bool,
    pub senders: L,
    pub public_url: Option<String>,
    pub signing_token: Option<Vec<u8>>,
    pub keep_messages_days: Option<i64>,
    pub forward_url: Option<String>,
    pub created_at: T,
    pub updated_at: T,
    pub version: i64,
    pub credential_id: Option<Uuid>,
    pub webhook_user: Option<String>,
    pub hash: Option<Vec<u8>>,
    pub key_id: Option<i64>,
    pub label: Option<String>,
    pub credential_created_at: Option<T>,
    pub expires_at: Option<T>,
    pub last_used_at: Option<T>,
    pub is_test: Option<bool>,
}

/// Groups rows, which must be sorted by channel.
pub fn group<T: StoredTime, L: StoredList<String>>(
    rows: Vec<ChannelRow<T, L>>,
) -> Result<Vec<ChannelWithCredentials>, StoreError> {
    let mut channels: Vec<ChannelWithCredentials> = Vec::new();
    for row in rows {
        let credential = row.credential()?;
        match channels
            .last_mut()
            .filter(|last| last.channel.id.as_str() == row.id)
        {
            Some(last) => last.credentials.extend(credential),
            None => channels.push(ChannelWithCredentials {
                channel: row.channel()?,
                credentials: credential.into_iter().collect(),
            }),
        }
    }
    Ok(channels)
}

impl<T: StoredTime, L: StoredList<String>> ChannelRow<T, L> {
    fn channel(self) -> Result<Channel, StoreError> {
        let senders = self.senders.into_list();
        let senders = senders.map_err(corrupt(CHANNELS, "senders"))?;
        let senders = senders.iter().map(|it| address(it, CHANNELS, "senders"));
        let keep_messages_days = self.keep_messages_days.map(RetentionDays::new).transpose();
        let forward_url = self
            .forward_url
            .as_deref()
            .map(TargetUrl::parse)
            .transpose();
        let public_url = self.public_url.as_deref().map(PublicUrl::parse).transpose();
        Ok(Channel {
            id: ChannelId::parse(&self.id).map_err(corrupt(CHANNELS, "id"))?,
            integrator: IntegratorName::parse(&self.integrator)
                .map_err(corrupt(CHANNELS, "integrator"))?,
            name: ChannelName::parse(&self.name).map_err(corrupt(CHANNELS, "name"))?,
            enabled: self.enabled,
            senders: senders.collect::<Result<_, _>>()?,
            public_url: public_url.map_err(corrupt(CHANNELS, "public_url"))?,
            signing_token: self.signing_token.map(SealedSecret),
            keep_messages_days: keep_messages_days
                .map_err(corrupt(CHANNELS, "keep_messages_days"))?,
            forward_url: forward_url.map_err(corrupt(CHANNELS, "forward_url"))?,
            created_at: time(self.created_at, CHANNELS, "created_at")?,
            updated_at: time(self.updated_at, CHANNELS, "updated_at")?,
            version: self.version,
        })
    }

    fn credential(&self) -> Result<Option<Credential>, StoreError> {
        let (Some(id), Some(user), Some(hash), Some(key_id), Some(created_at), Some(is_test)) = (
            self.credential_id,
            self.webhook_user.as_deref(),
            self.hash.as_deref(),
            self.key_id,
            self.credential_created_at,
            self.is_test,
        ) else {
            return Ok(None);
        };
        Ok(Some(Credential {
            id: CredentialId(id),
            channel: ChannelId::parse(&self.id).map_err(corrupt(CREDENTIALS, "channel_id"))?,
            user: WebhookUser::parse(user).map_err(corrupt(CREDENTIALS, "webhook_user"))?,
            hash: CredentialHash(hash.try_into().map_err(corrupt(CREDENTIALS, "hash"))?),
            key_id: KeyId(u32::try_from(key_id).map_err(corrupt(CREDENTIALS, "key_id"))?),
            label: self.label.clone(),
            created_at: time(created_at, CREDENTIALS, "created_at")?,
            expires_at: optional_time(self.expires_at, CREDENTIALS, "expires_at")?,
            last_used_at: optional_time(self.last_used_at, CREDENTIALS, "last_used_at")?,
            is_test,
        }))
    }
}

/// A row of `channel_calls`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct CallsRow<T> {
    pub challenged: i64,
    pub refused: i64,
    pub rejected: i64,
    pub last_refused_at: Option<T>,
}

impl<T: StoredTime> TryFrom<CallsRow<T>> for ChannelCalls {
    type Error = StoreError;

    fn try_from(row: CallsRow<T>) -> Result<Self, StoreError> {
        Ok(Self {
            challenged: count(row.challenged, CALLS, "challenged")?,
            refused: count(row.refused, CALLS, "refused")?,
            rejected: count(row.rejected, CALLS, "rejected")?,
            last_refused_at: optional_time(row.last_refused_at, CALLS, "last_refused_at")?,
        })
    }
}
