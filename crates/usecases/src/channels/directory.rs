//! All channels with their credentials, in memory: proving a caller reads no
//! store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use domain::secret::{CredentialHash, ServerSecret};
use domain::{Channel, ChannelId, CredentialId, Timestamp};
use ports::error::Source;
use ports::{ChannelSnapshot, ChannelStore, ChannelWithCredentials, Metrics, StoreError};

use crate::channels::calls::{CallCounters, ChannelProblem};

/// How often, in microseconds, the use of one credential is noted.
const NOTED_EVERY: i64 = 1_000_000;

/// The channels as the repository had them a moment ago.
pub struct ChannelDirectory {
    repository: Arc<dyn ChannelStore>,
    secret: ServerSecret,
    observer: Arc<dyn Metrics>,
    copy: Option<Arc<dyn ChannelSnapshot>>,
    snapshot: ArcSwap<Snapshot>,
    /// The revision that the copy has. Held while the directory is refreshed.
    copied: tokio::sync::Mutex<Option<i64>>,
    copy_is_behind: AtomicBool,
    used: Mutex<HashMap<CredentialId, Timestamp>>,
}

#[derive(Default)]
struct Snapshot {
    revision: Option<i64>,
    filled: bool,
    channels: HashMap<ChannelId, Arc<KnownChannel>>,
    foreign_credentials: usize,
}

/// Where the channels of a directory come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// They were not read yet.
    Nowhere,
    /// From the copy: the repository was not reached since the start.
    Copy,
    /// From the repository.
    Repository,
}

/// A channel with what is needed to prove its callers.
pub struct KnownChannel {
    /// The channel.
    pub channel: Channel,
    /// Its signing token in the clear, if it asks for signatures. A token that
    /// does not open stands here as an empty text, which no signature fits.
    pub signing_token: Option<String>,
    credentials: Vec<KnownCredential>,
    pub(crate) calls: Arc<CallCounters>,
}

struct KnownCredential {
    id: CredentialId,
    hash: CredentialHash,
    expires_at: Option<Timestamp>,
    noted_at: AtomicI64,
}

impl KnownChannel {
    /// The credentials that prove a caller at `now`.
    #[must_use]
    pub fn live_credentials(&self, now: Timestamp) -> Vec<(CredentialId, CredentialHash)> {
        let live = |each: &&KnownCredential| each.expires_at.is_none_or(|end| now < end);
        self.credentials
            .iter()
            .filter(live)
            .map(|each| (each.id, each.hash))
            .collect()
    }
}

impl ChannelDirectory {
    /// An empty directory; [`ChannelDirectory::refresh`] fills it.
    #[must_use]
    pub fn new(
        repository: Arc<dyn ChannelStore>,
        secret: ServerSecret,
        observer: Arc<dyn Metrics>,
    ) -> Self {
        Self {
            repository,
            secret,
            observer,
            copy: None,
            snapshot: ArcSwap::default(),
            copied: tokio::sync::Mutex::default(),
            copy_is_behind: AtomicBool::new(false),
            used: Mutex::default(),
        }
    }

    /// Keeps a copy of the channels for the time the repository is away.
    #[must_use]
    pub fn with_copy(mut self, copy: Arc<dyn ChannelSnapshot>) -> Self {
        self.copy = Some(copy);
        self
    }

    /// Fills the directory from the copy. `false` if there is none. The next
    /// [`ChannelDirectory::refresh`] that reaches the repository replaces it.
    pub fn fill_from_copy(&self) -> Result<bool, Source> {
        let Some(copy) = &self.copy else {
            return Ok(false);
        };
        let Some(channels) = copy.load()? else {
            return Ok(false);
        };
        self.use_channels(None, channels);
        Ok(true)
    }

    /// Reads the channels again if anything changed. `true` if it did. A copy that could not be
    /// saved is saved again, whether anything changed or not.
    pub async fn refresh(&self) -> Result<bool, StoreError> {
        // One at a time: of two the one that has read earlier could have the last word.
        let mut copied = self.copied.lock().await;
        // Asked first: a change that comes between is read again next time.
        let revision = self.repository.revision().await?;
        let is_known = self.snapshot.load().revision == Some(revision);
        if is_known && (self.copy.is_none() || *copied == Some(revision)) {
            return Ok(false);
        }
        let channels = self.repository.all().await?;
        if self.save_copy(&channels) {
            *copied = Some(revision);
        }
        if !is_known {
            self.use_channels(Some(revision), channels);
        }
        Ok(!is_known)
    }

    /// Whether the copy, if there is one, is as these channels are. The receiver works without
    /// it as long as the repository is there.
    fn save_copy(&self, channels: &[ChannelWithCredentials]) -> bool {
        let saved = self
            .copy
            .as_ref()
            .map_or(Ok(()), |copy| copy.save(channels));
        let was_behind = self.copy_is_behind.swap(saved.is_err(), Ordering::Relaxed);
        match &saved {
            // Said once; it is tried again and again.
            Err(error) if !was_behind => {
                tracing::error!(%error, "the copy of the channels was not saved");
            }
            Ok(()) if was_behind => tracing::info!("the copy of the channels is saved again"),
            Ok(()) | Err(_) => {}
        }
        saved.is_ok()
    }

    /// Whether the copy could not be saved, so that it is not what the directory knows.
    #[must_use]
    pub fn copy_is_behind(&self) -> bool {
        self.copy_is_behind.load(Ordering::Relaxed)
    }

