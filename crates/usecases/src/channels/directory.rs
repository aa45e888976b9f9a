//! All channels with their credentials, in memory: authenticating a caller does not read the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use domain::crypto::{CredentialHash, ServerSecret, SigningTokens};
use domain::statistics::RequestOutcome;
use domain::{Channel, ChannelId, CredentialId, Timestamp};
use ports::error::Source;
use ports::{ChannelSnapshot, ChannelStore, ChannelWithCredentials, Metrics, StoreError};

use crate::channels::calls::{CallCounters, ChannelProblem};

/// How often the use of one credential is recorded.
const USE_INTERVAL_MICROS: i64 = 1_000_000;

/// The channels as the store had them a moment ago.
pub struct ChannelDirectory {
    store: Arc<dyn ChannelStore>,
    secret: ServerSecret,
    metrics: Arc<dyn Metrics>,
    snapshot: Option<Arc<dyn ChannelSnapshot>>,
    channels: ArcSwap<LoadedChannels>,
    /// The revision of the snapshot. Locked while the directory is refreshed.
    saved_revision: tokio::sync::Mutex<Option<i64>>,
    snapshot_is_stale: AtomicBool,
    used: Mutex<HashMap<CredentialId, Timestamp>>,
}

#[derive(Default)]
struct LoadedChannels {
    /// The store's revision; `None` if they come from the snapshot.
    revision: Option<i64>,
    loaded: bool,
    channels: HashMap<ChannelId, Arc<KnownChannel>>,
    /// The channels with a forward URL.
    forwarding: Arc<[ChannelId]>,
    foreign_credentials: usize,
}

/// The source of the channels in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// They are not loaded yet.
    NotLoaded,
    /// The snapshot: the store was not reached since the start.
    Snapshot,
    /// The store.
    Store,
}

/// A channel with the secrets that authenticate its callers.
pub struct KnownChannel {
    /// The channel.
    pub channel: Channel,
    /// Its signing tokens in the clear, if it requires signatures. None if they cannot be opened;
    /// no signature matches then.
    pub signing_tokens: Option<SigningTokens>,
    credentials: Vec<KnownCredential>,
    pub(crate) calls: Arc<CallCounters>,
}

struct KnownCredential {
    id: CredentialId,
    hash: CredentialHash,
    expires_at: Option<Timestamp>,
    use_recorded_at: AtomicI64,
    is_test: bool,
}

impl KnownCredential {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl KnownChannel {
    /// Returns the credentials that are valid at `now`.
    #[must_use]
    pub fn live_credentials(&self, now: Timestamp) -> Vec<(CredentialId, CredentialHash)> {
        let live = self.credentials.iter().filter(|each| each.is_live(now));
        live.map(|each| (each.id, each.hash)).collect()
    }

    /// Returns the newest credential that is valid at `now` and was not made for a test.
    #[must_use]
    pub fn newest_credential(&self, now: Timestamp) -> Option<CredentialId> {
        let live = self.credentials.iter().filter(|each| each.is_live(now));
        // Credentials come from the stores oldest first.
        live.filter(|each| !each.is_test)
            .map(|each| each.id)
            .next_back()
    }

    /// Returns whether a credential of the channel was made for a test.
    #[must_use]
    pub fn is_for_test(&self, id: CredentialId) -> bool {
        let mut tests = self.credentials.iter().filter(|each| each.is_test);
        tests.any(|each| each.id == id)
    }

    /// Returns whether a test of the channel is running.
    #[must_use]
    pub fn is_tested(&self, now: Timestamp) -> bool {
        let mut tests = self.credentials.iter().filter(|each| each.is_test);
        tests.any(|each| each.is_live(now))
    }
}

impl ChannelDirectory {
    /// Creates an empty directory; [`ChannelDirectory::refresh`] fills it.
    #[must_use]
    pub fn new(
        store: Arc<dyn ChannelStore>,
        secret: ServerSecret,
        metrics: Arc<dyn Metrics>,
    ) -> Self {
        Self {
            store,
            secret,
            metrics,
            snapshot: None,
            channels: ArcSwap::default(),
            saved_revision: tokio::sync::Mutex::default(),
            snapshot_is_stale: AtomicBool::new(false),
            used: Mutex::default(),
        }
    }

