//! Very many pending deliveries.

use std::time::Duration;

use ports::subscriptions::MAX_PENDING;

use crate::stopping::detail;
use crate::world::{World, until};

/// Creates an endpoint that refuses messages whose id begins with `SMbad`.
fn picky() -> World {
    World::new(|sid, _| if sid.starts_with("SMbad") { 400 } else { 200 })
}

#[tokio::test]
async fn too_many_pending_deliveries_stop_reading_and_are_reported() {
    let mut world = picky();
    world.settings.max_pending = 20;
    // One at a time, so that five failures never follow each other.
    world.settings.max_in_flight = 1;
    let id = world.subscribe(1).await;
    for number in 0..20 {
        world.record(&format!("SMbad{number}"), &["sent"]).await;
        world.record(&format!("SM{number}"), &["sent"]).await;
    }
    assert_eq!(detail(&world).await, None);
    let worker = world.work("one");
    until("they are pending", async || {
        world.status(id).await.pending == 20
    })
    .await;
    let reported = detail(&world).await;
    assert_eq!(
        reported,
        Some(format!(
            "no further events are read for {id}: 20 deliveries are pending"
        ))
    );
    // A read was pending already.
    world.record("SMlate", &["sent"]).await;
    world.rest().await;
    world.record("SMlater", &["sent"]).await;
    world.rest().await;
    assert!(!world.has("SMlater"));
    world.now_behaves(|_, _| 200);
    world.clock.advance(Duration::from_secs(7));
    until("all arrive", async || {
        world.has("SMlater") && world.status(id).await.pending == 0
    })
    .await;
    assert_eq!(detail(&world).await, None);
    world.end([worker]).await;
}

#[tokio::test]
async fn more_pending_deliveries_than_one_page_are_restored_in_order() {
    let world = picky();
    let id = world.subscribe(1).await;
    let many = MAX_PENDING + 100;
    for number in 0..many {
        world.record(&format!("SMbad{number}"), &["sent"]).await;
        world.record(&format!("SM{number}"), &["sent"]).await;
    }
    let worker = world.work("one");
    until("they are pending", async || {
        world.status(id).await.pending == many as u64
    })
    .await;
    world.kill(worker).await;
    world.now_behaves(|_, _| 200);
    let last = format!("SMbad{}", many - 1);
    world.record(&last, &["delivered"]).await;
    world.clock.advance(Duration::from_secs(7));
    let worker = world.work("two");
    until("all arrive", async || {
        world.revisions(&last).len() == 2 && world.status(id).await.pending == 0
    })
    .await;
    assert_eq!(world.revisions(&last), [1, 2]);
    assert!((0..many).all(|number| world.has(&format!("SMbad{number}"))));
    world.end([worker]).await;
}
