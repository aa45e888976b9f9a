//! Retrying and replaying deliveries.

use domain::delivery::DeliveryFilter;
use domain::{Delivery, DeliveryKey, DeliveryState};
use ports::subscriptions::MAX_RETRIED;

use super::steps::{
    EventDelivery, claim, claimed, id, listed, pending, record, release, reports, several, status,
    stored,
};
use crate::builders::{delivery, subscription_id, time};

pub async fn an_unknown_delivery_is_none(stores: EventDelivery) {
    let one = delivery(id(), 1, DeliveryState::Dead);
    assert_eq!(stored(&*stores.one, one.key).await, None);
    let lease = claimed(&stores).await;
    assert!(record(&*stores.one, &lease, 1, std::slice::from_ref(&one)).await);
    let subscription = subscription_id(2);
    for other in [
        DeliveryKey {
            event_index: 1,
            ..one.key
        },
        DeliveryKey {
            report_id: 2,
            ..one.key
        },
        DeliveryKey {
            subscription,
            ..one.key
        },
    ] {
        assert_eq!(stored(&*stores.one, other).await, None);
        let retried = stores.one.retry(other, time(9)).await;
        assert!(!retried.expect("the store is there"));
    }
}

pub async fn a_retried_delivery_is_pending_and_keeps_its_history(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().zip(1..);
    let mut all: Vec<_> = states.map(|(state, n)| delivery(id(), n, state)).collect();
    all.push(Delivery {
        body: None,
        ..delivery(id(), 5, DeliveryState::Dead)
    });
    assert!(record(&*stores.one, &lease, 5, &all).await);
    release(&*stores.one, &lease).await;
    let now = time(9);
    let mut left = Vec::new();
    for delivery in all {
        let mut wanted = delivery.clone();
        let done = wanted.retry(now);
        for done in [done, false] {
            let retried = stores.other.retry(delivery.key, now).await;
            assert_eq!(retried.expect("the store is there"), done, "{delivery:?}");
            let found = stored(&*stores.one, delivery.key).await;
            assert_eq!(found.as_ref(), Some(&wanted));
        }
        left.extend(Some(wanted).filter(|it| it.state.is_pending()));
    }
    assert_eq!(claim(&*stores.one).await.pending, pending(&left));
    let found = status(&*stores.one, id()).await;
    assert_eq!((found.pending, found.dead), (3, 1));
}

/// Holds for a single retry, a retry of all, and a replay.
pub async fn a_retried_delivery_is_retried_as_long_as_a_new_one(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let old = |n, state| Delivery {
        retrying_since: time(70),
        cooldown_until: Some(time(80)),
        ..delivery(id(), n, state)
    };
    let all = [
        old(1, DeliveryState::Dead),
        old(2, DeliveryState::Dead),
        old(3, DeliveryState::Retrying),
        old(4, DeliveryState::Dead),
    ];
    assert!(record(&*stores.one, &lease, 4, &all).await);
    for delivery in &all {
        assert_eq!(
            stored(&*stores.other, delivery.key).await.as_ref(),
            Some(delivery)
        );
    }
    let store = &*stores.other;
    assert!(
        store
            .retry(all[0].key, time(90))
            .await
            .expect("it is there")
    );
    let again = Delivery {
        created_at: time(91),
        retrying_since: time(91),
        ..delivery(id(), 4, DeliveryState::Retrying)
    };
    let enqueued = store.enqueue(id(), &[again]).await;
    assert!(enqueued.expect("the store is there"));
    let found = stored(store, all[3].key).await.expect("it is there");
    assert_eq!(found.retrying_since, time(91));
    let retried = store.retry_all(&DeliveryFilter::of(id()), time(92)).await;
    // All but the first, which is due.
    assert_eq!(retried.expect("the store is there"), 3);
    for (delivery, since) in all.iter().zip([90, 92, 92, 92]) {
        let found = stored(&*stores.one, delivery.key)
            .await
            .expect("it is there");
        assert_eq!(
            (found.retrying_since, found.cooldown_until),
            (time(since), None)
        );
        assert_eq!(found.created_at, delivery.created_at);
    }
}

