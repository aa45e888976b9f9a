//! Channels as operators manage them, and as receivers know them.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{ChannelCalls, ChannelName, IntegratorName, Password, PublicUrl, WebhookUser};
use ports::error::Source;
use ports::metrics::NoMetrics;
use ports::{ChannelSnapshot, ChannelStore as _, ChannelWithCredentials, Clock as _, Headers};
use testkit::builders::{channel_id, server_secret};
use testkit::clock::{CountingIds, FixedClock};
use testkit::memory::MemoryStore;
use usecases::channels::directory::Origin;
use usecases::channels::manage::{
    ChannelChanges, IssuedCredential, ManageError, NewChannel, NewCredential, SigningToken,
};
use usecases::health::Condition;
use usecases::{
    AuthenticateCaller, Authentication, ChannelDirectory, CheckHealth, Integrators, ManageChannels,
};

/// Everything around one memory store.
struct World {
    store: MemoryStore,
    clock: Arc<FixedClock>,
    manage: ManageChannels,
    directory: Arc<ChannelDirectory>,
    admit: AuthenticateCaller,
}

#[derive(Default)]
struct MemoryCopy {
    saved: Mutex<Option<Vec<ChannelWithCredentials>>>,
    is_full: AtomicBool,
}

impl MemoryCopy {
    fn count(&self) -> Option<usize> {
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        saved.as_ref().map(Vec::len)
    }
}

impl ChannelSnapshot for MemoryCopy {
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

/// No header lines.
struct Nothing;

impl Headers for Nothing {
    fn get(&self, _: &str) -> Option<&[u8]> {
        None
    }
}

impl World {
    fn new() -> Self {
        Self::with_copy(MemoryStore::new(), Arc::default())
    }

    fn with_copy(store: MemoryStore, copy: Arc<MemoryCopy>) -> Self {
        let clock = Arc::new(FixedClock::default());
        let manage = ManageChannels::new(
            Arc::new(store.clone()),
            integrators(),
            server_secret(),
            PublicUrl::parse("https://reports.example.com").unwrap(),
            clock.clone(),
            Arc::new(CountingIds::default()),
        );
        let directory = ChannelDirectory::new(
            Arc::new(store.clone()),
            server_secret(),
            Arc::new(NoMetrics),
        );
        let directory = Arc::new(directory.with_copy(copy));
        let admit = AuthenticateCaller::new(directory.clone(), server_secret(), clock.clone());
        Self {
            store,
            clock,
            manage,
            directory,
            admit,
        }
    }

    async fn add(&self, id: &str) -> IssuedCredential {
        self.manage.add(new_channel(id)).await.unwrap().1
    }

