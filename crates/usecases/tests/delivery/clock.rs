//! The system's clock is set while events are delivered.

use std::time::Duration;

use domain::SubscriptionId;
use domain::subscription::SubscriptionState;
use ports::Environment as _;

use crate::world::{World, until};

const TWO_MINUTES: Duration = Duration::from_mins(2);

/// A world with a failing endpoint, and the worker that serves it.
async fn failing(messages: usize) -> (World, SubscriptionId) {
    let world = World::new(|_, _| 500);
    let id = world.subscribe(1).await;
    world.record_messages(messages).await;
    (world, id)
}

#[tokio::test]
async fn clock_set_back_does_not_stop_delivery() {
    let world = World::new(|_, _| 200);
    world.subscribe(1).await;
    let worker = world.work("one");
    world.record("SM1", &["sent"]).await;
    until("the first arrives", async || world.has("SM1")).await;
    world.clock.turn_back(TWO_MINUTES);
    world.record("SM2", &["sent"]).await;
    until("the second arrives", async || world.has("SM2")).await;
    world.end([worker]).await;
}

#[tokio::test]
async fn clock_set_back_does_not_delay_retries_and_probes() {
    for messages in [1, 5] {
        let (world, id) = failing(messages).await;
        let worker = world.work("one");
        until("all have failed", async || {
            world.status(id).await.pending == u64::try_from(messages).unwrap()
        })
        .await;
        world.now_behaves(|_, _| 200);
        world.clock.turn_back(TWO_MINUTES);
        world.clock.advance(Duration::from_secs(5));
        until("all arrive", async || world.taken().len() == messages).await;
        world.end([worker]).await;
    }
}

#[tokio::test]
async fn retry_time_stored_under_a_wrong_clock_is_capped() {
    let (world, id) = failing(1).await;
    let right = world.clock.now();
    world.clock.set(right.plus_micros(300 * 3_600_000_000));
    let worker = world.work("one");
    until("it has failed", async || {
        world.status(id).await.pending == 1
    })
    .await;
    world.kill(worker).await;
    world.now_behaves(|_, _| 200);
    world.clock.set(right);
    let worker = world.work("two");
    until("it is served again", async || {
        world.status(id).await.leased_by.as_deref() == Some("two")
    })
    .await;
    world.clock.advance(Duration::from_hours(25));
    until("it arrives", async || world.has("SM0")).await;
    world.end([worker]).await;
}

#[tokio::test]
async fn clock_set_forward_neither_pauses_nor_gives_up() {
    let (world, id) = failing(5).await;
    let worker = world.work("one");
    until("it is failing", async || {
        world.status(id).await.failing_since.is_some()
    })
    .await;
    let tries = world.tries();
    let now = world.clock.now();
    world.clock.set(now.plus_micros(400 * 3_600_000_000));
    until("it is probed", async || {
        world.clock.advance(Duration::from_secs(1));
        world.tries() >= tries + 3
    })
    .await;
    world.rest().await;
    let status = world.status(id).await;
    assert_eq!(status.subscription.state, SubscriptionState::Active);
    assert_eq!((status.pending, status.dead), (5, 0));
    world.end([worker]).await;
}
