//! Managing channels, and the directory that authenticates their callers.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod allow_sender;
mod certificates;
mod channel_test;
mod directory;
mod manage;
mod requests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::{ChannelName, IntegratorName, PublicUrl, WebhookUser};
use ports::error::Source;
use ports::metrics::NoMetrics;
use ports::{ChannelSnapshot, ChannelWithCredentials, Headers};
use testkit::builders::{channel_id, server_secret};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use usecases::channels::manage::{IssuedCredential, NewChannel, NewCredential};
use usecases::{AuthenticateCaller, Authentication, ChannelDirectory, Integrators, ManageChannels};

/// The channel use cases on one memory store.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) manage: ManageChannels,
    pub(crate) directory: Arc<ChannelDirectory>,
    pub(crate) authenticate: AuthenticateCaller,
}

#[derive(Default)]
pub(crate) struct MemorySnapshot {
    saved: Mutex<Option<Vec<ChannelWithCredentials>>>,
    pub(crate) is_full: AtomicBool,
}

impl MemorySnapshot {
    pub(crate) fn count(&self) -> Option<usize> {
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        saved.as_ref().map(Vec::len)
    }
}

impl ChannelSnapshot for MemorySnapshot {
    fn save(&self, channels: &[ChannelWithCredentials]) -> Result<(), Source> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err("no space left on device".into());
        }
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        *saved = Some(channels.to_vec());
        Ok(())
    }

    fn load(&self) -> Result<Option<Vec<ChannelWithCredentials>>, Source> {
        Ok(self
            .saved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }
}

struct Basic(String);

impl Basic {
    fn of(user: &str, password: &str) -> Self {
        Self(traffic::request::authorization(user, password))
    }
}

impl Headers for Basic {
    fn get(&self, name: &str) -> Option<&[u8]> {
        name.eq_ignore_ascii_case("authorization")
            .then_some(self.0.as_bytes())
    }
}

/// A request without headers.
pub(crate) struct NoHeaders;

impl Headers for NoHeaders {
    fn get(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_snapshot(MemoryStore::new(), Arc::default())
    }

    pub(crate) fn with_snapshot(store: MemoryStore, snapshot: Arc<MemorySnapshot>) -> Self {
        let clock = Arc::new(FixedClock::default());
        let manage = ManageChannels::new(
            Arc::new(store.clone()),
            integrators(),
            server_secret(),
            PublicUrl::parse("https://reports.example.com").unwrap(),
            clock.clone(),
        );
        let directory = ChannelDirectory::new(
            Arc::new(store.clone()),
            server_secret(),
            Arc::new(NoMetrics),
        );
        let directory = Arc::new(directory.with_snapshot(snapshot));
        let authenticate =
            AuthenticateCaller::new(directory.clone(), server_secret(), clock.clone());
        Self {
            store,
            clock,
            manage,
            directory,
            authenticate,
        }
    }

    pub(crate) async fn add(&self, id: &str) -> IssuedCredential {
        self.manage.add(new_channel(id)).await.unwrap().1
    }

    pub(crate) fn admits(&self, id: &str, password: &str) -> bool {
        let integrators = integrators();
        let twilio = integrators.find(&twilio()).unwrap();
        let authentication =
            self.authenticate
                .run(twilio.as_ref(), id, &Basic::of("user", password));
        matches!(authentication, Authentication::AuthenticatedCaller(_))
    }
}

pub(crate) fn integrators() -> Integrators {
    Integrators::new(adapter_integrators::all())
}

pub(crate) fn twilio() -> IntegratorName {
    IntegratorName::parse("twilio").unwrap()
}

pub(crate) fn new_credential() -> NewCredential {
    NewCredential {
        user: WebhookUser::parse("user").unwrap(),
        password: None,
        label: None,
        expires_at: None,
    }
}

pub(crate) fn new_channel(id: &str) -> NewChannel {
    NewChannel {
        id: channel_id(id),
        integrator: twilio(),
        name: ChannelName::parse("Name").unwrap(),
        senders: Vec::new(),
        public_url: None,
        signing_token: None,
        keep_messages_days: None,
        forward_url: None,
        credential: new_credential(),
        may_reveal: false,
    }
}
