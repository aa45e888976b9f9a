//! Masking of addresses.

use std::sync::Arc;
use std::time::Duration;

use domain::webhook::TargetUrl;
use domain::{Subscription, SubscriptionId};
use ports::SubscriptionStore as _;
use testkit::builders::server_secret;
use usecases::ManageSubscriptions;
use usecases::subscriptions::{SubscriptionChanges, SubscriptionDependencies, SubscriptionError};

use crate::world::{World, until};

const PLAIN: &str = "whatsapp:+15550100001";
const MASK: &str = "whatsapp:+***0001";

async fn reveal(world: &World, id: SubscriptionId, reveal: bool) {
    let before = world.status(id).await.subscription;
    let changed = Subscription {
        reveal,
        version: before.version + 1,
        ..before
    };
    assert!(world.store.change(&changed).await.unwrap());
}

fn manage(world: &World) -> ManageSubscriptions {
    let store = Arc::new(world.store.clone());
    ManageSubscriptions::new(SubscriptionDependencies {
        store: store.clone(),
        deliveries: store.clone(),
        operator_events: store.clone(),
        log: world.log.clone(),
        reports: store,
        sender: world.sink.clone(),
        directory: Arc::new(world.directory()),
        secret: server_secret(),
        environment: world.clock.clone(),
        private_targets: true,
    })
}

/// Creates three events with full addresses: a dead letter, a retried one, and one that waits for
/// it.
async fn world_in_plain() -> (World, SubscriptionId) {
    let world = World::new(|_, _| 500);
    let id = world.subscribe(1).await;
    reveal(&world, id, true).await;
    world.record("SM1", &["sent"]).await;
    let worker = world.work("one");
    until("one is given up", async || {
        world.clock.advance(Duration::from_hours(3));
        world.status(id).await.dead == 1
    })
    .await;
    world.record("SM2", &["sent", "read"]).await;
    until("the others are pending", async || {
        world.status(id).await.pending == 2
    })
    .await;
    world.kill(worker).await;
    for body in bodies(&world, id).await {
        assert!(body.contains(PLAIN), "{body}");
    }
    assert!(shown(&world).iter().all(|to| to == PLAIN));
    (world, id)
}

async fn bodies(world: &World, id: SubscriptionId) -> Vec<String> {
    let all = world.deliveries(id).await.into_iter();
    let bodies: Vec<_> = all.filter_map(|each| each.body).collect();
    assert_eq!(bodies.len(), 3);
    bodies
}

fn shown(world: &World) -> Vec<String> {
    std::mem::take(&mut world.sink.shown.lock().unwrap())
}

#[tokio::test]
async fn stored_events_are_masked_when_reveal_is_switched_off() {
    let (world, id) = world_in_plain().await;
    let changes = |reveal| SubscriptionChanges {
        reveal: Some(reveal),
        may_reveal: true,
        ..SubscriptionChanges::default()
    };
    // The second change has nothing to mask.
    for _ in 0..2 {
        let outcome = manage(&world).change(id, changes(false)).await.unwrap();
        outcome.masked.unwrap();
        for body in bodies(&world, id).await {
            assert!(body.contains(MASK) && !body.contains("15550"), "{body}");
        }
    }
    manage(&world).change(id, changes(true)).await.unwrap();
    world.now_behaves(|_, _| 200);
    world.retry_all(id).await;
    let worker = world.work("two");
    until("they arrive", async || world.taken().len() == 3).await;
    assert_eq!(shown(&world), [MASK; 3], "masked addresses stay masked");
    world.end([worker]).await;
}

#[tokio::test]
async fn unmasked_stored_events_are_masked_before_sending() {
    let (world, id) = world_in_plain().await;
    // As if the process had crashed before it masked the bodies.
    reveal(&world, id, false).await;
    world.retry_all(id).await;
    let worker = world.work("two");
    until("two were tried", async || {
        world.clock.advance(Duration::from_secs(7));
        world.sink.shown.lock().unwrap().len() >= 2
    })
    .await;
    world.now_behaves(|_, _| 200);
    until("they arrive", async || {
        world.clock.advance(Duration::from_mins(1));
        world.taken().len() == 3
    })
    .await;
    assert!(shown(&world).iter().all(|to| to == MASK));
    world.end([worker]).await;
}

#[tokio::test]
async fn unmasked_data_is_sent_only_where_an_operator_who_may_reveal_says() {
    let world = World::new(|_, _| 200);
    let id = world.subscribe(1).await;
    let url = || Some(TargetUrl::parse("https://own.example.com/").unwrap());
    let change = async |reveal, url, may_reveal| {
        let changes = SubscriptionChanges {
            reveal,
            url,
            may_reveal,
            ..SubscriptionChanges::default()
        };
        manage(&world).change(id, changes).await
    };
    let refused = |result| matches!(result, Err(SubscriptionError::RevealRequired));
    assert!(change(None, url(), false).await.is_ok());
    assert!(refused(change(Some(true), None, false).await));
    assert!(change(Some(true), None, true).await.is_ok());
    assert!(refused(change(None, url(), false).await));
    assert!(refused(change(Some(true), url(), false).await));
    assert!(change(Some(true), None, false).await.is_ok(), "no change");
    assert!(change(Some(true), url(), true).await.is_ok());
    assert!(change(Some(false), url(), false).await.is_ok());
}

#[tokio::test]
async fn changes_are_bound_to_the_version_they_were_derived_from() {
    let world = World::new(|_, _| 200);
    let id = world.subscribe(1).await;
    let before = world.status(id).await.subscription;
    let changes = |version| SubscriptionChanges {
        version,
        ..SubscriptionChanges::default()
    };
    let other = changes(Some(before.version + 1)).based_on(&before);
    assert!(matches!(other, Err(SubscriptionError::Outdated)));
    let bound = changes(None).based_on(&before).unwrap();
    reveal(&world, id, true).await;
    let outdated = manage(&world).change(id, bound).await;
    assert!(matches!(outdated, Err(SubscriptionError::Outdated)));
}
