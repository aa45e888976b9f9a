//! Channels and the credentials that prove their callers.

use async_trait::async_trait;
use domain::{Channel, ChannelCalls, ChannelId, Credential, CredentialId, Timestamp};

use crate::StoreError;
use crate::error::Source;

/// A channel with all its credentials, expired ones too, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelWithCredentials {
    /// The channel.
    pub channel: Channel,
    /// Its credentials.
    pub credentials: Vec<Credential>,
}

/// What came of a change to a channel or its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Done,
    /// There is no such channel or credential.
    Absent,
    /// There is one of this id already.
    Exists,
    /// The channel was changed by somebody else meanwhile.
    Outdated,
    /// The channel has as many live credentials as it may have.
    Full,
}

/// Keeps channels and the credentials that prove their callers.
///
/// Every change that can alter who is let in raises [`revision`], in the same
/// step as the change itself. Reports, messages and rejections of a channel
/// stay when it is removed.
///
/// [`revision`]: ChannelStore::revision
#[async_trait]
pub trait ChannelStore: Send + Sync {
    /// A number that differs after every change to channels or credentials, in
    /// this process or any other. [`touch`](Self::touch) does not change it.
    async fn revision(&self) -> Result<i64, StoreError>;

    /// All channels with their credentials, by channel id.
    async fn all(&self) -> Result<Vec<ChannelWithCredentials>, StoreError>;

    /// One channel with its credentials.
    async fn find(&self, id: &ChannelId) -> Result<Option<ChannelWithCredentials>, StoreError>;

    /// Adds a channel with its first credential. [`Change::Exists`] if there is
    /// a channel of this id; then nothing is changed.
    async fn add(&self, channel: &Channel, credential: &Credential) -> Result<Change, StoreError>;

    /// Replaces a channel whose version is one less than that of `channel`.
    /// [`Change::Outdated`] if it has another version, [`Change::Absent`] if
    /// there is none. `created_at` and `integrator` stay as they were.
    async fn update(&self, channel: &Channel) -> Result<Change, StoreError>;

    /// Removes a channel and its credentials; [`Change::Absent`] if there is none.
    async fn remove(&self, id: &ChannelId) -> Result<Change, StoreError>;

    /// Adds a credential to its channel. [`Change::Full`] if the channel has
    /// [`LIVE_CREDENTIALS_MAX`](domain::credential::LIVE_CREDENTIALS_MAX) that
    /// are live at `credential.created_at`, in any race; [`Change::Absent`] if
    /// there is no such channel.
    async fn add_credential(&self, credential: &Credential) -> Result<Change, StoreError>;

    /// Removes a credential; [`Change::Absent`] if the channel has none of this id.
    async fn remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<Change, StoreError>;

    /// Notes when credentials last proved a caller. A time that is earlier than
    /// the one kept and an id that is gone change nothing.
    async fn touch(&self, used: &[(CredentialId, Timestamp)]) -> Result<(), StoreError>;

    /// Adds to the counters of channels and keeps the later of two times. A channel that is gone
    /// changes nothing; none may stand there twice. [`revision`](Self::revision) stays.
    async fn count_calls(&self, calls: &[(ChannelId, ChannelCalls)]) -> Result<(), StoreError>;

    /// The counters of a channel; all zero if nothing was counted or there is no such channel.
    async fn calls(&self, id: &ChannelId) -> Result<ChannelCalls, StoreError>;
}

/// A copy of all channels that can be read while the repository is away, so
/// that a receiver started then still knows its callers. Secrets are hashed and
/// sealed in it as in the repository.
pub trait ChannelSnapshot: Send + Sync {
    /// Replaces the copy; after a crash there is the old one or the new one.
    fn save(&self, channels: &[ChannelWithCredentials]) -> Result<(), Source>;

    /// The copy; `None` if none was ever saved.
    fn load(&self) -> Result<Option<Vec<ChannelWithCredentials>>, Source>;
}
