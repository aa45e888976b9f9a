//! What workers send, and when again.

use std::collections::HashSet;
use std::time::Duration;

use domain::crypto::ServerSecret;
use ports::maintenance::RetentionKind;
use ports::metrics::ForwardOutcome;
use ports::{ChannelStore as _, Environment as _};
use testkit::builders::channel_id;

use super::world::{World, message, until};

const GOOD: &str = "https://good.example.com/inbox?token=1";
const BAD: &str = "https://bad.example.com/";
const SLOW: &str = "https://slow.example.com/";
const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn requests_are_forwarded_byte_by_byte_once_and_removed() {
    let world = World::new(&[("1", Some(GOOD)), ("2", Some(BAD))]).await;
    world.receive_messages("1", 0..50).await;
    let workers = [world.work(), world.work()];
    world.receive_messages("2", 50..100).await;
    until("all are removed", async || {
        world.waits("1").await + world.waits("2").await == 0
    })
    .await;
    let attempts = world.targets.attempts();
    assert_eq!(attempts.len(), 100);
    let sent: HashSet<_> = attempts
        .iter()
        .map(|(url, request)| (url.as_str(), request.body().to_vec()))
        .collect();
    for number in 0..100 {
        let url = if number < 50 { GOOD } else { BAD };
        assert!(sent.contains(&(url, message(number))), "{number}");
    }
    assert_eq!(world.counter.of(ForwardOutcome::Forwarded), 100);
    for worker in workers {
        world.stop(worker).await;
    }
}

#[tokio::test]
async fn failed_request_is_sent_again_later_and_its_error_is_shown() {
    let world = World::new(&[("1", Some(GOOD))]).await;
    world.targets.answers(500);
    world.receive("1", &message(1)).await.unwrap();
    let worker = world.work();
    let error = async || {
        let waiting = world.waiting("1").await.unwrap();
        waiting.last_failure.map(|failure| failure.error)
    };
    until("it has failed", async || error().await.is_some()).await;
    assert_eq!(error().await.unwrap(), "the target answered 500");
    assert_eq!(world.targets.attempts().len(), 1);
    // The maximum delays are 5 and 10 seconds.
    world.clock.advance(Duration::from_secs(5));
    until("it is sent again", async || {
        world.targets.attempts().len() == 2
    })
    .await;
    world.targets.answers(204);
    until("it is forwarded", async || {
        world.clock.advance(Duration::from_secs(1));
        world.waits("1").await == 0
    })
    .await;
    assert_eq!(world.targets.attempts().len(), 3);
    assert_eq!(world.counter.of(ForwardOutcome::Failed), 2);
    world.stop(worker).await;
}

#[tokio::test]
async fn retry_after_delays_the_request_and_its_channel() {
    let world = World::new(&[("1", Some(GOOD)), ("2", Some(BAD))]).await;
    world.targets.behaves(|url| match url {
        GOOD => Some((429, Some(MINUTE * 10))),
        _ => Some((200, None)),
    });
    world.receive("1", &message(1)).await.unwrap();
    let worker = world.work();
    until("it is refused", async || {
        world.counter.of(ForwardOutcome::Failed) == 1
    })
    .await;
    world.receive("1", &message(2)).await.unwrap();
    world.receive("2", &message(2)).await.unwrap();
    until("the other channel works", async || {
        world.waits("2").await == 0
    })
    .await;
    world.clock.advance(MINUTE * 9);
    world.receive("2", &message(3)).await.unwrap();
    until("the other channel works", async || {
        world.waits("2").await == 0
    })
    .await;
    assert_eq!(world.targets.attempts_at(GOOD), 1);
    world.targets.answers(200);
    world.clock.advance(MINUTE);
    until("both are forwarded", async || world.waits("1").await == 0).await;
    world.stop(worker).await;
}

#[tokio::test]
async fn failing_and_hanging_urls_do_not_stop_others() {
    let channels = [("1", Some(GOOD)), ("2", Some(BAD)), ("3", Some(SLOW))];
    let world = World::new(&channels).await;
    world.targets.behaves(|url| match url {
        GOOD => Some((200, None)),
        SLOW => None,
        _ => Some((503, None)),
    });
    world.receive_messages("2", 0..200).await;
    world.receive_messages("3", 0..200).await;
    let worker = world.work();
    until("they fail", async || world.targets.attempts_at(SLOW) > 0).await;
    world.receive_messages("1", 0..200).await;
    until("all others are forwarded", async || {
        world.waits("1").await == 0
    })
    .await;
    assert_eq!((world.waits("2").await, world.waits("3").await), (200, 200));
    let (bad, slow) = (
        world.targets.attempts_at(BAD),
        world.targets.attempts_at(SLOW),
    );
    assert!(
        bad <= 8,
        "{bad} attempts at a failing URL without time passing"
    );
    assert!(slow <= 8, "{slow} attempts at a URL that does not answer");
    worker.abort();

    world.targets.answers(200);
    let worker = world.work();
    until("the others recover", async || {
        world.clock.advance(Duration::from_secs(1));
        world.waits("2").await + world.waits("3").await == 0
    })
    .await;
    world.stop(worker).await;
}

