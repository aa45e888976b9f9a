//! Subscriptions: added, found, changed and removed.

use domain::crypto::SealedSecret;
use domain::delivery::DeliveryFilter;
use domain::subscription::{Description, PauseReason, SubscriptionSecret, SubscriptionState};
use domain::trouble::OperatorEventType;
use domain::webhook::TargetUrl;
use domain::{DeliveryState, EventFilter, EventType, LogPosition, Subscription};
use ports::subscriptions::{Progress, SubscriptionStatus};
use ports::{DeliveryQueue, SubscriptionStore};
use tokio::task::JoinSet;

use super::steps::{
    EventDelivery, add, change, claim, claimed, find, id, listed, record, release, remove, several,
    status, stored,
};
use crate::builders::{channel_id, failed_attempt, subscription, subscription_id, time};

/// Returns a subscription that uses everything a subscription can have.
fn full(number: u128) -> Subscription {
    let secret = |byte, at| SubscriptionSecret {
        sealed: SealedSecret(vec![byte; 90]),
        created_at: time(at),
    };
    let url = format!("https://example.com:8443/ä?token={}", "x".repeat(2_000));
    Subscription {
        url: TargetUrl::parse(&url.replace('ä', "%C3%A4")).expect("a target"),
        filter: EventFilter {
            channels: Some(["Tenant-7_main~x.1", "1", "a"].map(channel_id).into()),
            types: Some(EventType::ALL.into()),
            operator_types: OperatorEventType::ALL.into(),
        },
        reveal: true,
        description: Description::parse("Größe & 服务 'desk' \"7\" {1,2} 👍").expect("one"),
        state: SubscriptionState::Paused {
            reason: PauseReason::Pruned,
            since: time(253_402_300_799_999_999),
        },
        secrets: domain::subscription::SubscriptionSecrets::from(secret(0, -1))
            .replaced_by(secret(255, 7), time(99)),
        created_at: time(-1_234_567),
        updated_at: time(7_654_321),
        version: 41,
        ..subscription(number)
    }
}

fn fresh(subscription: &Subscription, position: i64) -> SubscriptionStatus {
    SubscriptionStatus {
        subscription: subscription.clone(),
        position: LogPosition(position),
        pending: 0,
        dead: 0,
        last_delivered_at: None,
        last_error: None,
        failing_since: None,
        leased_by: None,
    }
}

pub async fn a_subscription_is_found_as_it_was_added(stores: EventDelivery) {
    let nothing = EventFilter {
        channels: Some([].into()),
        types: Some([].into()),
        ..EventFilter::default()
    };
    let ended = Subscription {
        state: SubscriptionState::Ended { since: time(5) },
        filter: nothing,
        ..subscription(u128::MAX)
    };
    let all = [(full(2), i64::MAX), (subscription(1), 0), (ended, 77)];
    for (subscription, from) in &all {
        let from = LogPosition(*from);
        let added = SubscriptionStore::add(&*stores.one, subscription, from).await;
        assert!(added.expect("the store is there"));
    }
    for (subscription, from) in &all {
        assert_eq!(
            status(&*stores.other, subscription.id).await,
            fresh(subscription, *from)
        );
    }
}

pub async fn an_unknown_subscription_is_none(stores: EventDelivery) {
    assert_eq!(find(&*stores.one, id()).await, None);
    assert!(!change(&*stores.one, &subscription(1)).await);
    assert!(!remove(&*stores.one, id()).await);
    add(&*stores.one, &subscription(2)).await;
    assert_eq!(find(&*stores.other, id()).await, None);
}

pub async fn subscriptions_are_listed_oldest_first(stores: EventDelivery) {
    let list = stores.one.list().await.expect("the store is there");
    assert_eq!(list, []);
    for (number, at) in [(1, 30), (u128::MAX, 20), (3, 20), (2, 20), (4, 10)] {
        let subscription = Subscription {
            created_at: time(at),
            ..subscription(number)
        };
        add(&*stores.one, &subscription).await;
    }
    let list = stores.other.list().await.expect("the store is there");
    let found: Vec<_> = list.iter().map(|it| it.subscription.id).collect();
    assert_eq!(found, [4, 2, 3, u128::MAX, 1].map(subscription_id));
    for each in list {
        assert_eq!(status(&*stores.one, each.subscription.id).await, each);
    }
}

pub async fn an_id_is_added_once_and_never_reused(stores: EventDelivery) {
    let store = &*stores.one;
    add(store, &subscription(1)).await;
    let again = || async {
        let added = SubscriptionStore::add(&*stores.other, &full(1), LogPosition(9)).await;
        added.expect("the store is there")
    };
    assert!(!again().await);
    assert_eq!(status(store, id()).await, fresh(&subscription(1), 0));
    assert!(remove(store, id()).await);
    assert!(!again().await);
    assert_eq!(find(store, id()).await, None);
}

