//! Failing endpoints, and events that an endpoint always refuses, which must not delay others.

use std::time::Duration;

use domain::subscription::{PauseReason, SubscriptionState};

use crate::world::{World, until};

/// Accepts all messages except those whose id begins with `SMbad`.
fn all_but_bad(sid: &str, _: usize) -> u16 {
    if sid.starts_with("SMbad") { 500 } else { 200 }
}

#[tokio::test]
async fn one_refused_event_delays_no_other_until_it_is_a_dead_letter() {
    let world = World::new(all_but_bad);
    let id = world.subscribe(1).await;
    world.record("SMbad", &["sent"]).await;
    let worker = world.work("one");
    until("it was tried", async || world.tries() == 1).await;
    let (mut hours, mut minutes) = (0, 0);
    while world.status(id).await.dead == 0 {
        let sid = format!("SM{hours}h{minutes}");
        world.record(&sid, &["sent"]).await;
        until("the others arrive", async || world.has(&sid)).await;
        world.clock.advance(Duration::from_mins(20));
        minutes = (minutes + 20) % 60;
        hours += i32::from(minutes == 0);
        assert!(hours < 80, "it is retried for three days");
    }
    assert!(hours >= 72, "{hours} hours");
    let status = world.status(id).await;
    assert_eq!(status.subscription.state, SubscriptionState::Active);
    assert_eq!((status.pending, status.failing_since), (0, None));
    assert_eq!(world.stops(), []);
    world.end([worker]).await;
}

#[tokio::test]
async fn five_refused_events_delay_the_others_for_seconds_once() {
    let world = World::new(all_but_bad);
    let id = world.subscribe(1).await;
    for number in 0..5 {
        world.record(&format!("SMbad{number}"), &["sent"]).await;
    }
    let worker = world.work("one");
    until("the endpoint is failing", async || {
        world.status(id).await.failing_since.is_some()
    })
    .await;
    world.record_messages(100).await;
    let mut waited = Duration::ZERO;
    until("the others arrive", async || {
        let moment = Duration::from_millis(100);
        world.clock.advance(moment);
        waited += moment;
        world.taken().len() == 100
    })
    .await;
    assert!(waited < Duration::from_secs(30), "{waited:?}");
    for round in 0..20 {
        world.clock.advance(Duration::from_mins(1));
        let sid = format!("SMround{round}");
        world.record(&sid, &["sent"]).await;
        until("nothing waits any more", async || world.has(&sid)).await;
    }
    until("it counts as well", async || {
        world.status(id).await.failing_since.is_none()
    })
    .await;
    world.end([worker]).await;
}

#[tokio::test]
async fn many_refused_events_are_not_retried_more_often_for_the_others() {
    let world = World::new(all_but_bad);
    let id = world.subscribe(1).await;
    // Enough at the beginning to open the circuit breaker.
    for number in 0..200 {
        let bad = if number < 40 || number % 2 == 0 {
            "bad"
        } else {
            ""
        };
        world.record(&format!("SM{bad}{number}"), &["sent"]).await;
    }
    let worker = world.work("one");
    until("the others arrive", async || {
        world.clock.advance(Duration::from_secs(1));
        world.taken().len() == 80
    })
    .await;
    for round in 0..50 {
        world.clock.advance(Duration::from_secs(1));
        let sid = format!("SMround{round}");
        world.record(&sid, &["sent"]).await;
        until("later ones arrive at once", async || world.has(&sid)).await;
    }
    // Each of the 50 later ones would cause a retry if it had an effect. The pauses are random:
    // about six tries are usual, and 17 are likelier by a fault than by chance, even in a quarter
    // of an hour.
    let most = world.sink.tries.lock().unwrap().values().copied().max();
    assert!(most.unwrap() <= 16, "{most:?}");
    let status = world.status(id).await;
    assert_eq!((status.pending, status.failing_since), (120, None));
    assert_eq!(status.subscription.state, SubscriptionState::Active);
    world.end([worker]).await;
}

#[tokio::test]
async fn failing_endpoint_gets_one_event_at_a_time_and_is_paused_after_a_day() {
    let mut world = World::new(|_, _| 503);
    world.settings.max_in_flight = 8;
    let id = world.subscribe(1).await;
    world.record_messages(100).await;
    let worker = world.work("one");
    until("it is failing", async || {
        world.status(id).await.failing_since.is_some()
    })
    .await;
    world.rest().await;
    let first = world.tries();
    assert!(first <= 13, "{first} tries");
    for more in 1..=20 {
        until("it is probed", async || {
            world.clock.advance(Duration::from_secs(1));
            world.tries() > first + more - 1
        })
        .await;
        assert_eq!(world.tries(), first + more);
    }
    // Each with another message.
    assert_eq!(world.sink.tries.lock().unwrap().len(), first + 20);
    let since = world.status(id).await.failing_since.unwrap();
    assert_eq!(world.stops(), []);
    until("it is paused", async || {
        world.clock.advance(Duration::from_mins(10));
        let reason = world.status(id).await.subscription.state.reason();
        reason == Some(PauseReason::Failing)
    })
    .await;
    let paused = world.status(id).await.subscription.state.since().unwrap();
    assert!(paused >= since.plus_micros(24 * 3_600_000_000), "{paused}");
    world.end([worker]).await;
}
