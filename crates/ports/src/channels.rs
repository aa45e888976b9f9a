//! Channels and the credentials of their callers.

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

/// The result of a change to a channel or its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The change was made.
    Done,
    /// There is no such channel or credential.
    Absent,
    /// A channel or credential of this id exists already.
    Exists,
    /// The channel has another version than the caller expected.
    Outdated,
    /// The channel has the maximum number of live credentials of this kind.
    Full,
}

/// Stores channels and the credentials of their callers.
///
/// Every change that can affect authentication increments [`revision`] in the same step. Reports,
/// messages and rejections of a channel stay when it is removed.
///
/// [`revision`]: ChannelStore::revision
#[async_trait]
pub trait ChannelStore: Send + Sync {
    /// Returns a number that differs after every change to channels or credentials, in this
    /// process or any other. [`touch`](Self::touch) does not change it.
    async fn revision(&self) -> Result<i64, StoreError>;

    /// Returns all channels with their credentials, by channel id.
    async fn all(&self) -> Result<Vec<ChannelWithCredentials>, StoreError>;

    /// Returns one channel with its credentials.
    async fn find(&self, id: &ChannelId) -> Result<Option<ChannelWithCredentials>, StoreError>;

    /// Adds a channel with its first credential. [`Change::Exists`] if there is a channel of this
    /// id; then nothing is changed.
    async fn add(&self, channel: &Channel, credential: &Credential) -> Result<Change, StoreError>;

    /// Replaces a channel whose version is one less than that of `channel`. [`Change::Outdated`] if
    /// it has another version, [`Change::Absent`] if there is none. `created_at` and `integrator`
    /// stay as they were. Without a forward URL, the requests of the channel that wait to be
    /// forwarded are removed.
    async fn update(&self, channel: &Channel) -> Result<Change, StoreError>;

    /// Removes a channel with its credentials and the requests that wait to be forwarded;
    /// [`Change::Absent`] if there is none.
    async fn remove(&self, id: &ChannelId) -> Result<Change, StoreError>;

    /// Adds a credential to its channel. [`Change::Full`] if the channel has
    /// [`Credential::live_max`] of the same kind (for tests or not) that are live at
    /// `credential.created_at`, in any race; [`Change::Absent`] if there is no such channel. Also
    /// removes the channel's test credentials that are expired by then.
    async fn add_credential(&self, credential: &Credential) -> Result<Change, StoreError>;

    /// Removes a credential; [`Change::Absent`] if the channel has none of this id.
    async fn remove_credential(
        &self,
        channel: &ChannelId,
        id: CredentialId,
    ) -> Result<Change, StoreError>;

    /// Stores when credentials were last used. A time earlier than the stored one and an unknown id
    /// change nothing.
    async fn touch(&self, used: &[(CredentialId, Timestamp)]) -> Result<(), StoreError>;

    /// Adds to the counters of channels and keeps the later of two times. An unknown channel
    /// changes nothing; a channel must not occur twice. [`revision`](Self::revision) stays.
    async fn count_calls(&self, calls: &[(ChannelId, ChannelCalls)]) -> Result<(), StoreError>;

    /// Returns the counters of a channel; all zero if there is no such channel.
    async fn calls(&self, id: &ChannelId) -> Result<ChannelCalls, StoreError>;
}

/// A local copy of all channels, with which a receiver that starts while the store is unavailable
/// authenticates its callers. Secrets are hashed and sealed as in the store.
pub trait ChannelSnapshot: Send + Sync {
    /// Replaces the snapshot atomically, also in a crash.
    fn save(&self, channels: &[ChannelWithCredentials]) -> Result<(), Source>;

    /// Returns the snapshot; `None` if none was ever saved.
    fn load(&self) -> Result<Option<Vec<ChannelWithCredentials>>, Source>;
}
