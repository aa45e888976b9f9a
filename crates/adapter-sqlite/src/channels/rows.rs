//! Channels and credentials as they stand in the tables.

use domain::secret::{CredentialHash, KeyId, SealedSecret};
use domain::{
    Channel, ChannelId, ChannelName, Credential, CredentialId, IntegratorName, PublicUrl,
    RetentionDays, WebhookUser,
};
use ports::StoreError;
use ports::channels::ChannelWithCredentials;

use crate::error::corrupt;
use crate::rows::{address, optional_time, time, uuid};

const CHANNELS: &str = "channels";
const CREDENTIALS: &str = "channel_credentials";

/// A channel beside one of its credentials, or none.
#[derive(Debug)]
pub(crate) struct ChannelRow {
    pub(crate) id: String,
    pub(crate) integrator: String,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) senders: String,
    pub(crate) public_url: Option<String>,
    pub(crate) signing_token: Option<Vec<u8>>,
    pub(crate) keep_messages_days: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) version: i64,
    pub(crate) credential_id: Option<Vec<u8>>,
    pub(crate) webhook_user: Option<String>,
    pub(crate) hash: Option<Vec<u8>>,
    pub(crate) key_id: Option<i64>,
    pub(crate) label: Option<String>,
    pub(crate) credential_created_at: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
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

/// The senders of a channel as they stand in its row.
pub(crate) fn senders(channel: &Channel) -> String {
    let senders = channel.senders.iter().map(|sender| sender.reveal().into());
    serde_json::Value::Array(senders.collect()).to_string()
}

impl ChannelRow {
    fn channel(self) -> Result<Channel, StoreError> {
        let senders: Vec<String> =
            serde_json::from_str(&self.senders).map_err(corrupt(CHANNELS, "senders"))?;
        let keep_messages_days = self.keep_messages_days.map(RetentionDays::new).transpose();
        let public_url = self.public_url.as_deref().map(PublicUrl::parse).transpose();
        Ok(Channel {
            id: ChannelId::parse(&self.id).map_err(corrupt(CHANNELS, "id"))?,
            integrator: IntegratorName::parse(&self.integrator)
                .map_err(corrupt(CHANNELS, "integrator"))?,
            name: ChannelName::parse(&self.name).map_err(corrupt(CHANNELS, "name"))?,
            enabled: self.enabled,
            senders: senders
                .iter()
                .map(|sender| address(sender, CHANNELS, "senders"))
                .collect::<Result<_, _>>()?,
            public_url: public_url.map_err(corrupt(CHANNELS, "public_url"))?,
            signing_token: self.signing_token.map(SealedSecret),
            keep_messages_days: keep_messages_days
                .map_err(corrupt(CHANNELS, "keep_messages_days"))?,
            created_at: time(self.created_at, CHANNELS, "created_at")?,
            updated_at: time(self.updated_at, CHANNELS, "updated_at")?,
            version: self.version,
        })
    }

    /// `None` if the channel has no credentials.
    fn credential(&self) -> Result<Option<Credential>, StoreError> {
        let (Some(id), Some(user), Some(hash), Some(key_id), Some(created_at)) = (
            self.credential_id.as_deref(),
            self.webhook_user.as_deref(),
            self.hash.as_deref(),
            self.key_id,
            self.credential_created_at,
        ) else {
            return Ok(None);
        };
        Ok(Some(Credential {
            id: CredentialId(uuid(id, CREDENTIALS, "id")?),
            channel: ChannelId::parse(&self.id).map_err(corrupt(CHANNELS, "id"))?,
            user: WebhookUser::parse(user).map_err(corrupt(CREDENTIALS, "webhook_user"))?,
            hash: CredentialHash(hash.try_into().map_err(corrupt(CREDENTIALS, "hash"))?),
            key_id: KeyId(u32::try_from(key_id).map_err(corrupt(CREDENTIALS, "key_id"))?),
            label: self.label.clone(),
            created_at: time(created_at, CREDENTIALS, "created_at")?,
            expires_at: optional_time(self.expires_at, CREDENTIALS, "expires_at")?,
            last_used_at: optional_time(self.last_used_at, CREDENTIALS, "last_used_at")?,
        }))
    }
}
