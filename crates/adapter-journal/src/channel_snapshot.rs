//! The channel snapshot: all channels in one file, replaced atomically.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::crypto::{CredentialHash, KeyId, SealedSecret};
use domain::webhook::TargetUrl;
use domain::{
    Address, Channel, ChannelId, ChannelName, Credential, CredentialId, IntegratorName, PublicUrl,
    RetentionDays, Timestamp, WebhookUser,
};
use ports::error::Source;
use ports::{ChannelSnapshot, ChannelWithCredentials};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::files;

/// The channel snapshot in a local file.
#[derive(Clone, Debug)]
pub struct ChannelSnapshotFile {
    path: PathBuf,
}

impl ChannelSnapshotFile {
    /// Uses the snapshot at `path`, which need not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }
}

impl ChannelSnapshot for ChannelSnapshotFile {
    fn save(&self, channels: &[ChannelWithCredentials]) -> Result<(), Source> {
        let wire: Vec<_> = channels.iter().map(SnapshotChannel::new).collect();
        if let Some(folder) = self.path.parent() {
            files::make_folder(folder)?;
        }
        Ok(files::replace(&self.path, &serde_json::to_vec(&wire)?)?)
    }

    fn load(&self) -> Result<Option<Vec<ChannelWithCredentials>>, Source> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let wire: Vec<SnapshotChannel> = serde_json::from_slice(&bytes)?;
        let channels: Result<Vec<_>, _> = wire.into_iter().map(SnapshotChannel::read).collect();
        channels.map(Some)
    }
}

#[derive(Serialize, Deserialize)]
struct SnapshotChannel {
    id: String,
    integrator: String,
    name: String,
    enabled: bool,
    senders: Vec<String>,
    public_url: Option<String>,
    signing_token: Option<String>,
    /// Missing in snapshots of earlier versions.
    #[serde(default)]
    keep_messages_days: Option<i64>,
    /// Missing in snapshots of earlier versions.
    #[serde(default)]
    forward_url: Option<String>,
    created_at: i64,
    updated_at: i64,
    version: i64,
    credentials: Vec<SnapshotCredential>,
}

#[derive(Serialize, Deserialize)]
struct SnapshotCredential {
    id: String,
    user: String,
    hash: String,
    key_id: u32,
    label: Option<String>,
    created_at: i64,
    expires_at: Option<i64>,
}

impl SnapshotChannel {
    fn new(entry: &ChannelWithCredentials) -> Self {
        let channel = &entry.channel;
        Self {
            id: channel.id.as_str().to_owned(),
            integrator: channel.integrator.as_str().to_owned(),
            name: channel.name.as_str().to_owned(),
            enabled: channel.enabled,
            senders: channel
                .senders
                .iter()
                .map(|sender| sender.reveal().to_owned())
                .collect(),
            public_url: channel
                .public_url
                .as_ref()
                .map(|url| url.reveal().to_owned()),
            signing_token: channel
                .signing_token
                .as_ref()
                .map(|sealed| STANDARD.encode(&sealed.0)),
            keep_messages_days: channel.keep_messages_days.map(|days| days.get().into()),
            forward_url: channel
                .forward_url
                .as_ref()
                .map(|url| url.reveal().to_owned()),
            created_at: channel.created_at.unix_micros(),
            updated_at: channel.updated_at.unix_micros(),
            version: channel.version,
            // A test credential expires before a snapshot is needed.
            credentials: entry
                .credentials
                .iter()
                .filter(|credential| !credential.is_test)
                .map(SnapshotCredential::new)
                .collect(),
        }
    }

    fn read(self) -> Result<ChannelWithCredentials, Source> {
        let id = ChannelId::parse(&self.id)?;
        let senders: Result<Vec<_>, _> = self
            .senders
            .iter()
            .map(|sender| Address::parse(sender))
            .collect();
        let sealed = self
            .signing_token
            .map(|text| STANDARD.decode(text))
            .transpose()?;
        let credentials: Result<Vec<_>, Source> = self
            .credentials
            .into_iter()
            .map(|credential| credential.read(&id))
            .collect();
        let channel = Channel {
            integrator: IntegratorName::parse(&self.integrator)?,
            name: ChannelName::parse(&self.name)?,
            enabled: self.enabled,
            senders: senders?,
            public_url: self
                .public_url
                .as_deref()
                .map(PublicUrl::parse)
                .transpose()?,
            signing_token: sealed.map(SealedSecret),
            keep_messages_days: self
                .keep_messages_days
                .map(RetentionDays::new)
                .transpose()?,
            forward_url: self
                .forward_url
                .as_deref()
                .map(TargetUrl::parse)
                .transpose()?,
            created_at: Timestamp::from_unix_micros(self.created_at)?,
            updated_at: Timestamp::from_unix_micros(self.updated_at)?,
            version: self.version,
            id,
        };
        Ok(ChannelWithCredentials {
            channel,
            credentials: credentials?,
        })
    }
}

impl SnapshotCredential {
    fn new(credential: &Credential) -> Self {
        Self {
            id: credential.id.to_string(),
            user: credential.user.as_str().to_owned(),
            hash: STANDARD.encode(credential.hash.0),
            key_id: credential.key_id.0,
            label: credential.label.clone(),
            created_at: credential.created_at.unix_micros(),
            expires_at: credential.expires_at.map(Timestamp::unix_micros),
        }
    }

    fn read(self, channel: &ChannelId) -> Result<Credential, Source> {
        let hash: [u8; 32] = STANDARD
            .decode(&self.hash)?
            .try_into()
            .map_err(|_| "a hash has 32 bytes")?;
        Ok(Credential {
            id: CredentialId(Uuid::parse_str(&self.id)?),
            channel: channel.clone(),
            user: WebhookUser::parse(&self.user)?,
            hash: CredentialHash(hash),
            key_id: KeyId(self.key_id),
            label: self.label,
            created_at: Timestamp::from_unix_micros(self.created_at)?,
            expires_at: self
                .expires_at
                .map(Timestamp::from_unix_micros)
                .transpose()?,
            last_used_at: None,
            is_test: false,
        })
    }
}
