//! `Retry-After`.

use std::time::Duration;

use crate::world::{World, until};

#[tokio::test]
async fn retry_after_of_a_rate_limit_delays_all_events_across_workers() {
    for status in [429, 503] {
        let mut world = World::new(|_, _| 200);
        world.settings.max_in_flight = 1;
        world.now_answers(move |sid, tries| match (sid, tries) {
            ("SM0", 1) => (status, Some(Duration::from_mins(10))),
            _ => (200, None),
        });
        let id = world.subscribe(1).await;
        world.record_messages(6).await;
        let worker = world.work("one");
        until("it answered", async || world.status(id).await.pending == 1).await;
        world.clock.advance(Duration::from_secs(599));
        world.rest().await;
        world.kill(worker).await;
        let worker = world.work("two");
        world.rest().await;
        world.rest().await;
        assert_eq!((world.tries(), world.taken().len()), (1, 0));
        world.clock.advance(Duration::from_secs(2));
        until("all arrive", async || world.taken().len() == 6).await;
        world.end([worker]).await;
    }
}

#[tokio::test]
async fn retry_after_of_another_error_delays_its_own_event_only() {
    let world = World::new(|_, _| 200);
    world.now_answers(|sid, tries| match (sid, tries) {
        ("SM0", 1) => (500, Some(Duration::from_mins(10))),
        _ => (200, None),
    });
    world.subscribe(1).await;
    world.record_messages(6).await;
    let worker = world.work("one");
    until("the others arrive", async || world.taken().len() == 5).await;
    world.clock.advance(Duration::from_secs(599));
    world.rest().await;
    assert!(!world.has("SM0"));
    world.clock.advance(Duration::from_secs(2));
    until("all arrive", async || world.taken().len() == 6).await;
    world.end([worker]).await;
}

#[tokio::test]
async fn success_does_not_shorten_the_retry_after_of_other_events() {
    let world = World::new(|_, _| 200);
    world.now_answers(|sid, tries| match tries {
        1 if sid.starts_with("SMtold") => (503, Some(Duration::from_hours(2))),
        _ => (200, None),
    });
    let id = world.subscribe(1).await;
    for number in 0..5 {
        world.record(&format!("SMtold{number}"), &["sent"]).await;
    }
    let worker = world.work("one");
    until("it is failing", async || {
        let status = world.status(id).await;
        status.failing_since.is_some() && status.pending == 5
    })
    .await;
    world.record("SM1", &["sent"]).await;
    world.clock.advance(Duration::from_mins(59));
    world.rest().await;
    world.kill(worker).await;
    let worker = world.work("two");
    world.rest().await;
    assert_eq!(world.tries(), 5);
    // All wait for an hour, and then a new event is sent.
    world.clock.advance(Duration::from_mins(2));
    until("it works again", async || {
        world.has("SM1") && world.status(id).await.failing_since.is_none()
    })
    .await;
    world.rest().await;
    assert_eq!(world.tries(), 6);
    world.clock.advance(Duration::from_hours(1));
    until("all arrive", async || world.taken().len() == 6).await;
    world.end([worker]).await;
}

#[tokio::test]
async fn operator_retry_ignores_retry_after() {
    let world = World::new(|_, _| 200);
    world.now_answers(|_, tries| match tries {
        1 => (429, Some(Duration::from_hours(9))),
        _ => (200, None),
    });
    let id = world.subscribe(1).await;
    world.record("SM0", &["sent"]).await;
    let worker = world.work("one");
    until("it answered", async || world.status(id).await.pending == 1).await;
    assert!(world.retry_all(id).await > 0);
    until("it arrives", async || world.has("SM0")).await;
    world.end([worker]).await;
}