pub async fn a_change_replaces_everything_but_the_creation_time(stores: EventDelivery) {
    let store = &*stores.one;
    add(store, &subscription(1)).await;
    let changed = Subscription {
        version: 2,
        ..full(1)
    };
    assert!(change(store, &changed).await);
    let wanted = Subscription {
        created_at: subscription(1).created_at,
        ..changed
    };
    assert_eq!(status(&*stores.other, id()).await, fresh(&wanted, 0));
    let back = Subscription {
        version: 3,
        ..subscription(1)
    };
    assert!(change(&*stores.other, &back).await);
    assert_eq!(status(store, id()).await, fresh(&back, 0));
}

pub async fn a_change_of_another_version_is_refused(stores: EventDelivery) {
    let store = &*stores.one;
    add(store, &full(1)).await;
    for version in [i64::MIN, 1, 40, 41, 43, i64::MAX] {
        let changed = Subscription {
            version,
            ..subscription(1)
        };
        assert!(!change(store, &changed).await, "{version}");
    }
    assert_eq!(status(store, id()).await, fresh(&full(1), 0));
}

pub async fn one_of_many_racing_changes_succeeds(stores: EventDelivery) {
    add(&*stores.one, &subscription(1)).await;
    let mut racers = JoinSet::new();
    for racer in 0..16 {
        let store = stores.nth(racer);
        let changed = Subscription {
            description: Description::parse(&format!("racer {racer}")).expect("one"),
            version: 2,
            ..subscription(1)
        };
        racers.spawn(async move { change(&*store, &changed).await.then_some(changed) });
    }
    let made: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    let [made] = &made[..] else {
        panic!("{made:?}");
    };
    assert_eq!(status(&*stores.one, id()).await, fresh(made, 0));
}

pub async fn a_reactivated_subscription_is_not_failing(stores: EventDelivery) {
    let store = &*stores.one;
    let failing_since = Some(time(5));
    let lease = claimed(&stores).await;
    let progress = Progress {
        position: LogPosition(1),
        failing_since,
        deliveries: &[],
    };
    let recorded = DeliveryQueue::record(store, &lease, progress).await;
    assert!(recorded.expect("the store is there"));
    let failing = SubscriptionState::Paused {
        reason: PauseReason::Failing,
        since: time(6),
    };
    // Versions 2, 3 and 4; the last one is active before it.
    let steps = [
        (SubscriptionState::Active, failing_since),
        (failing, failing_since),
        (SubscriptionState::Active, None),
    ];
    for ((state, wanted), version) in steps.into_iter().zip(2..) {
        let changed = Subscription {
            state,
            version,
            ..subscription(1)
        };
        assert!(change(store, &changed).await);
        assert_eq!(status(store, id()).await.failing_since, wanted);
    }
}

pub async fn removing_a_subscription_removes_its_deliveries(stores: EventDelivery) {
    let store = &*stores.one;
    let lease = claimed(&stores).await;
    let deliveries = several(1..4, DeliveryState::Dead);
    assert!(record(store, &lease, 3, &deliveries).await);
    assert!(remove(store, id()).await);
    assert!(!remove(&*stores.other, id()).await);
    for store in [store, &*stores.other] {
        assert_eq!(find(store, id()).await, None);
        assert_eq!(store.list().await.expect("the store is there"), []);
        assert_eq!(listed(store, &DeliveryFilter::of(id()), 10).await, []);
        assert_eq!(stored(store, deliveries[0].key).await, None);
    }
    let now = time(9);
    let (all, one) = (DeliveryFilter::of(id()), deliveries[0].key);
    assert!(!store.retry(one, now).await.expect("the store is there"));
    assert_eq!(store.retry_all(&all, now).await.expect("it is there"), 0);
    let enqueued = store.enqueue(id(), &deliveries).await;
    assert!(!enqueued.expect("the store is there"));
    let rewound = store.rewind(id(), LogPosition::START).await;
    assert!(!rewound.expect("the store is there"));
}

pub async fn a_status_counts_pending_and_dead_deliveries(stores: EventDelivery) {
    let store = &*stores.one;
    let lease = claimed(&stores).await;
    assert_eq!(
        status(&*stores.other, id()).await.leased_by.as_deref(),
        Some("worker")
    );
    let deliveries = [
        several(1..5, DeliveryState::Delivered),
        several(5..7, DeliveryState::Retrying),
        several(7..10, DeliveryState::Waiting),
        several(10..11, DeliveryState::Dead),
    ];
    assert!(record(store, &lease, 10, &deliveries.concat()).await);
    release(store, &lease).await;
    let wanted = SubscriptionStatus {
        pending: 5,
        dead: 1,
        last_delivered_at: deliveries[0][0].finished_at,
        last_error: Some(failed_attempt(1_795_370_000_000_001)),
        ..fresh(&subscription(1), 10)
    };
    assert_eq!(status(&*stores.other, id()).await, wanted);
    let leased = claim(store).await;
    let retried = several(5..11, DeliveryState::Delivered);
    assert!(record(store, &leased.lease, 10, &retried).await);
    let found = status(&*stores.other, id()).await;
    assert_eq!((found.pending, found.dead), (0, 0));
}