    fn admits(&self, id: &str, password: &str) -> bool {
        let integrators = integrators();
        let twilio = integrators.find(&twilio()).unwrap();
        let admission = self
            .admit
            .run(twilio.as_ref(), id, &Basic::of("user", password));
        matches!(admission, Authentication::AuthenticatedCaller(_))
    }
}

fn integrators() -> Integrators {
    Integrators::new(adapter_integrators::all())
}

fn twilio() -> IntegratorName {
    IntegratorName::parse("twilio").unwrap()
}

fn new_credential() -> NewCredential {
    NewCredential {
        user: WebhookUser::parse("user").unwrap(),
        password: None,
        label: None,
        expires_at: None,
    }
}

fn new_channel(id: &str) -> NewChannel {
    NewChannel {
        id: channel_id(id),
        integrator: twilio(),
        name: ChannelName::parse("Name").unwrap(),
        senders: Vec::new(),
        public_url: None,
        signing_token: None,
        keep_messages_days: None,
        credential: new_credential(),
    }
}

#[tokio::test]
async fn a_rotation_lets_both_passwords_in_until_the_first_is_removed() {
    let world = World::new();
    let first = world.add("1").await;
    let second = world
        .manage
        .add_credential(&channel_id("1"), new_credential())
        .await
        .unwrap();
    assert_ne!(first.password.reveal(), second.password.reveal());
    let third = world
        .manage
        .add_credential(&channel_id("1"), new_credential())
        .await;
    assert!(matches!(third, Err(ManageError::TooManyCredentials)));
    world.directory.refresh().await.unwrap();
    assert!(world.admits("1", first.password.reveal()));
    assert!(world.admits("1", second.password.reveal()));

    world
        .manage
        .remove_credential(&channel_id("1"), first.credential.id)
        .await
        .unwrap();
    assert!(world.directory.refresh().await.unwrap());
    assert!(!world.admits("1", first.password.reveal()));
    assert!(world.admits("1", second.password.reveal()));
    assert!(
        !world.directory.refresh().await.unwrap(),
        "nothing has changed"
    );
}

#[tokio::test]
async fn a_credential_proves_a_caller_of_its_channel_only_and_until_it_expires() {
    let world = World::new();
    world.add("2").await;
    let mut new = new_channel("1");
    new.credential.password = Some(Password::parse("chosen password").unwrap());
    new.credential.expires_at = Some(world.clock.now().plus_micros(60_000_000));
    world.manage.add(new).await.unwrap();
    world.directory.refresh().await.unwrap();
    assert!(world.admits("1", "chosen password"));
    assert!(!world.admits("1", "chosen passwore"));
    assert!(!world.admits("2", "chosen password"));
    assert!(!world.admits("3", "chosen password"));
    assert!(!world.admits("no channel id/", "chosen password"));
    world.clock.advance(Duration::from_secs(61));
    assert!(!world.admits("1", "chosen password"));
    // A clock that is put right lets it in again: the expiry is a time of day.
    world.clock.turn_back(Duration::from_hours(1));
    assert!(world.admits("1", "chosen password"));
}

#[tokio::test]
async fn when_a_credential_was_last_used_is_written_down() {
    let world = World::new();
    let issued = world.add("1").await;
    world.directory.refresh().await.unwrap();
    assert!(world.admits("1", issued.password.reveal()));
    world.directory.flush_uses().await.unwrap();
    let shown = world.manage.show(&channel_id("1")).await.unwrap();
    assert_eq!(shown.credentials[0].last_used_at, Some(world.clock.now()));
}

#[tokio::test]
async fn a_change_made_to_an_older_version_is_refused() {
    let world = World::new();
    world.add("1").await;
    let name = |text: &str, version| ChannelChanges {
        name: Some(ChannelName::parse(text).unwrap()),
        version,
        ..ChannelChanges::default()
    };
    let id = channel_id("1");
    assert_eq!(
        world
            .manage
            .update(&id, name("A", Some(1)))
            .await
            .unwrap()
            .version,
        2
    );
    let outdated = world.manage.update(&id, name("B", Some(1))).await;
    assert!(matches!(outdated, Err(ManageError::Outdated)));
    assert_eq!(
        world
            .manage
            .update(&id, name("C", None))
            .await
            .unwrap()
            .version,
        3
    );
    let absent = world.manage.update(&channel_id("2"), name("D", None)).await;
    assert!(matches!(absent, Err(ManageError::NoSuchChannel(_))));
}

#[tokio::test]
async fn a_signing_token_is_kept_sealed_and_known_to_receivers() {
    let world = World::new();
    let mut new = new_channel("1");
    new.signing_token = Some(SigningToken::parse("the-account-auth-token").unwrap());
    world.manage.add(new).await.unwrap();
    let kept = world.manage.show(&channel_id("1")).await.unwrap();
    let sealed = kept.channel.signing_token.unwrap();
    assert!(!sealed.0.windows(7).any(|bytes| bytes == b"account"));
    world.directory.refresh().await.unwrap();
    let known = world.directory.find(&channel_id("1")).unwrap();
    assert_eq!(
        known.signing_token.as_deref(),
        Some("the-account-auth-token")
    );
}

#[tokio::test]
async fn mistakes_are_told_apart() {
    let world = World::new();
    world.add("1").await;
    let again = world.manage.add(new_channel("1")).await;
    assert!(matches!(again, Err(ManageError::ChannelExists(_))));
    let mut unknown = new_channel("2");
    unknown.integrator = IntegratorName::parse("carrier").unwrap();
    let unknown = world.manage.add(unknown).await;
    let said = unknown.unwrap_err().to_string();
    assert_eq!(said, "unknown integrator carrier; known: twilio");
    let mut past = new_channel("3");
    past.credential.expires_at = Some(world.clock.now());
    assert!(matches!(
        world.manage.add(past).await,
        Err(ManageError::ExpiryInThePast)
    ));
}

#[tokio::test]
async fn a_receiver_that_starts_without_the_store_knows_its_callers_from_the_copy() {
    let copy = Arc::new(MemoryCopy::default());
    let world = World::with_copy(MemoryStore::new(), copy.clone());
    let issued = world.add("1").await;
    world.directory.refresh().await.unwrap();
    assert_eq!(world.directory.origin(), Origin::Repository);

    world.store.set_unavailable(true);
    let restarted = World::with_copy(world.store.clone(), copy);
    assert!(restarted.directory.refresh().await.is_err());
    assert_eq!(restarted.directory.origin(), Origin::Nowhere);
    assert!(restarted.directory.fill_from_copy().unwrap());
    assert_eq!(restarted.directory.origin(), Origin::Copy);
    assert!(restarted.admits("1", issued.password.reveal()));

    world.store.set_unavailable(false);
    assert!(restarted.directory.refresh().await.unwrap());
    assert_eq!(restarted.directory.origin(), Origin::Repository);
}

#[tokio::test]
async fn a_copy_that_could_not_be_saved_is_saved_as_soon_as_it_can_be() {
    let copy = Arc::new(MemoryCopy::default());
    let world = World::with_copy(MemoryStore::new(), copy.clone());
    world.add("1").await;
    assert!(world.directory.refresh().await.unwrap());
    copy.is_full.store(true, Ordering::Relaxed);
    let issued = world.add("2").await;
    assert!(world.directory.refresh().await.unwrap());
    // It is used all the same, and said that the copy is behind.
    assert!(world.admits("2", issued.password.reveal()));
    assert!(world.directory.copy_is_behind());
    assert!(!world.directory.refresh().await.unwrap(), "nothing is new");
    assert_eq!(copy.count(), Some(1));

    copy.is_full.store(false, Ordering::Relaxed);
    assert!(!world.directory.refresh().await.unwrap(), "nothing is new");
    assert!(!world.directory.copy_is_behind());
    assert_eq!(copy.count(), Some(2));
}

#[tokio::test]
async fn the_channels_are_degraded_while_their_copy_cannot_be_saved() {
    let copy = Arc::new(MemoryCopy::default());
    let world = World::with_copy(MemoryStore::new(), copy.clone());
    copy.is_full.store(true, Ordering::Relaxed);
    world.directory.refresh().await.unwrap();
    let check = CheckHealth::new(Arc::new(world.store.clone()), world.directory.clone());
    let channels = async || {
        let parts = check.run().await;
        parts.into_iter().find(|part| part.name == "channels")
    };
    assert_eq!(channels().await.unwrap().condition, Condition::Degraded);
    copy.is_full.store(false, Ordering::Relaxed);
    world.directory.refresh().await.unwrap();
    assert_eq!(channels().await.unwrap().condition, Condition::Ready);
}

#[tokio::test]
async fn credentials_of_another_server_secret_are_noticed() {
    let world = World::new();
    world.add("1").await;
    let other = domain::secret::ServerSecret::parse(&"another secret ".repeat(4)).unwrap();
    let directory =
        ChannelDirectory::new(Arc::new(world.store.clone()), other, Arc::new(NoMetrics));
    directory.refresh().await.unwrap();
    assert_eq!(directory.foreign_credentials(), 1);
}

#[tokio::test]
async fn calls_without_success_are_counted_for_known_channels_only() {
    let world = World::new();
    let issued = world.add("1").await;
    world.directory.refresh().await.unwrap();
    let refused_at = world.clock.now();
    let integrators = integrators();
    for id in ["1", "unknown"] {
        for _ in 0..3 {
            assert!(!world.admits(id, "wrong password"));
        }
        let challenge =
            world
                .admit
                .run(integrators.find(&twilio()).unwrap().as_ref(), id, &Nothing);
        assert!(matches!(challenge, Authentication::Challenge));
    }
    world.store.set_unavailable(true);
    assert!(world.directory.flush_uses().await.is_err());
    world.store.set_unavailable(false);
    // What was counted outlives a change of the channel, and a failed write.
    world
        .manage
        .add_credential(&channel_id("1"), new_credential())
        .await
        .unwrap();
    world.directory.refresh().await.unwrap();
    world.directory.flush_uses().await.unwrap();
    world.clock.advance(Duration::from_mins(1));
    assert!(world.admits("1", issued.password.reveal()));
    world.directory.flush_uses().await.unwrap();
    let calls = world.store.calls(&channel_id("1")).await.unwrap();
    let wanted = ChannelCalls {
        challenged: 1,
        refused: 3,
        rejected: 0,
        last_refused_at: Some(refused_at),
    };
    assert_eq!(calls, wanted);
    let unknown = world.store.calls(&channel_id("unknown")).await.unwrap();
    assert_eq!(unknown, ChannelCalls::default());
    assert_eq!(world.directory.problems(), []);
}

#[tokio::test]
async fn a_channel_whose_credentials_have_expired_is_degraded_when_it_is_called() {
    let world = World::new();
    let expires_at = Some(world.clock.now().plus_micros(60_000_000));
    let expiring = NewCredential {
        expires_at,
        ..new_credential()
    };
    let new = NewChannel {
        credential: expiring,
        ..new_channel("1")
    };
    let (_, issued) = world.manage.add(new).await.unwrap();
    world.directory.refresh().await.unwrap();
    world.clock.advance(Duration::from_secs(61));
    let check = CheckHealth::new(Arc::new(world.store.clone()), world.directory.clone());
    let rejections = async || {
        let parts = check.run().await;
        parts.into_iter().find(|part| part.name == "rejections")
    };
    assert_eq!(rejections().await, None);
    assert!(!world.admits("1", issued.password.reveal()));
    let part = rejections().await.unwrap();
    assert_eq!(part.condition, Condition::Degraded);
    assert_eq!(
        part.detail.as_deref(),
        Some(
            "channel 1: calls refused lately: 1; every credential has expired; add one and update \
             the callback URL"
        )
    );
}

#[tokio::test]
async fn the_callback_url_of_another_channel_is_refused_as_public_url() {
    let world = World::new();
    let path = "https://example.com/proxy/social/on/whatsapp/twilio/report/";
    let with = |id: &str, url: String| NewChannel {
        public_url: Some(PublicUrl::parse(&url).unwrap()),
        ..new_channel(id)
    };
    let other = world.manage.add(with("1", format!("{path}2?a=b"))).await;
    assert!(matches!(other, Err(ManageError::OtherReportPath(own)) if own.ends_with("/report/1")));
    world
        .manage
        .add(with("1", format!("{path}1?a=b#c")))
        .await
        .unwrap();
    let changes = ChannelChanges {
        public_url: Some(Some(PublicUrl::parse(&format!("{path}12")).unwrap())),
        ..ChannelChanges::default()
    };
    let other = world.manage.update(&channel_id("1"), changes).await;
    assert!(matches!(other, Err(ManageError::OtherReportPath(_))));
}
