//! Very many open deliveries.

use std::time::Duration;

use ports::subscriptions::MAX_PENDING;

use crate::stopping::detail;
use crate::world::{World, until};

/// Takes all but those whose id begins so, until it is told otherwise.
fn picky() -> World {
    World::new(|sid, _| if sid.starts_with("SMbad") { 400 } else { 200 })
}

#[tokio::test]
async fn with_too_many_open_deliveries_nothing_more_is_read_and_it_is_said() {
    let mut world = picky();
    world.settings.open = 20;
    // One after the other, so that what fails is never five in a row.
    world.settings.window = 1;
    let id = world.subscribe(1).await;
    for number in 0..20 {
        world.record(&format!("SMbad{number}"), &["sent"]).await;
        world.record(&format!("SM{number}"), &["sent"]).await;
    }
    assert_eq!(detail(&world).await, None);
    let worker = world.work("one");
    until("they are open", async || world.status(id).await.open == 20).await;
    let said = detail(&world).await;
    assert_eq!(
        said,
        Some(format!("{id} is not read on: 20 deliveries are open"))
    );
    // It was reading already when it was full.
    world.record("SMlate", &["sent"]).await;
    world.rest().await;
    world.record("SMlater", &["sent"]).await;
    world.rest().await;
    assert!(!world.has("SMlater"));
    world.now_behaves(|_, _| 200);
    world.clock.advance(Duration::from_secs(7));
    until("all arrive", async || {
        world.has("SMlater") && world.status(id).await.open == 0
    })
    .await;
    assert_eq!(detail(&world).await, None);
    world.end([worker]).await;
}

#[tokio::test]
async fn more_open_deliveries_than_one_step_hands_out_are_all_taken_over_in_order() {
    let world = picky();
    let id = world.subscribe(1).await;
    let many = MAX_PENDING + 100;
    for number in 0..many {
        world.record(&format!("SMbad{number}"), &["sent"]).await;
        world.record(&format!("SM{number}"), &["sent"]).await;
    }
    let worker = world.work("one");
    until("they are open", async || {
        world.status(id).await.open == many as u64
    })
    .await;
    world.kill(worker).await;
    world.now_behaves(|_, _| 200);
    let last = format!("SMbad{}", many - 1);
    world.record(&last, &["delivered"]).await;
    world.clock.advance(Duration::from_secs(7));
    let worker = world.work("two");
    until("all arrive", async || {
        world.revisions(&last).len() == 2 && world.status(id).await.open == 0
    })
    .await;
    assert_eq!(world.revisions(&last), [1, 2]);
    assert!((0..many).all(|number| world.has(&format!("SMbad{number}"))));
    world.end([worker]).await;
}
