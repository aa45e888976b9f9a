//! Rebalancing between workers.

use domain::LogPosition;
use ports::DeliveryStore as _;

use crate::world::{World, until};

#[tokio::test]
async fn new_worker_gets_its_fair_share_and_no_event_is_sent_twice() {
    let world = World::new(|_, _| 204);
    let ids = [world.subscribe(1).await, world.subscribe(2).await];
    // The subscription that is released has nothing to send.
    let end = LogPosition(i64::MAX);
    assert!(world.store.skip(ids[0], end).await.unwrap());
    let holders = async || {
        let mut holders = Vec::new();
        for id in ids {
            let found = world.status(id).await;
            holders.push(found.leased_by.unwrap_or_default());
        }
        holders
    };
    let first = [world.work("a"), world.work("a")];
    until("one has both", async || holders().await == ["a", "a"]).await;

    let second = world.work("b");
    let mut messages = 0;
    let statuses = ["sent", "delivered", "read"];
    until("each has one", async || {
        world.record(&format!("SM{messages}"), &statuses).await;
        messages += 1;
        holders().await == ["a", "b"]
    })
    .await;
    until("all are delivered", async || {
        world.taken().len() >= messages * statuses.len()
    })
    .await;
    let tries = world.sink.tries.lock().unwrap().clone();
    assert!(tries.values().all(|tries| *tries == 1), "{tries:?}");
    for message in 0..messages {
        assert_eq!(world.revisions(&format!("SM{message}")), [1, 2, 3]);
    }
    world.end(first.into_iter().chain([second])).await;
}
