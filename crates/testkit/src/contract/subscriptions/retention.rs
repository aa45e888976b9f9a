//! Removing and erasing deliveries.

use domain::delivery::DeliveryFilter;
use domain::{Delivery, DeliveryState};
use ports::maintenance::Pruning;

use super::steps::{
    EventDelivery, add, claim, claimed, id, listed, pending, prune, record, release, remove,
    reports, several, status, stored,
};
use crate::builders::{delivery, key, subscription, subscription_id, time};

fn pruning(rows: u64, done: bool) -> Pruning {
    Pruning {
        rows,
        days: 0,
        done,
    }
}

pub async fn finished_deliveries_are_pruned_oldest_first(stores: EventDelivery) {
    let store = &*stores.one;
    assert_eq!(prune(store, 100, 1).await, pruning(0, true));
    let lease = claimed(&stores).await;
    let states = [DeliveryState::Delivered, DeliveryState::Dead].into_iter();
    let finished = (0..20).zip(states.cycle()).map(|(n, state)| Delivery {
        // The completion times are not in the order of the reports.
        finished_at: Some(time(n * 7 % 20)),
        ..delivery(id(), n, state)
    });
    let finished: Vec<_> = finished.collect();
    assert!(record(store, &lease, 20, &finished).await);
    let left_from = |from| {
        let left = finished.iter().rev();
        let left = left.filter(move |it| it.finished_at >= Some(time(from)));
        left.map(|it| it.key.report_id).collect::<Vec<_>>()
    };
    for (before, budget, wanted, left) in [
        (0, 100, pruning(0, true), 0),
        (10, 4, pruning(4, false), 4),
        (10, 100, pruning(6, true), 10),
        (10, 100, pruning(0, true), 10),
        (12, 2, pruning(2, true), 12),
        (100, 100, pruning(8, true), 20),
    ] {
        let mut pruned = prune(&*stores.other, before, budget).await;
        // A step that used its whole budget may report that there is more.
        if pruned.rows == u64::from(budget) && wanted.done {
            pruned.done = true;
        }
        assert_eq!(pruned, wanted, "before {before}, at most {budget}");
        let found = reports(store, &DeliveryFilter::of(id())).await;
        assert_eq!(found, left_from(left));
    }
}

pub async fn pending_deliveries_are_never_pruned(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let mut left = several(1..3, DeliveryState::Retrying);
    left.extend(several(3..5, DeliveryState::Waiting));
    for delivery in &mut left {
        delivery.created_at = time(-1);
    }
    assert!(record(&*stores.one, &lease, 5, &left).await);
    let pruned = prune(&*stores.one, 253_402_300_799_999_999, 100).await;
    assert_eq!(pruned, pruning(0, true));
    let mut found = listed(&*stores.one, &DeliveryFilter::of(id()), 10).await;
    found.reverse();
    assert_eq!(found, left);
    release(&*stores.one, &lease).await;
    assert_eq!(claim(&*stores.other).await.pending, pending(&left));
}

pub async fn deliveries_of_removed_subscriptions_are_pruned_first(stores: EventDelivery) {
    let store = &*stores.one;
    for number in 1..=2 {
        add(store, &subscription(number)).await;
        let leased = claim(store).await;
        let states = DeliveryState::ALL.into_iter().cycle();
        let all: Vec<_> = (0..10)
            .zip(states)
            .map(|(n, state)| Delivery {
                finished_at: (!state.is_pending()).then(|| time(5)),
                ..delivery(leased.lease.subscription, n, state)
            })
            .collect();
        assert!(record(store, &leased.lease, 10, &all).await);
    }
    assert!(remove(store, id()).await);
    assert_eq!(prune(&*stores.other, 100, 8).await, pruning(8, false));
    let others = DeliveryFilter::of(subscription_id(2));
    assert_eq!(reports(store, &others).await.len(), 10);
    assert_eq!(prune(&*stores.other, 5, 100).await, pruning(2, true));
    assert_eq!(reports(store, &others).await.len(), 10);
    assert_eq!(prune(&*stores.other, 6, 100).await, pruning(5, true));
    assert_eq!(reports(store, &others).await.len(), 5);
    assert_eq!(prune(&*stores.other, 6, 100).await, pruning(0, true));
}

pub async fn erased_deliveries_are_not_sent(stores: EventDelivery) {
    let store = &*stores.one;
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().cycle();
    let mut all: Vec<_> = (0..24)
        .zip(states)
        .map(|(n, state)| Delivery {
            message: key(["SM1", "SM2", "sm1"][usize::try_from(n % 3).expect("small")]),
            ..delivery(id(), n, state)
        })
        .collect();
    assert!(record(store, &lease, 24, &all).await);
    let now = time(77);
    let erased = [key("SM1"), key("SM9"), key("SM1")];
    for wanted in [6, 0] {
        let erased_rows = stores.other.erase_deliveries(&erased, now).await;
        assert_eq!(erased_rows.expect("the store is there"), wanted);
    }
    for delivery in &mut all {
        if delivery.message == key("SM1") && delivery.state != DeliveryState::Delivered {
            delivery.erase(now);
        }
        let found = stored(&*stores.other, delivery.key).await;
        assert_eq!(found.as_ref(), Some(&*delivery));
        let may = delivery.clone().retry(time(78));
        let retried = store.retry(delivery.key, time(78)).await;
        assert_eq!(retried.expect("the store is there"), may);
    }
    assert_eq!(status(store, id()).await.dead, 6);
    assert!(!record(store, &lease, 24, &all).await);
    release(store, &lease).await;
    let pending = claim(store).await.pending;
    assert!(pending.iter().all(|it| it.message != key("SM1")));
    assert_eq!(pending.len(), 12);
}