#[tokio::test]
async fn request_is_dropped_and_counted_after_three_days() {
    let world = World::new(&[("1", Some(BAD)), ("2", Some(GOOD))]).await;
    world.targets.answers(500);
    world.receive_messages("1", 0..3).await;
    let worker = world.work();
    let retention = world.retention();
    let mut hours = 0;
    while world.waits("1").await > 0 {
        retention
            .run(RetentionKind::ForwardedRequests)
            .await
            .unwrap();
        let before = world.targets.attempts().len();
        world.clock.advance(Duration::from_hours(1));
        hours += 1;
        assert!(hours <= 73, "kept longer than three days");
        until("it is tried or dropped", async || {
            let tried = world.targets.attempts().len() > before;
            world.clock.advance(Duration::from_millis(1));
            tried || hours > 3
        })
        .await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(hours, 73, "removed by the first run after 72 hours");
    assert_eq!(world.counter.of(ForwardOutcome::Dropped), 3);
    let attempts = world.targets.attempts().len();
    assert!((9..=150).contains(&attempts), "{attempts} attempts");
    world.stop(worker).await;
}

#[tokio::test]
async fn refused_requests_hold_up_no_others_and_are_given_up() {
    let world = World::new(&[("1", Some(GOOD))]).await;
    for number in 0..5 {
        world.targets.answers_to(message(number), 422);
    }
    world.receive_messages("1", 0..40).await;
    let worker = world.work();
    until(
        "the others are forwarded without time passing",
        async || world.waits("1").await == 5,
    )
    .await;
    let began = world.clock.monotonic();
    until("they are given up", async || {
        world.clock.advance(MINUTE);
        world.waits("1").await == 0
    })
    .await;
    assert!(world.clock.monotonic() < began + Duration::from_hours(4));
    for number in 0..5 {
        assert_eq!(world.targets.attempts_of(&message(number)), 12);
    }
    assert_eq!(world.counter.of(ForwardOutcome::GivenUp), 5);
    assert_eq!(world.counter.of(ForwardOutcome::Forwarded), 35);
    assert_eq!(world.counter.of(ForwardOutcome::Dropped), 0);
    world.stop(worker).await;
}

#[tokio::test]
async fn two_requests_that_fail_do_not_pause_their_channel() {
    let world = World::new(&[("1", Some(GOOD))]).await;
    for number in 0..2 {
        world.targets.answers_to(message(number), 500);
    }
    world.receive_messages("1", 0..40).await;
    let worker = world.work();
    until(
        "the others are forwarded without time passing",
        async || world.waits("1").await == 2,
    )
    .await;
    world.clock.advance(Duration::from_hours(48));
    world.receive_messages("1", 40..80).await;
    until("the others are forwarded", async || {
        world.waits("1").await == 2
    })
    .await;
    assert_eq!(world.counter.of(ForwardOutcome::GivenUp), 0);
    world.stop(worker).await;
}

#[tokio::test]
async fn clock_that_is_ahead_removes_nothing_and_postpones_nothing_for_long() {
    let world = World::new(&[("1", Some(BAD))]).await;
    world.targets.answers(500);
    let retention = world.retention();
    let run = async || {
        retention
            .run(RetentionKind::ForwardedRequests)
            .await
            .unwrap()
    };
    run().await;
    world.receive("1", &message(1)).await.unwrap();
    let right = world.clock.now();
    world.clock.set(right.plus_micros(4 * 24 * 3_600_000_000));
    let worker = world.work();
    until("it fails", async || {
        world.counter.of(ForwardOutcome::Failed) == 1
    })
    .await;
    world.stop(worker).await;
    run().await;
    assert_eq!(world.waits("1").await, 1);
    world.clock.set(right);
    world.targets.answers(200);
    let worker = world.work();
    until("it is sent at once", async || world.waits("1").await == 0).await;
    assert_eq!(world.counter.of(ForwardOutcome::Dropped), 0);
    world.stop(worker).await;
}

#[tokio::test]
async fn request_of_a_killed_worker_is_sent_after_its_lease() {
    let world = World::new(&[("1", Some(SLOW))]).await;
    world.targets.behaves(|_| None);
    world.receive("1", &message(1)).await.unwrap();
    let killed = world.work();
    until("it is sent", async || world.targets.attempts().len() == 1).await;
    killed.abort();
    world.targets.answers(200);
    let worker = world.work();
    world.receive("1", &message(2)).await.unwrap();
    until("the other is sent", async || world.waits("1").await == 1).await;
    assert_eq!(world.targets.attempts().len(), 2);
    world.clock.advance(MINUTE);
    until("it is forwarded", async || world.waits("1").await == 0).await;
    assert_eq!(world.targets.attempts()[2].1.body(), message(1));
    world.stop(worker).await;
}

#[tokio::test]
async fn outcome_is_recorded_once_the_store_is_back_without_sending_again() {
    let world = World::new(&[("1", Some(GOOD))]).await;
    let store = world.store.clone();
    world.targets.behaves(move |_| {
        store.set_unavailable(true);
        Some((200, None))
    });
    world.receive("1", &message(1)).await.unwrap();
    let worker = world.work();
    until("it is forwarded", async || {
        world.counter.of(ForwardOutcome::Forwarded) == 1
    })
    .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.store.set_unavailable(false);
    until("it is removed", async || world.waits("1").await == 0).await;
    assert_eq!(world.targets.attempts().len(), 1);
    world.stop(worker).await;
}

#[tokio::test]
async fn worker_with_another_secret_leaves_requests_to_the_right_one() {
    let world = World::new(&[("1", Some(GOOD))]).await;
    world.receive("1", &message(1)).await.unwrap();
    let other = ServerSecret::parse(&"another ".repeat(4)).unwrap();
    let wrong = world.work_with(other);
    let error = async || {
        let waiting = world.waiting("1").await?;
        waiting.last_failure.map(|failure| failure.error)
    };
    until("it cannot be opened", async || error().await.is_some()).await;
    assert!(error().await.unwrap().contains("server secret"));
    assert_eq!(world.targets.attempts().len(), 0);
    world.stop(wrong).await;
    let worker = world.work();
    world.clock.advance(MINUTE);
    until("it is forwarded", async || world.waits("1").await == 0).await;
    world.stop(worker).await;
}

#[tokio::test]
async fn stopping_waits_for_the_attempts_in_flight() {
    let world = World::new(&[("1", Some(GOOD))]).await;
    world.targets.held.send_replace(true);
    world.receive("1", &message(1)).await.unwrap();
    let worker = world.work();
    until("it is sent", async || world.targets.attempts().len() == 1).await;
    world.begin_stop();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(world.waits("1").await, 1);
    world.targets.held.send_replace(false);
    world.stop(worker).await;
    assert_eq!(world.waits("1").await, 0, "its outcome is recorded");
}

#[tokio::test]
async fn changed_url_applies_to_what_waits_and_a_removed_one_discards_it() {
    let world = World::new(&[("1", Some(BAD))]).await;
    world.targets.behaves(|url| match url {
        GOOD => Some((200, None)),
        _ => Some((500, None)),
    });
    world.receive("1", &message(1)).await.unwrap();
    let worker = world.work();
    until("it fails", async || {
        world.counter.of(ForwardOutcome::Failed) == 1
    })
    .await;
    let set_url = async |url: Option<&str>| {
        let found = world.store.find(&channel_id("1")).await.unwrap().unwrap();
        let mut channel = found.channel;
        channel.forward_url = url.map(|url| domain::webhook::TargetUrl::parse(url).unwrap());
        channel.version += 1;
        world.store.update(&channel).await.unwrap();
        world.directory.refresh().await.unwrap();
    };
    set_url(Some(GOOD)).await;
    world.clock.advance(MINUTE);
    until("it is forwarded", async || world.waits("1").await == 0).await;
    assert_eq!(world.targets.attempts_at(GOOD), 1);
    set_url(Some(BAD)).await;
    world.receive("1", &message(2)).await.unwrap();
    until("it fails", async || {
        world.counter.of(ForwardOutcome::Failed) == 2
    })
    .await;
    set_url(None).await;
    assert_eq!(world.waits("1").await, 0);
    world.stop(worker).await;
}
