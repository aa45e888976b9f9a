//! Leases: claimed, renewed, released and expired.

use std::time::Duration;

use domain::Subscription;
use domain::subscription::{PauseReason, SubscriptionState};
use ports::subscriptions::Renewal;
use tokio::task::JoinSet;

use super::steps::{
    EventDelivery, LONG, add, change, claim, claimed, id, record, release, renew, status, try_claim,
};
use crate::builders::{subscription, subscription_id, time};

pub async fn a_subscription_is_claimed_by_one_worker(stores: EventDelivery) {
    assert_eq!(try_claim(&*stores.one, LONG).await, None);
    add(&*stores.one, &subscription(1)).await;
    let leased = claim(&*stores.one).await;
    assert_eq!(leased.lease.subscription, id());
    assert_eq!(leased.subscription, subscription(1));
    assert_eq!((leased.pending.len(), leased.more_pending), (0, false));
    for store in [&*stores.one, &*stores.other] {
        assert_eq!(try_claim(store, LONG).await, None);
    }
    assert_eq!(renew(&*stores.other, &leased.lease).await, Renewal::Renewed);
}

pub async fn paused_and_ended_subscriptions_are_not_claimed(stores: EventDelivery) {
    let since = time(5);
    let paused = PauseReason::ALL.map(|reason| SubscriptionState::Paused { reason, since });
    let states = paused
        .into_iter()
        .chain([SubscriptionState::Ended { since }]);
    for (state, number) in states.zip(2..) {
        let subscription = Subscription {
            state,
            ..subscription(number)
        };
        add(&*stores.one, &subscription).await;
    }
    assert_eq!(try_claim(&*stores.one, LONG).await, None);
    let resumed = Subscription {
        version: 2,
        ..subscription(3)
    };
    assert!(change(&*stores.one, &resumed).await);
    assert_eq!(claim(&*stores.other).await.subscription, resumed);
    assert_eq!(try_claim(&*stores.one, LONG).await, None);
}

pub async fn the_subscription_that_waited_longest_is_claimed_first(stores: EventDelivery) {
    for number in 1..=3 {
        add(&*stores.one, &subscription(number)).await;
        // The store's clock may have a resolution of one millisecond.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for number in [1, 2, 3, 1, 2, 3] {
        let leased = claim(&*stores.other).await;
        assert_eq!(leased.lease.subscription, subscription_id(number));
        release(&*stores.one, &leased.lease).await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

pub async fn an_expired_lease_can_be_claimed(stores: EventDelivery) {
    add(&*stores.one, &subscription(1)).await;
    let first = try_claim(&*stores.one, Duration::from_millis(1)).await;
    let first = first.expect("it is free").lease;
    let second = loop {
        match try_claim(&*stores.other, LONG).await {
            Some(leased) => break leased.lease,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    };
    assert_eq!(second.subscription, first.subscription);
    assert_eq!(renew(&*stores.one, &first).await, Renewal::Lost);
    assert!(!record(&*stores.one, &first, 1, &[]).await);
    assert_eq!(renew(&*stores.one, &second).await, Renewal::Renewed);
}

pub async fn an_expired_lease_is_held_until_another_worker_claims_it(stores: EventDelivery) {
    add(&*stores.one, &subscription(1)).await;
    let leased = try_claim(&*stores.one, Duration::ZERO).await;
    let lease = leased.expect("it is free").lease;
    assert_eq!(status(&*stores.one, id()).await.leased_by, None);
    assert!(record(&*stores.one, &lease, 1, &[]).await);
    assert_eq!(renew(&*stores.one, &lease).await, Renewal::Renewed);
    assert_eq!(try_claim(&*stores.other, LONG).await, None);
}

pub async fn a_renewed_lease_lasts_from_its_renewal(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    // Renewing can also shorten it.
    let renewal = stores.other.renew(&lease, Duration::ZERO).await;
    assert_eq!(renewal.expect("the store is there"), Renewal::Renewed);
    let next = claim(&*stores.one).await.lease;
    assert_eq!(renew(&*stores.one, &lease).await, Renewal::Lost);
    assert_eq!(renew(&*stores.one, &next).await, Renewal::Renewed);
}

pub async fn a_released_subscription_can_be_claimed_immediately(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    release(&*stores.one, &lease).await;
    assert_eq!(status(&*stores.one, id()).await.leased_by, None);
    assert_eq!(renew(&*stores.one, &lease).await, Renewal::Lost);
    assert!(!record(&*stores.one, &lease, 1, &[]).await);
    assert_eq!(claim(&*stores.other).await.lease.subscription, id());
}

pub async fn only_the_last_lease_can_be_released(stores: EventDelivery) {
    let first = claimed(&stores).await;
    release(&*stores.one, &first).await;
    let second = claim(&*stores.other).await.lease;
    for _ in 0..2 {
        release(&*stores.one, &first).await;
        assert_eq!(try_claim(&*stores.one, LONG).await, None);
    }
    assert_eq!(renew(&*stores.other, &second).await, Renewal::Renewed);
}

pub async fn every_lease_has_a_greater_token(stores: EventDelivery) {
    let mut last = claimed(&stores).await;
    for number in 0..10 {
        release(&*stores.one, &last).await;
        let next = claim(&*stores.nth(number)).await.lease;
        assert!(last.token < next.token);
        last = next;
    }
}

pub async fn racing_claims_get_different_subscriptions(stores: EventDelivery) {
    const SUBSCRIPTIONS: usize = 12;
    for number in 1..=SUBSCRIPTIONS {
        add(&*stores.one, &subscription(number as u128)).await;
    }
    for _ in 0..5 {
        let mut racers = JoinSet::new();
        for racer in 0..32 {
            let store = stores.nth(racer);
            racers.spawn(async move {
                let mut leases = Vec::new();
                while let Some(leased) = try_claim(&*store, LONG).await {
                    leases.push(leased.lease);
                }
                leases
            });
        }
        let leases: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
        let mut ids: Vec<_> = leases.iter().map(|lease| lease.subscription).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((leases.len(), ids.len()), (SUBSCRIPTIONS, SUBSCRIPTIONS));
        for (number, lease) in leases.iter().enumerate() {
            assert_eq!(renew(&*stores.nth(number), lease).await, Renewal::Renewed);
            release(&*stores.nth(number), lease).await;
        }
    }
}

pub async fn finishing_sets_the_state_and_releases_the_lease(stores: EventDelivery) {
    let mut lease = claimed(&stores).await;
    let since = time(1_795_370_999_000_000);
    let reason = PauseReason::Failing;
    let states = [
        SubscriptionState::Paused { reason, since },
        SubscriptionState::Ended { since },
    ];
    for (state, version) in states.into_iter().zip([2, 4]) {
        let finished = stores.one.finish(&lease, state).await;
        assert!(finished.expect("the store is there"));
        let again = stores.one.finish(&lease, state).await;
        assert!(!again.expect("the store is there"));
        let found = status(&*stores.other, id()).await;
        let wanted = Subscription {
            state,
            updated_at: since,
            version,
            ..subscription(1)
        };
        assert_eq!((found.subscription, found.leased_by), (wanted, None));
        assert_eq!(renew(&*stores.one, &lease).await, Renewal::Lost);
        assert_eq!(try_claim(&*stores.one, LONG).await, None);
        let resumed = Subscription {
            version: version + 1,
            ..subscription(1)
        };
        assert!(change(&*stores.other, &resumed).await);
        lease = claim(&*stores.one).await.lease;
    }
}
