//! Revoked leases, and the writes that are refused without one.

use std::time::Duration;

use domain::delivery::DeliveryFilter;
use domain::subscription::SubscriptionState;
use domain::{DeliveryState, LogPosition, Subscription};
use ports::DeliveryQueue;
use ports::subscriptions::{Lease, Progress, Renewal};
use tokio::task::JoinSet;

use super::EventDeliveryStore;
use super::steps::{
    EventDelivery, LONG, add, change, claim, claimed, find, id, listed, record, release, remove,
    renew, several, status, stored, try_claim,
};
use crate::builders::{delivery, key, subscription, time};

/// An operation that revokes the lease.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Change,
    Retry,
    RetryAll,
    Enqueue,
    Rewind,
    Erase,
    Remove,
}

const LOSSES: [Loss; 7] = [
    Loss::Change,
    Loss::Retry,
    Loss::RetryAll,
    Loss::Enqueue,
    Loss::Rewind,
    Loss::Erase,
    Loss::Remove,
];

async fn cause(loss: Loss, store: &dyn EventDeliveryStore) {
    let dead = delivery(id(), 1, DeliveryState::Dead);
    let now = time(9);
    match loss {
        Loss::Change => {
            let before = status(store, id()).await.subscription;
            let changed = Subscription {
                version: before.version + 1,
                ..before
            };
            assert!(change(store, &changed).await);
        }
        Loss::Retry => assert!(store.retry(dead.key, now).await.expect("it is there")),
        Loss::RetryAll => {
            let retried = store.retry_all(&DeliveryFilter::of(id()), now).await;
            assert_eq!(retried.expect("the store is there"), 1);
        }
        Loss::Enqueue => assert!(store.enqueue(id(), &[dead]).await.expect("it is there")),
        Loss::Rewind => {
            let rewound = store.rewind(id(), LogPosition::START).await;
            assert!(rewound.expect("the store is there"));
        }
        // Of a message without pending deliveries.
        Loss::Erase => {
            let erased_rows = store.erase_deliveries(&[key("SM0")], now).await;
            assert_eq!(erased_rows.expect("the store is there"), 0);
        }
        Loss::Remove => assert!(remove(store, id()).await),
    }
}

pub async fn changes_by_others_revoke_the_lease(stores: EventDelivery) {
    let store = &*stores.one;
    add(store, &subscription(1)).await;
    for loss in LOSSES {
        let lease = claim(store).await.lease;
        assert!(record(store, &lease, 7, &several([1], DeliveryState::Dead)).await);
        assert_eq!(renew(store, &lease).await, Renewal::Renewed);
        cause(loss, &*stores.other).await;
        assert_eq!(renew(store, &lease).await, Renewal::Lost, "{loss:?}");
        assert!(!record(store, &lease, 8, &[]).await, "{loss:?}");
        let finished = store.finish(&lease, SubscriptionState::Active).await;
        assert!(!finished.expect("the store is there"), "{loss:?}");
        release(store, &lease).await;
    }
    assert_eq!(find(store, id()).await, None);
}

pub async fn a_lost_lease_blocks_claims_until_it_is_released(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    cause(Loss::Rewind, &*stores.other).await;
    cause(Loss::Change, &*stores.other).await;
    assert_eq!(try_claim(&*stores.other, LONG).await, None);
    assert_eq!(
        status(&*stores.one, id()).await.leased_by.as_deref(),
        Some("worker")
    );
    release(&*stores.one, &lease).await;
    let next = claim(&*stores.other).await.lease;
    assert!(lease.token < next.token);
    assert_eq!(renew(&*stores.other, &next).await, Renewal::Renewed);
}

pub async fn operations_without_effect_do_not_revoke_the_lease(stores: EventDelivery) {
    let (store, other) = (&*stores.one, &*stores.other);
    let lease = claimed(&stores).await;
    let delivered = several([1], DeliveryState::Delivered);
    assert!(record(store, &lease, 7, &delivered).await);
    assert!(!change(other, &subscription(1)).await);
    let now = time(9);
    for key in [&delivered[0], &delivery(id(), 2, DeliveryState::Dead)].map(|it| it.key) {
        assert!(!other.retry(key, now).await.expect("the store is there"));
    }
    let retried = other.retry_all(&DeliveryFilter::of(id()), now).await;
    assert_eq!(retried.expect("the store is there"), 0);
    other.list().await.expect("the store is there");
    assert_eq!(try_claim(other, LONG).await, None);
    assert_eq!(renew(store, &lease).await, Renewal::Renewed);
    assert!(record(store, &lease, 8, &delivered).await);
}

pub async fn nothing_is_written_without_the_lease(stores: EventDelivery) {
    let store = &*stores.one;
    let lease = claimed(&stores).await;
    assert!(record(store, &lease, 7, &several([1], DeliveryState::Dead)).await);
    cause(Loss::Change, store).await;
    let (before, kept_before) = (
        status(store, id()).await,
        listed(store, &DeliveryFilter::of(id()), 10).await,
    );
    let deliveries = several(1..4, DeliveryState::Delivered);
    let progress = Progress {
        position: LogPosition(9),
        failing_since: Some(time(5)),
        deliveries: &deliveries,
    };
    let made_up = [-1, 0, 1].map(|token| Lease {
        token: lease.token + token,
        ..lease
    });
    let elsewhere = Lease {
        subscription: crate::builders::subscription_id(2),
        ..lease
    };
    for lease in made_up.iter().chain([&elsewhere]) {
        let recorded = DeliveryQueue::record(&*stores.other, lease, progress).await;
        assert!(!recorded.expect("the store is there"));
    }
    assert_eq!(status(store, id()).await, before);
    assert_eq!(
        listed(store, &DeliveryFilter::of(id()), 10).await,
        kept_before
    );
    assert_eq!(stored(store, deliveries[2].key).await, None);
}

pub async fn racing_workers_never_share_a_lease(stores: EventDelivery) {
    const STEPS: i64 = 40;
    add(&*stores.one, &subscription(1)).await;
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let store = stores.nth(racer);
        racers.spawn(async move {
            let mut written = 0;
            loop {
                // The lease expires at once: a slow racer has lost it.
                let Some(leased) = try_claim(&*store, Duration::ZERO).await else {
                    continue;
                };
                let next = leased.position.0 + 1;
                if next > STEPS {
                    return written;
                }
                let delivery = several([next], DeliveryState::Delivered);
                written += i64::from(record(&*store, &leased.lease, next, &delivery).await);
            }
        });
    }
    let written: i64 = racers.join_all().await.into_iter().sum();
    assert_eq!(written, STEPS, "each step is taken once");
    let listed = listed(&*stores.one, &DeliveryFilter::of(id()), 100).await;
    let found = listed.iter().rev().map(|it| it.key.report_id);
    assert!(found.eq(1..=STEPS));
}
