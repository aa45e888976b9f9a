//! Targets that ask to be left alone.

use std::time::Duration;

use crate::world::{World, until};

#[tokio::test]
async fn a_target_that_asks_to_be_left_alone_is_sent_nothing_whoever_serves_it() {
    for status in [429, 503] {
        let mut world = World::new(|_, _| 200);
        world.settings.window = 1;
        world.now_answers(move |sid, tries| match (sid, tries) {
            ("SM0", 1) => (status, Some(Duration::from_mins(10))),
            _ => (200, None),
        });
        let id = world.subscribe(1).await;
        for number in 0..6 {
            world.record(&format!("SM{number}"), &["sent"]).await;
        }
        let worker = world.work("one");
        until("it has asked", async || world.status(id).await.open == 1).await;
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
async fn an_answer_that_is_no_limit_holds_back_its_own_event_alone() {
    let world = World::new(|_, _| 200);
    world.now_answers(|sid, tries| match (sid, tries) {
        ("SM0", 1) => (500, Some(Duration::from_mins(10))),
        _ => (200, None),
    });
    world.subscribe(1).await;
    for number in 0..6 {
        world.record(&format!("SM{number}"), &["sent"]).await;
    }
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
async fn one_success_does_not_hasten_what_is_to_be_left_alone() {
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
    until("it takes nothing", async || {
        let status = world.status(id).await;
        status.failing_since.is_some() && status.open == 5
    })
    .await;
    world.record("SM1", &["sent"]).await;
    world.clock.advance(Duration::from_mins(59));
    world.rest().await;
    world.kill(worker).await;
    let worker = world.work("two");
    world.rest().await;
    assert_eq!(world.tries(), 5);
    // All wait for an hour, and then something new is tried.
    world.clock.advance(Duration::from_mins(2));
    until("it takes events again", async || {
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
async fn what_somebody_asks_for_is_tried_at_once() {
    let world = World::new(|_, _| 200);
    world.now_answers(|_, tries| match tries {
        1 => (429, Some(Duration::from_hours(9))),
        _ => (200, None),
    });
    let id = world.subscribe(1).await;
    world.record("SM0", &["sent"]).await;
    let worker = world.work("one");
    until("it has asked", async || world.status(id).await.open == 1).await;
    assert!(world.retry_all(id).await > 0);
    until("it arrives", async || world.has("SM0")).await;
    world.end([worker]).await;
}
