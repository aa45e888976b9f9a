//! Event delivery: every event at least once, those of a message in order, whatever the endpoint,
//! the store and the workers do.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, its helpers too"
)]

mod clock;
mod cooldown;
mod failing;
mod leases;
mod limits;
mod masks;
mod pending;
mod retrying;
mod sharing;
mod stopping;
mod world;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::delivery::DeliveryFilter;
use domain::erasure::RequestedVia;
use domain::page::{PageSize, ScanLimit};
use domain::{DeliveryState, LogPosition, Recipient};
use ports::{DeliveryStore as _, EventLog as _};
use testkit::builders::server_secret;
use usecases::EraseRecipient;
use usecases::erasure::EraseRequest;

use world::{World, delivered, until};

#[tokio::test]
async fn every_event_is_delivered_once_and_stored() {
    let world = World::new(|_, _| 204);
    let id = world.subscribe(1).await;
    for number in 0..60 {
        world
            .record(&format!("SM{number}"), &["sent", "delivered", "read"])
            .await;
    }
    let worker = world.work("one");
    until("all are stored", async || {
        delivered(&world.deliveries(id).await) == 180
    })
    .await;
    assert_eq!(world.taken().len(), 180);
    for number in 0..60 {
        assert_eq!(world.revisions(&format!("SM{number}")), [1, 2, 3]);
    }
    let head = world.store.head().await.unwrap();
    until("the position moves to the end", async || {
        world.status(id).await.position == head
    })
    .await;
    world.record("SM99", &["failed"]).await;
    until("later events arrive", async || world.taken().len() == 181).await;
    let status = world.status(id).await;
    assert_eq!((status.pending, status.dead), (0, 0));
    assert!(
        world
            .deliveries(id)
            .await
            .iter()
            .all(|each| each.body.is_none())
    );
    world.end([worker]).await;
}

#[tokio::test]
async fn saturated_ingest_throttles_delivery_which_catches_up_afterwards() {
    let world = World::new(|_, _| 204);
    world.subscribe(1).await;
    world.record_messages(400).await;
    world.saturate_ingest();
    let began = Instant::now();
    let worker = world.work("one");
    until("some arrive", async || world.taken().len() >= 160).await;
    // 500 a second, and the first sixteen at once.
    assert!(began.elapsed() > Duration::from_millis(250));
    world.relieve_ingest();
    until("the rest arrives", async || world.taken().len() == 400).await;
    world.end([worker]).await;
}

#[tokio::test]
async fn later_events_of_a_message_wait_for_a_retried_one_and_other_messages_do_not() {
    let world = World::new(|sid, tries| if sid == "SM1" && tries < 3 { 500 } else { 200 });
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent", "delivered"]).await;
    world.record("SM2", &["sent", "delivered", "read"]).await;
    let worker = world.work("one");
    until("the other message is through", async || {
        world.revisions("SM2").len() == 3
    })
    .await;
    assert_eq!(world.revisions("SM1"), [0_i64; 0]);
    world.record("SM1", &["read"]).await;
    until("the waiting ones are stored", async || {
        let all = world.deliveries(id).await;
        all.iter()
            .filter(|each| each.state == DeliveryState::Waiting)
            .count()
            == 2
    })
    .await;
    let head = world.store.head().await.unwrap();
    until("the position does not wait", async || {
        world.status(id).await.position == head
    })
    .await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(30));
        world.record("SM3", &["sent"]).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    until("the retried message is through", async || {
        world.clock.advance(Duration::from_secs(30));
        world.log.notify();
        world.revisions("SM1") == [1, 2, 3]
    })
    .await;
    world.end([worker]).await;
}