    fn use_channels(&self, revision: Option<i64>, channels: Vec<ChannelWithCredentials>) {
        let snapshot = self.snapshot_of(revision, channels);
        self.observer.channels_known(snapshot.channels.len());
        if snapshot.foreign_credentials > 0 {
            tracing::error!(
                credentials = snapshot.foreign_credentials,
                "credentials were made under another server secret and prove nobody; \
                 is RECEIPTD_SECRET_KEY the right one?"
            );
        }
        self.snapshot.store(Arc::new(snapshot));
    }

    /// The channel of an id.
    #[must_use]
    pub fn find(&self, id: &ChannelId) -> Option<Arc<KnownChannel>> {
        self.snapshot.load().channels.get(id).cloned()
    }

    /// Where the channels in use come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let snapshot = self.snapshot.load();
        if snapshot.revision.is_some() {
            Origin::Repository
        } else if snapshot.filled {
            Origin::Copy
        } else {
            Origin::Nowhere
        }
    }

    /// How many credentials were made under another server secret.
    #[must_use]
    pub fn foreign_credentials(&self) -> usize {
        self.snapshot.load().foreign_credentials
    }

    /// Notes that a credential proved a caller.
    pub(crate) fn note_use(&self, channel: &KnownChannel, id: CredentialId, now: Timestamp) {
        let Some(credential) = channel.credentials.iter().find(|each| each.id == id) else {
            return;
        };
        let noted_at = credential.noted_at.load(Ordering::Relaxed);
        if now.unix_micros().saturating_sub(noted_at) >= NOTED_EVERY {
            credential
                .noted_at
                .store(now.unix_micros(), Ordering::Relaxed);
            self.used
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id, now);
        }
    }

    /// Writes down when credentials were last used and how often channels were called without
    /// success, if anything was counted since the last call.
    pub async fn flush_uses(&self) -> Result<(), StoreError> {
        self.flush_calls().await?;
        let used: Vec<_> = {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.drain().collect()
        };
        if used.is_empty() {
            Ok(())
        } else {
            self.repository.touch(&used).await
        }
    }

    /// Logs wrong credentials too, at most once a minute for each channel.
    async fn flush_calls(&self) -> Result<(), StoreError> {
        let snapshot = self.snapshot.load_full();
        let mut counted = Vec::new();
        for (id, known) in &snapshot.channels {
            let calls = known.calls.take();
            let refused = calls.map_or(0, |calls| calls.refused);
            if let Some(requests) = known.calls.refused_to_log(refused, Instant::now()) {
                tracing::warn!(
                    channel = %id,
                    requests,
                    "wrong webhook user or password, answered 401; compare the callback URL at \
                     the integrator with the channel's credentials"
                );
            }
            counted.extend(calls.map(|calls| (id.clone(), calls)));
        }
        if counted.is_empty() {
            return Ok(());
        }
        let written = self.repository.count_calls(&counted).await;
        if written.is_err() {
            for (id, calls) in &counted {
                if let Some(known) = snapshot.channels.get(id) {
                    known.calls.put_back(calls);
                }
            }
        }
        written
    }

    /// Settings that have cost channels reports in the last ten minutes, with how many.
    #[must_use]
    pub fn problems(&self) -> Vec<(ChannelId, ChannelProblem, u64)> {
        let snapshot = self.snapshot.load();
        let all = snapshot.channels.iter().flat_map(|(id, known)| {
            let problems = known.calls.problems(Instant::now()).into_iter();
            problems.map(move |(problem, count)| (id.clone(), problem, count))
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        all
    }

    fn snapshot_of(
        &self,
        revision: Option<i64>,
        channels: Vec<ChannelWithCredentials>,
    ) -> Snapshot {
        let credentials = channels.iter().flat_map(|channel| &channel.credentials);
        let key_id = self.secret.key_id();
        Snapshot {
            revision,
            filled: true,
            foreign_credentials: credentials.filter(|each| each.key_id != key_id).count(),
            channels: channels
                .into_iter()
                .map(|entry| (entry.channel.id.clone(), Arc::new(self.known(entry))))
                .collect(),
        }
    }

    fn known(&self, entry: ChannelWithCredentials) -> KnownChannel {
        let ChannelWithCredentials {
            channel,
            credentials,
        } = entry;
        let signing_token = channel.signing_token.as_ref().map(|sealed| {
            let context = Channel::signing_token_context(&channel.id);
            match self.secret.open(sealed, &context) {
                Ok(token) => token.to_string(),
                Err(error) => {
                    tracing::error!(channel = %channel.id, %error, "the signing token is unusable");
                    String::new()
                }
            }
        });
        let credentials = credentials.into_iter().map(|credential| KnownCredential {
            id: credential.id,
            hash: credential.hash,
            expires_at: credential.expires_at,
            noted_at: AtomicI64::new(0),
        });
        // Counters go on for as long as the channel is known.
        let before = self.find(&channel.id);
        let calls = before.as_ref().map(|before| Arc::clone(&before.calls));
        let calls = calls.unwrap_or_default();
        if before.is_some_and(|before| before.channel.version != channel.version) {
            calls.settings_changed();
        }
        KnownChannel {
            channel,
            signing_token,
            credentials: credentials.collect(),
            calls,
        }
    }
}