pub async fn retry_all_retries_matching_deliveries(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().cycle();
    let mut all: Vec<_> = (0..40)
        .zip(states)
        .map(|(n, state)| delivery(id(), n, state))
        .collect();
    assert!(record(&*stores.one, &lease, 40, &all).await);
    let any = DeliveryFilter::of(id());
    let dead = DeliveryFilter {
        state: Some(DeliveryState::Dead),
        ..any.clone()
    };
    // Nothing is retried twice.
    for (filter, now, wanted) in [(&dead, 9, 10), (&dead, 9, 0), (&any, 9, 10), (&any, 9, 0)] {
        let retried = stores.other.retry_all(filter, time(now)).await;
        assert_eq!(retried.expect("the store is there"), wanted);
        for delivery in all.iter_mut().filter(|it| filter.passes(it)) {
            delivery.retry(time(now));
        }
        let mut found = listed(&*stores.one, &any, 100).await;
        found.reverse();
        assert_eq!(found, all);
    }
}

pub async fn retry_all_runs_in_steps(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let most = i64::try_from(MAX_RETRIED).expect("small");
    let all = several(0..most + 5, DeliveryState::Dead);
    assert!(record(&*stores.one, &lease, 1, &all).await);
    let dead = DeliveryFilter {
        state: Some(DeliveryState::Dead),
        ..DeliveryFilter::of(id())
    };
    for wanted in [most, 5, 0] {
        let retried = stores.other.retry_all(&dead, time(9)).await;
        let retried = retried.expect("the store is there");
        assert_eq!(i64::try_from(retried).expect("small"), wanted);
        if wanted == most {
            let left = reports(&*stores.one, &dead).await;
            assert!(left.into_iter().rev().eq(most..most + 5));
        }
    }
}

pub async fn enqueued_deliveries_are_pending_at_the_next_claim(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let delivered = several(1..3, DeliveryState::Delivered);
    assert!(record(&*stores.one, &lease, 7, &delivered).await);
    release(&*stores.one, &lease).await;
    let again = [
        several(2..3, DeliveryState::Retrying),
        several(3..5, DeliveryState::Waiting),
    ]
    .concat();
    for _ in 0..2 {
        let enqueued = stores.other.enqueue(id(), &again).await;
        assert!(enqueued.expect("the store is there"));
    }
    let none = stores.other.enqueue(subscription_id(2), &again).await;
    assert!(!none.expect("the store is there"));
    let leased = claim(&*stores.one).await;
    assert_eq!((leased.pending, leased.position.0), (pending(&again), 7));
    assert_eq!(status(&*stores.one, id()).await.pending, 3);
}

pub async fn only_existing_bodies_are_replaced(stores: EventDelivery) {
    let store = &*stores.one;
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().cycle();
    let mut all: Vec<_> = (0..12)
        .zip(states)
        .map(|(n, state)| delivery(id(), n, state))
        .collect();
    assert!(record(store, &lease, 12, &all).await);
    // Some recorded ones, an unknown one, and one of another subscription.
    let other = delivery(subscription_id(2), 1, DeliveryState::Dead).key;
    let keys = all[..8].iter().map(|it| it.key);
    let keys = keys.chain([delivery(id(), 99, DeliveryState::Dead).key]);
    let body = "{\"größe\":\"服务 \\u0000 \\\"👍\"}";
    let bodies: Vec<_> = keys.map(|key| (key, body.to_owned())).collect();
    for _ in 0..2 {
        let replaced = stores.other.replace_bodies(id(), &bodies).await;
        assert_eq!(replaced.expect("the store is there"), 6);
    }
    for delivery in &mut all[..8] {
        delivery.body = delivery.body.take().map(|_| body.to_owned());
    }
    for delivery in &all {
        assert_eq!(stored(store, delivery.key).await.as_ref(), Some(delivery));
    }
    let bodies = [(other, body.to_owned())];
    let replaced = stores
        .other
        .replace_bodies(other.subscription, &bodies)
        .await;
    assert_eq!(replaced.expect("the store is there"), 0);
    // A worker that has the old bodies in memory must not be able to record them.
    assert!(!record(store, &lease, 12, &all).await);
}