#[tokio::test]
async fn failing_endpoint_is_probed_rarely_and_catches_up_at_once() {
    let mut world = World::new(|_, _| 503);
    world.settings.max_in_flight = 8;
    let id = world.subscribe(1).await;
    for number in 0..300 {
        world
            .record(&format!("SM{number}"), &["sent", "read"])
            .await;
    }
    let worker = world.work("one");
    until("it is known to fail", async || {
        world.status(id).await.failing_since.is_some()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let tries = world.tries();
    assert!(tries <= 13, "{tries} attempts at a failing endpoint");
    world.now_behaves(|_, _| 200);
    // The next one to claim it asks at once; waiting for the probe takes seconds.
    worker.abort();
    let _ = worker.await;
    world.sink.under_way.lock().unwrap().clear();
    let worker = world.work("two");
    until("everything is through", async || {
        (0..300).all(|number| world.revisions(&format!("SM{number}")) == [1, 2])
    })
    .await;
    until("it is not failing any more", async || {
        let status = world.status(id).await;
        status.failing_since.is_none() && status.pending == 0
    })
    .await;
    world.end([worker]).await;
}

#[tokio::test]
async fn killed_workers_lose_no_event_and_keep_the_order() {
    let world = World::new(|_, _| 200);
    let id = world.subscribe(1).await;
    let mut workers: Vec<_> = (0..2).map(|n| world.work(&format!("worker {n}"))).collect();
    for round in 0..20 {
        for number in 0..10 {
            world
                .record(
                    &format!("SM{round}-{number}"),
                    &["sent", "delivered", "read"],
                )
                .await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let killed = workers.remove(0);
        killed.abort();
        let _ = killed.await;
        world.sink.under_way.lock().unwrap().clear();
        workers.push(world.work(&format!("worker {}", round + 2)));
    }
    until("all are stored", async || {
        let mut all = 0;
        let (filter, mut after) = (DeliveryFilter::of(id), None);
        loop {
            let size = PageSize::new(500).unwrap();
            let page = world
                .store
                .deliveries(&filter, after, size, ScanLimit::MAX)
                .await
                .unwrap();
            all += delivered(&page.items);
            after = page.next;
            if after.is_none() {
                return all == 600;
            }
        }
    })
    .await;
    for round in 0..20 {
        for number in 0..10 {
            let sid = format!("SM{round}-{number}");
            let taken = world.taken();
            let of_it: Vec<_> = taken.iter().filter(|(of, _)| *of == sid).collect();
            let firsts: HashSet<_> = of_it.iter().map(|(_, revision)| *revision).collect();
            assert_eq!(firsts.len(), 3, "{sid}: {of_it:?}");
            let mut newest = 0;
            for (_, revision) in of_it {
                assert!(*revision <= newest + 1, "{sid} skipped to {revision}");
                newest = newest.max(*revision);
            }
        }
    }
    world.end(workers).await;
}

#[tokio::test]
async fn event_that_fails_for_three_days_is_a_dead_letter_and_its_message_continues() {
    let world = World::new(|sid, _| if sid == "SM1" { 400 } else { 200 });
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent"]).await;
    let worker = world.work("one");
    let mut others = 0;
    until("it is given up", async || {
        world.clock.advance(Duration::from_hours(4));
        // Others work, so it is this one alone that fails.
        world.record(&format!("SM1{others}"), &["sent"]).await;
        others += 1;
        world.status(id).await.dead == 1
    })
    .await;
    let all = world.deliveries(id).await;
    let dead = all
        .iter()
        .find(|each| each.state == DeliveryState::Dead)
        .unwrap();
    assert!(dead.body.is_some(), "a dead letter can be sent again");
    assert!(dead.attempts.count() >= 3);
    world.now_behaves(|_, _| 200);
    world.record("SM1", &["read"]).await;
    until("its next event arrives", async || {
        world.revisions("SM1") == [2]
    })
    .await;
    assert!(world.store.retry(dead.key, dead.created_at).await.unwrap());
    // Attempts that were not stored yet may be repeated.
    until("the dead letter arrives once it is retried", async || {
        world.revisions("SM1").starts_with(&[2, 1])
    })
    .await;
    world.end([worker]).await;
}

#[tokio::test]
async fn events_of_an_erased_recipient_are_neither_stored_nor_sent() {
    let world = World::new(|_, _| 503);
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent"]).await;
    let worker = world.work("one");
    let bodies = async || -> Vec<String> {
        let all = world.deliveries(id).await.into_iter();
        all.filter_map(|each| each.body).collect()
    };
    until("an event is stored to be retried", async || {
        bodies().await.iter().any(|body| body.contains("***0001"))
    })
    .await;
    let erase = EraseRecipient::new(
        Arc::new(world.store.clone()),
        server_secret(),
        world.clock.clone(),
    );
    let request = EraseRequest {
        recipient: Recipient::parse("+15550100001").unwrap(),
        reason: None,
        via: RequestedVia::CommandLine,
    };
    // As another process does it: the log cache of this one is not invalidated.
    let erasure = erase.run(&request, Duration::from_mins(1)).await.unwrap();
    assert_eq!((erasure.messages, erasure.deliveries), (1, 1));
    assert_eq!(bodies().await, [""; 0]);
    // All events are made again from the log, and the cache has none from before.
    let rewound = world.store.rewind(id, LogPosition::START).await;
    assert!(rewound.unwrap());
    world.record("SM1", &["delivered"]).await;
    until("later events are stored", async || {
        bodies().await.len() == 2
    })
    .await;
    for body in bodies().await {
        assert!(
            body.contains(r#""to":"erased""#) && !body.contains("0001"),
            "{body}"
        );
    }
    world.end([worker]).await;
}
