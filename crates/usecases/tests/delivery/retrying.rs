//! Events that an operator retries or replays get three days again.

use std::time::Duration;

use domain::subscription::{PauseReason, SubscriptionState};
use domain::{Delivery, DeliveryState, LogPosition, Subscription, SubscriptionId};
use ports::{DeliveryStore as _, Environment as _, SubscriptionStore as _};

use crate::world::{World, until};

async fn only(world: &World, id: SubscriptionId) -> Delivery {
    world.deliveries(id).await.remove(0)
}

/// Waits for the next failure and returns the delivery.
async fn fails_again(world: &World, id: SubscriptionId, failed: u32) -> Delivery {
    until("it fails again", async || {
        only(world, id).await.attempts.count() != failed
    })
    .await;
    only(world, id).await
}

/// Creates a dead letter.
async fn with_a_dead_letter() -> (World, SubscriptionId) {
    let world = World::new(|_, _| 500);
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent"]).await;
    let worker = world.work("one");
    until("it is given up", async || {
        world.clock.advance(Duration::from_hours(3));
        world.status(id).await.dead == 1
    })
    .await;
    world.kill(worker).await;
    (world, id)
}

fn seconds_to_next(world: &World, delivery: &Delivery) -> i64 {
    let next = delivery.next_attempt_at.unwrap().unix_micros();
    (next - world.clock.now().unix_micros()) / 1_000_000
}

#[tokio::test]
async fn retried_dead_letter_is_retried_for_three_days_again() {
    let (world, id) = with_a_dead_letter().await;
    let before = only(&world, id).await;
    assert_eq!(world.retry_all(id).await, 1);
    let worker = world.work("two");
    let failed = fails_again(&world, id, before.attempts.count()).await;
    assert_eq!(failed.state, DeliveryState::Retrying);
    assert!(
        seconds_to_next(&world, &failed) < 7,
        "as often as a new one"
    );
    world.clock.advance(Duration::from_hours(71));
    let failed = fails_again(&world, id, failed.attempts.count()).await;
    assert_eq!(failed.state, DeliveryState::Retrying);
    world.clock.advance(Duration::from_hours(2));
    let failed = fails_again(&world, id, failed.attempts.count()).await;
    assert_eq!(failed.state, DeliveryState::Dead);
    world.end([worker]).await;
}

#[tokio::test]
async fn replayed_event_is_retried_for_three_days_again() {
    let (world, id) = with_a_dead_letter().await;
    let before = only(&world, id).await;
    assert!(world.store.rewind(id, LogPosition::START).await.unwrap());
    let worker = world.work("two");
    until("it is pending again", async || {
        world.status(id).await.pending == 1
    })
    .await;
    // The next worker restores it from the store.
    world.kill(worker).await;
    let worker = world.work("three");
    let failed = only(&world, id).await.attempts.count();
    world.clock.advance(Duration::from_secs(10));
    let failed = fails_again(&world, id, failed).await;
    assert_eq!(failed.state, DeliveryState::Retrying);
    assert_eq!(failed.created_at, before.created_at);
    world.end([worker]).await;
}

#[tokio::test]
async fn event_is_retried_for_three_days_again_after_a_pause() {
    let world = World::new(|_, _| 500);
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent"]).await;
    let worker = world.work("one");
    until("it is pending", async || {
        world.status(id).await.pending == 1
    })
    .await;
    let failed = only(&world, id).await.attempts.count();
    let since = world.clock.now();
    let reason = PauseReason::Operator;
    for state in [
        SubscriptionState::Paused { reason, since },
        SubscriptionState::Active,
    ] {
        let before = world.status(id).await.subscription;
        let changed = Subscription {
            state,
            updated_at: world.clock.now(),
            version: before.version + 1,
            ..before
        };
        assert!(world.store.change(&changed).await.unwrap());
        if state.since().is_some() {
            world.clock.advance(Duration::from_hours(80));
        }
    }
    let failed = fails_again(&world, id, failed).await;
    assert_eq!(failed.state, DeliveryState::Retrying);
    assert!(
        seconds_to_next(&world, &failed) < 7,
        "as often as a new one"
    );
    world.end([worker]).await;
}
