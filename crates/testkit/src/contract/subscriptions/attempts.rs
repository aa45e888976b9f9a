//! Counting attempts.

use domain::delivery::{Attempt, Attempts};
use domain::{Delivery, DeliveryState, SubscriptionId};
use ports::subscriptions::{MAX_RECENT, RecentAttempts};

use super::EventDeliveryStore;
use super::steps::{EventDelivery, add, claim, claimed, id, record, remove};
use crate::builders::{delivery, failed_attempt, subscription, subscription_id, time};

const NOW: i64 = 1_795_370_000_000_000;
const MINUTE: i64 = 60 * 1_000_000;

async fn counted(
    store: &dyn EventDeliveryStore,
    subscription: SubscriptionId,
    since: i64,
) -> RecentAttempts {
    let counted = store.attempts(subscription, time(since)).await;
    counted.expect("the store is there")
}

fn recent(since: i64, delivered: u64, failed: u64) -> RecentAttempts {
    RecentAttempts {
        since: time(since),
        delivered,
        failed,
    }
}

/// Returns a delivery with attempts at these times, the last of which succeeded if the state is
/// `Delivered`.
fn tried(report: i64, state: DeliveryState, at: &[i64]) -> Delivery {
    let mut attempts = Attempts::default();
    for at in at {
        attempts.push(failed_attempt(*at));
    }
    let mut delivery = delivery(id(), report, state);
    if state == DeliveryState::Delivered {
        attempts = Attempts::default();
        let (last, earlier) = at.split_last().expect("it was tried");
        for at in earlier {
            attempts.push(failed_attempt(*at));
        }
        attempts.push(Attempt {
            error: None,
            status: Some(204),
            ..failed_attempt(*last)
        });
    }
    delivery.attempts = attempts;
    let last = at.last().filter(|_| !state.is_pending());
    delivery.finished_at = last.map(|at| time(at + 5));
    delivery
}

pub async fn attempts_are_counted_by_outcome_and_start_time(stores: EventDelivery) {
    assert_eq!(counted(&*stores.one, id(), NOW).await, recent(NOW, 0, 0));
    let lease = claimed(&stores).await;
    let deliveries = [
        tried(1, DeliveryState::Delivered, &[NOW - 9 * MINUTE]),
        tried(2, DeliveryState::Delivered, &[NOW - MINUTE]),
        tried(
            3,
            DeliveryState::Delivered,
            &[NOW - 9 * MINUTE, NOW - MINUTE, NOW],
        ),
        tried(4, DeliveryState::Dead, &[NOW - 5, NOW + 5]),
        tried(
            5,
            DeliveryState::Retrying,
            &[NOW - 9 * MINUTE, NOW + 1, NOW + 2],
        ),
        tried(6, DeliveryState::Waiting, &[]),
    ];
    assert!(record(&*stores.one, &lease, 7, &deliveries).await);
    for (since, delivered, failed) in [
        (NOW - 60 * MINUTE, 3, 7),
        (NOW - 9 * MINUTE, 3, 7),
        (NOW - 9 * MINUTE + 1, 2, 5),
        (NOW, 1, 3),
        (NOW + 1, 0, 3),
        (NOW + 6, 0, 0),
    ] {
        let found = counted(&*stores.other, id(), since).await;
        assert_eq!(found, recent(since, delivered, failed), "since {since}");
    }
}

pub async fn attempts_of_other_subscriptions_are_not_counted(stores: EventDelivery) {
    for number in 1..3 {
        add(&*stores.one, &subscription(number)).await;
        let lease = claim(&*stores.one).await.lease;
        let mut done = tried(1, DeliveryState::Delivered, &[NOW, NOW + 1]);
        done.key.subscription = subscription_id(number);
        let mut pending = tried(2, DeliveryState::Retrying, &[NOW]);
        pending.key.subscription = subscription_id(number);
        assert!(record(&*stores.one, &lease, 1, &[done, pending]).await);
    }
    for number in 1..3 {
        let found = counted(&*stores.one, subscription_id(number), NOW).await;
        assert_eq!(found, recent(NOW, 1, 2));
    }
    assert!(remove(&*stores.one, id()).await);
    assert_eq!(counted(&*stores.one, id(), NOW).await, recent(NOW, 0, 0));
    let other = counted(&*stores.one, subscription_id(2), NOW).await;
    assert_eq!(other, recent(NOW, 1, 2));
}

pub async fn the_counted_window_is_truncated_at_its_limit(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let most = i64::try_from(MAX_RECENT).expect("small");
    let deliveries: Vec<_> = (1..=most)
        .map(|n| tried(n, DeliveryState::Delivered, &[NOW + n * 10]))
        .collect();
    assert!(record(&*stores.one, &lease, 1, &deliveries).await);
    let found = counted(&*stores.one, id(), NOW).await;
    assert_eq!(found, recent(NOW, MAX_RECENT as u64, 0));
    let pending = tried(0, DeliveryState::Retrying, &[NOW, NOW + 25]);
    let more = [1, 2].map(|n| tried(most + n, DeliveryState::Delivered, &[NOW + (most + n) * 10]));
    let more: Vec<_> = more.into_iter().chain([pending]).collect();
    assert!(record(&*stores.one, &lease, 1, &more).await);
    // The pending delivery is not counted: its last attempt, at 25, is before the window.
    let found = counted(&*stores.one, id(), NOW).await;
    assert_eq!(found, recent(NOW + 26, MAX_RECENT as u64, 0));
    let found = counted(&*stores.one, id(), NOW + most * 10).await;
    assert_eq!(found, recent(NOW + most * 10, 3, 0));
}
