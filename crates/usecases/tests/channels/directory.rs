//! The channel directory: snapshot, usage and problems.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::ChannelCalls;
use ports::metrics::NoMetrics;
use ports::{ChannelStore as _, Environment as _};
use testkit::builders::channel_id;
use testkit::memory::MemoryStore;
use usecases::channels::directory::Origin;
use usecases::channels::manage::{NewChannel, NewCredential};
use usecases::health::Condition;
use usecases::{Authentication, ChannelDirectory, CheckHealth};

use crate::{MemorySnapshot, NoHeaders, World, integrators, new_channel, new_credential, twilio};

#[tokio::test]
async fn last_use_of_a_credential_is_stored() {
    let world = World::new();
    let issued = world.add("1").await;
    world.directory.refresh().await.unwrap();
    assert!(world.admits("1", issued.password.reveal()));
    world.directory.write_usage().await.unwrap();
    let shown = world.manage.show(&channel_id("1")).await.unwrap();
    assert_eq!(shown.credentials[0].last_used_at, Some(world.clock.now()));
}

#[tokio::test]
async fn server_started_without_the_store_authenticates_from_the_snapshot() {
    let snapshot = Arc::new(MemorySnapshot::default());
    let world = World::with_snapshot(MemoryStore::new(), snapshot.clone());
    let issued = world.add("1").await;
    world.directory.refresh().await.unwrap();
    assert_eq!(world.directory.origin(), Origin::Store);

    world.store.set_unavailable(true);
    let restarted = World::with_snapshot(world.store.clone(), snapshot);
    assert!(restarted.directory.refresh().await.is_err());
    assert_eq!(restarted.directory.origin(), Origin::NotLoaded);
    assert!(restarted.directory.load_snapshot().unwrap());
    assert_eq!(restarted.directory.origin(), Origin::Snapshot);
    assert!(restarted.admits("1", issued.password.reveal()));

    world.store.set_unavailable(false);
    assert!(restarted.directory.refresh().await.unwrap());
    assert_eq!(restarted.directory.origin(), Origin::Store);
}

#[tokio::test]
async fn failed_snapshot_is_saved_again_later() {
    let snapshot = Arc::new(MemorySnapshot::default());
    let world = World::with_snapshot(MemoryStore::new(), snapshot.clone());
    world.add("1").await;
    assert!(world.directory.refresh().await.unwrap());
    snapshot.is_full.store(true, Ordering::Relaxed);
    let issued = world.add("2").await;
    assert!(world.directory.refresh().await.unwrap());
    // The channel is used, and the snapshot reported as stale.
    assert!(world.admits("2", issued.password.reveal()));
    assert!(world.directory.snapshot_is_stale());
    assert!(!world.directory.refresh().await.unwrap(), "nothing changed");
    assert_eq!(snapshot.count(), Some(1));

    snapshot.is_full.store(false, Ordering::Relaxed);
    assert!(!world.directory.refresh().await.unwrap(), "nothing changed");
    assert!(!world.directory.snapshot_is_stale());
    assert_eq!(snapshot.count(), Some(2));
}

#[tokio::test]
async fn channels_are_degraded_while_the_snapshot_cannot_be_saved() {
    let snapshot = Arc::new(MemorySnapshot::default());
    let world = World::with_snapshot(MemoryStore::new(), snapshot.clone());
    snapshot.is_full.store(true, Ordering::Relaxed);
    world.directory.refresh().await.unwrap();
    let check = CheckHealth::new(Arc::new(world.store.clone()), world.directory.clone());
    let channels = async || {
        let parts = check.run().await;
        parts.into_iter().find(|part| part.name == "channels")
    };
    assert_eq!(channels().await.unwrap().condition, Condition::Degraded);
    snapshot.is_full.store(false, Ordering::Relaxed);
    world.directory.refresh().await.unwrap();
    assert_eq!(channels().await.unwrap().condition, Condition::Ready);
}

#[tokio::test]
async fn credentials_of_another_server_secret_are_counted() {
    let world = World::new();
    world.add("1").await;
    let other = domain::crypto::ServerSecret::parse(&"another secret ".repeat(4)).unwrap();
    let directory =
        ChannelDirectory::new(Arc::new(world.store.clone()), other, Arc::new(NoMetrics));
    directory.refresh().await.unwrap();
    assert_eq!(directory.foreign_credentials(), 1);
}

#[tokio::test]
async fn failed_calls_are_counted_for_known_channels_only() {
    let world = World::new();
    let issued = world.add("1").await;
    world.directory.refresh().await.unwrap();
    let refused_at = world.clock.now();
    let integrators = integrators();
    for id in ["1", "unknown"] {
        for _ in 0..3 {
            assert!(!world.admits(id, "wrong password"));
        }
        let challenge = world.authenticate.run(
            integrators.find(&twilio()).unwrap().as_ref(),
            id,
            &NoHeaders,
        );
        assert!(matches!(challenge, Authentication::Challenge));
    }
    world.store.set_unavailable(true);
    assert!(world.directory.write_usage().await.is_err());
    world.store.set_unavailable(false);
    // The counts survive a change of the channel, and a failed write.
    world
        .manage
        .add_credential(&channel_id("1"), new_credential())
        .await
        .unwrap();
    world.directory.refresh().await.unwrap();
    world.directory.write_usage().await.unwrap();
    world.clock.advance(Duration::from_mins(1));
    assert!(world.admits("1", issued.password.reveal()));
    world.directory.write_usage().await.unwrap();
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
async fn expired_credentials_degrade_a_channel_once_it_is_called() {
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
            "channel 1: requests refused recently: 1; every credential has expired; add one and \
             update the callback URL"
        )
    );
}
