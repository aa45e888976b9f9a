//! Subscriptions that a worker stops: reported once, by that worker.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::crypto::ServerSecret;
use domain::subscription::{PauseReason, SubscriptionState};
use domain::{SubscriptionId, Timestamp};
use ports::Maintenance as _;
use ports::metrics::StopReason;
use testkit::builders::server_secret;
use usecases::CheckHealth;
use usecases::health::Condition;

use crate::world::{World, until};

async fn state(world: &World, id: SubscriptionId) -> SubscriptionState {
    let found = world.status(id).await;
    found.subscription.state
}

/// Returns what health reports about subscriptions.
pub(crate) async fn detail(world: &World) -> Option<String> {
    let store = Arc::new(world.store.clone());
    let health = CheckHealth::new(store.clone(), Arc::new(world.directory())).with_subscriptions(
        store,
        server_secret(),
        world.settings.max_pending,
    );
    let parts = health.run().await;
    let mut parts = parts.into_iter();
    let part = parts.find(|part| part.name == "subscriptions").unwrap();
    assert_eq!(part.condition == Condition::Degraded, part.detail.is_some());
    part.detail
}

#[tokio::test]
async fn http_410_ends_the_subscription() {
    let world = World::new(|_, _| 410);
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent"]).await;
    let workers: Vec<_> = (0..3).map(|n| world.work(&format!("{n}"))).collect();
    until("it has ended", async || {
        matches!(state(&world, id).await, SubscriptionState::Ended { .. })
    })
    .await;
    assert_eq!(world.sink.tries.lock().unwrap().len(), 1);
    let reported = detail(&world).await;
    assert_eq!(reported, Some(format!("{id} has ended: it is gone")));
    until("it is reported", async || !world.stops().is_empty()).await;
    assert_eq!(world.stops(), [StopReason::Gone]);
    world.end(workers).await;
}

#[tokio::test]
async fn subscription_of_an_endpoint_that_fails_for_too_long_is_paused() {
    let mut world = World::new(|_, _| 500);
    world.settings.pause_after = Duration::from_hours(1);
    let id = world.subscribe(1).await;
    world.record_messages(10).await;
    let worker = world.work("one");
    until("it is known to fail", async || {
        let status = world.status(id).await;
        status.failing_since.is_some()
    })
    .await;
    assert_eq!(world.stops(), []);
    world.clock.advance(Duration::from_secs(3_601));
    world.log.notify();
    until("it is paused", async || {
        state(&world, id).await.reason() == Some(PauseReason::Failing)
    })
    .await;
    let reported = detail(&world).await;
    assert_eq!(reported, Some(format!("{id} was paused: failing")));
    until("it is reported", async || !world.stops().is_empty()).await;
    assert_eq!(world.stops(), [StopReason::Failing]);
    world.end([worker]).await;
}

#[tokio::test]
async fn subscription_overtaken_by_retention_is_paused() {
    let world = World::new(|_, _| 204);
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent", "read"]).await;
    let now = Timestamp::EPOCH.plus_micros(i64::MAX / 2);
    let budget = NonZeroU32::new(100).unwrap();
    world.store.prune_reports(now, budget).await.unwrap();
    let worker = world.work("one");
    until("it is paused", async || {
        state(&world, id).await.reason() == Some(PauseReason::Pruned)
    })
    .await;
    until("it is reported", async || !world.stops().is_empty()).await;
    assert_eq!(world.stops(), [StopReason::Pruned]);
    assert_eq!(world.taken(), []);
    world.end([worker]).await;
}

#[tokio::test]
async fn unreadable_secret_is_reported_once() {
    let world = World::new(|_, _| 204);
    let other = ServerSecret::parse("another server secret, which is long enough").unwrap();
    let id = world.subscribe_under(1, &other).await;
    let worker = world.worker("one");
    for _ in 0..3 {
        let dispatcher = worker.claim().await.unwrap().unwrap();
        dispatcher.run(async {}).await;
    }
    assert_eq!(world.stops(), [StopReason::UnreadableSecret]);
    assert_eq!(state(&world, id).await, SubscriptionState::Active);
    let reported = detail(&world).await.unwrap();
    assert!(
        reported.starts_with(&format!("{id} is not served: ")),
        "{reported}"
    );
}

#[tokio::test]
async fn stop_is_reported_once_the_store_has_it() {
    let world = World::new(|_, _| 410);
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent"]).await;
    let store = world.store.clone();
    world.now_behaves(move |_, tries| {
        store.set_unavailable(tries == 1);
        410
    });
    let worker = world.work("one");
    until("it was attempted", async || {
        world
            .sink
            .tries
            .lock()
            .unwrap()
            .values()
            .any(|tries| *tries == 1)
    })
    .await;
    assert_eq!(world.stops(), []);
    world.store.set_unavailable(false);
    until("it has ended", async || {
        world.clock.advance(Duration::from_secs(10));
        matches!(state(&world, id).await, SubscriptionState::Ended { .. })
    })
    .await;
    until("it is reported", async || !world.stops().is_empty()).await;
    assert_eq!(world.stops(), [StopReason::Gone]);
    world.end([worker]).await;
}