    /// Saves a snapshot of the channels, for starting while the store is unavailable.
    #[must_use]
    pub fn with_snapshot(mut self, snapshot: Arc<dyn ChannelSnapshot>) -> Self {
        self.snapshot = Some(snapshot);
        self
    }

    /// Fills the directory from the snapshot; `false` if there is none. The next
    /// [`ChannelDirectory::refresh`] that reaches the store replaces it.
    pub fn load_snapshot(&self) -> Result<bool, Source> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(false);
        };
        let Some(channels) = snapshot.load()? else {
            return Ok(false);
        };
        self.use_channels(None, channels);
        Ok(true)
    }

    /// Reads the channels again if they changed, and returns whether they did. Also saves the
    /// snapshot, again if that failed before.
    pub async fn refresh(&self) -> Result<bool, StoreError> {
        // Concurrent refreshes could store the older result last.
        let mut saved_revision = self.saved_revision.lock().await;
        // The revision is read first, so a change in between is read again next time.
        let revision = self.store.revision().await?;
        let is_known = self.channels.load().revision == Some(revision);
        if is_known && (self.snapshot.is_none() || *saved_revision == Some(revision)) {
            return Ok(false);
        }
        let channels = self.store.all().await?;
        if self.save_snapshot(&channels) {
            *saved_revision = Some(revision);
        }
        if !is_known {
            self.use_channels(Some(revision), channels);
        }
        Ok(!is_known)
    }

    /// Saves the snapshot and returns whether that succeeded. It is needed only while the store is
    /// unavailable, so a failure is logged once.
    fn save_snapshot(&self, channels: &[ChannelWithCredentials]) -> bool {
        let snapshot = self.snapshot.as_ref();
        let saved = snapshot.map_or(Ok(()), |snapshot| snapshot.save(channels));
        let was_stale = self
            .snapshot_is_stale
            .swap(saved.is_err(), Ordering::Relaxed);
        match &saved {
            Err(error) if !was_stale => {
                tracing::error!(%error, "the channel snapshot was not saved; retrying");
            }
            Ok(()) if was_stale => tracing::info!("the channel snapshot is saved again"),
            Ok(()) | Err(_) => {}
        }
        saved.is_ok()
    }

    /// Returns whether the snapshot could not be saved, so that it is older than the directory.
    #[must_use]
    pub fn snapshot_is_stale(&self) -> bool {
        self.snapshot_is_stale.load(Ordering::Relaxed)
    }

    fn use_channels(&self, revision: Option<i64>, channels: Vec<ChannelWithCredentials>) {
        let loaded = self.loaded(revision, channels);
        self.metrics.channels_known(loaded.channels.len());
        if loaded.foreign_credentials > 0 {
            tracing::error!(
                credentials = loaded.foreign_credentials,
                "credentials were created under another server secret and authenticate no caller; \
                 check the secret key"
            );
        }
        self.channels.store(Arc::new(loaded));
    }

    /// Returns the channel of an id.
    #[must_use]
    pub fn find(&self, id: &ChannelId) -> Option<Arc<KnownChannel>> {
        self.channels.load().channels.get(id).cloned()
    }

    /// Returns the channels that have a forward URL.
    #[must_use]
    pub fn forwarding_channels(&self) -> Arc<[ChannelId]> {
        Arc::clone(&self.channels.load().forwarding)
    }

    /// Returns where the channels in use come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let loaded = self.channels.load();
        if loaded.revision.is_some() {
            Origin::Store
        } else if loaded.loaded {
            Origin::Snapshot
        } else {
            Origin::NotLoaded
        }
    }

    /// Returns the number of credentials that were created under another server secret.
    #[must_use]
    pub fn foreign_credentials(&self) -> usize {
        self.channels.load().foreign_credentials
    }

    /// Records that a credential authenticated a caller.
    pub(crate) fn record_use(&self, channel: &KnownChannel, id: CredentialId, now: Timestamp) {
        let Some(credential) = channel.credentials.iter().find(|each| each.id == id) else {
            return;
        };
        let recorded_at = credential.use_recorded_at.load(Ordering::Relaxed);
        if now.unix_micros().saturating_sub(recorded_at) >= USE_INTERVAL_MICROS {
            credential
                .use_recorded_at
                .store(now.unix_micros(), Ordering::Relaxed);
            self.used
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(id, now);
        }
    }

    /// Stores when credentials were last used and how often calls to channels failed, as far as
    /// it was counted since the last call.
    pub async fn write_usage(&self) -> Result<(), StoreError> {
        self.write_calls().await?;
        let used: Vec<_> = {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.drain().collect()
        };
        if used.is_empty() {
            Ok(())
        } else {
            self.store.touch(&used).await
        }
    }

    /// Also logs wrong credentials, at most once a minute for each channel.
    async fn write_calls(&self) -> Result<(), StoreError> {
        let loaded = self.channels.load_full();
        let mut counted = Vec::new();
        for (id, known) in &loaded.channels {
            let calls = known.calls.take();
            let refused = calls.map_or(0, |calls| calls.refused);
            if let Some(requests) = known.calls.refused_to_log(refused, Instant::now()) {
                tracing::warn!(
                    channel = %id,
                    requests,
                    "wrong webhook credentials, answered 401; compare the settings at the \
                     integrator with the channel's credentials"
                );
            }
            counted.extend(calls.map(|calls| (id.clone(), calls)));
        }
        if counted.is_empty() {
            return Ok(());
        }
        let written = self.store.count_calls(&counted).await;
        if written.is_err() {
            for (id, calls) in &counted {
                if let Some(known) = loaded.channels.get(id) {
                    known.calls.put_back(calls);
                }
            }
        }
        written
    }

    /// Takes out how many requests of each channel had which outcome since the last call.
    pub(crate) fn take_requests(&self) -> Vec<(ChannelId, BTreeMap<RequestOutcome, i64>)> {
        let loaded = self.channels.load();
        let counted = loaded.channels.iter().filter_map(|(id, known)| {
            let requests = known.calls.take_requests();
            (!requests.is_empty()).then(|| (id.clone(), requests))
        });
        counted.collect()
    }

    /// Returns the settings that cost channels reports in the last ten minutes, and how many.
    #[must_use]
    pub fn problems(&self) -> Vec<(ChannelId, ChannelProblem, u64)> {
        let loaded = self.channels.load();
        let all = loaded.channels.iter().flat_map(|(id, known)| {
            let problems = known.calls.problems(Instant::now()).into_iter();
            problems.map(move |(problem, count)| (id.clone(), problem, count))
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        all
    }

    fn loaded(
        &self,
        revision: Option<i64>,
        channels: Vec<ChannelWithCredentials>,
    ) -> LoadedChannels {
        let credentials = channels.iter().flat_map(|channel| &channel.credentials);
        let key_id = self.secret.key_id();
        let forwarding = channels.iter().map(|entry| &entry.channel);
        let forwarding = forwarding.filter(|channel| channel.forward_url.is_some());
        LoadedChannels {
            forwarding: forwarding.map(|channel| channel.id.clone()).collect(),
            revision,
            loaded: true,
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
        let signing_tokens = channel.signing_token.as_ref().map(|sealed| {
            let context = Channel::signing_token_context(&channel.id);
            let opened = self.secret.open(sealed, &context);
            let tokens = opened.ok().and_then(|text| SigningTokens::parse(&text).ok());
            tokens.unwrap_or_else(|| {
                tracing::error!(channel = %channel.id, "the signing token cannot be opened; its signatures are refused");
                SigningTokens::default()
            })
        });
        let credentials = credentials.into_iter().map(|credential| KnownCredential {
            id: credential.id,
            hash: credential.hash,
            expires_at: credential.expires_at,
            use_recorded_at: AtomicI64::new(0),
            is_test: credential.is_test,
        });
        // Counters survive a refresh.
        let before = self.find(&channel.id);
        let calls = before.as_ref().map(|before| Arc::clone(&before.calls));
        let calls = calls.unwrap_or_default();
        if before.is_some_and(|before| before.channel.version != channel.version) {
            calls.settings_changed();
        }
        KnownChannel {
            channel,
            signing_tokens,
            credentials: credentials.collect(),
            calls,
        }
    }
}
