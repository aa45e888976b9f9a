//! Channels and credentials as they stand in the tables.

use domain::secret::{CredentialHash, KeyId, SealedSecret};
use domain::{
    Address, Channel, ChannelId, ChannelName, Credential, CredentialId, IntegratorName, PublicUrl,
    RetentionDays, WebhookUser,
};
use ports::StoreError;
use ports::channels::ChannelWithCredentials;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::corrupt;
use crate::rows::{optional_time, time};

const CHANNELS: &str = "channels";
const CREDENTIALS: &str = "channel_credentials";

/// A channel beside one of its credentials, or none.
#[derive(Debug)]
pub(crate) struct ChannelRow {
    pub(crate) id: String,
    pub(crate) integrator: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) senders: Vec<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) signing_token: Option<Vec<u8>>,
    pub(crate) keep_messages_days: Option<i32>,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) version: i64,
    pub(crate) credential_id: Option<Uuid>,
    pub(crate) webhook_user: Option<String>,
    pub(crate) hash: Option<Vec<u8>>,
    pub(crate) key_id: Option<i64>,
    pub(crate) label: Option<String>,
    pub(crate) credential_created_at: Option<OffsetDateTime>,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) last_used_at: Option<OffsetDateTime>,
}

/// Puts rows together that come sorted by channel.
pub(crate) fn fold(rows: Vec<ChannelRow>) -> Result<Vec<ChannelWithCredentials>, StoreError> {
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

impl ChannelRow {
    fn channel(self) -> Result<Channel, StoreError> {
        Ok(Channel {
            id: ChannelId::parse(&self.id).map_err(corrupt(CHANNELS, "id"))?,
            integrator: IntegratorName::parse(&self.integrator)
                .map_err(corrupt(CHANNELS, "integrator"))?,
            name: ChannelName::parse(&self.name).map_err(corrupt(CHANNELS, "name"))?,
            enabled: self.enabled,
            senders: self
                .senders
                .iter()
                .map(|sender| Address::parse(sender))
                .collect::<Result<_, _>>()
                .map_err(corrupt(CHANNELS, "senders"))?,
            public_url: self
                .public_url
                .map(|url| PublicUrl::parse(&url))
                .transpose()
                .map_err(corrupt(CHANNELS, "public_url"))?,
            signing_token: self.signing_token.map(SealedSecret),
            keep_messages_days: self
                .keep_messages_days
                .map(|days| RetentionDays::new(days.into()))
                .transpose()
                .map_err(corrupt(CHANNELS, "keep_messages_days"))?,
            created_at: time(self.created_at, CHANNELS, "created_at")?,
            updated_at: time(self.updated_at, CHANNELS, "updated_at")?,
            version: self.version,
        })
    }

    fn credential(&self) -> Result<Option<Credential>, StoreError> {
        let (Some(id), Some(user), Some(hash), Some(key_id), Some(created_at)) = (
            self.credential_id,
            &self.webhook_user,
            &self.hash,
            self.key_id,
            self.credential_created_at,
        ) else {
            return Ok(None);
        };
        let hash = <[u8; 32]>::try_from(hash.as_slice()).map_err(corrupt(CREDENTIALS, "hash"))?;
        let key_id = u32::try_from(key_id).map_err(corrupt(CREDENTIALS, "key_id"))?;
        Ok(Some(Credential {
            id: CredentialId(id),
            channel: ChannelId::parse(&self.id).map_err(corrupt(CREDENTIALS, "channel_id"))?,
            user: WebhookUser::parse(user).map_err(corrupt(CREDENTIALS, "webhook_user"))?,
            hash: CredentialHash(hash),
            key_id: KeyId(key_id),
            label: self.label.clone(),
            created_at: time(created_at, CREDENTIALS, "created_at")?,
            expires_at: optional_time(self.expires_at, CREDENTIALS, "expires_at")?,
            last_used_at: optional_time(self.last_used_at, CREDENTIALS, "last_used_at")?,
        }))
    }
}
