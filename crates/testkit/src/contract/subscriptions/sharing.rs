//! The fair shares of several workers.

use std::time::Duration;

use domain::Subscription;
use domain::subscription::{PauseReason, SubscriptionState};
use ports::subscriptions::{Lease, Renewal};
use tokio::task::JoinSet;

use super::EventDeliveryStore;
use super::steps::{EventDelivery, LONG, add, change, claim_as, record, release, renew};
use crate::builders::{subscription, time};

async fn add_some(store: &dyn EventDeliveryStore, count: u128) {
    for number in 1..=count {
        add(store, &subscription(number)).await;
    }
}

/// Claims as much as there is for a worker.
async fn claim_all(store: &dyn EventDeliveryStore, worker: &str) -> Vec<Lease> {
    let mut leases = Vec::new();
    while let Some(leased) = claim_as(store, worker, LONG).await {
        leases.push(leased.lease);
    }
    leases
}

/// Renews leases and gives back what is too much. Those that were kept.
async fn renew_all(store: &dyn EventDeliveryStore, leases: Vec<Lease>) -> Vec<Lease> {
    let mut over_quota = Vec::new();
    let mut kept = Vec::new();
    for lease in leases {
        match renew(store, &lease).await {
            Renewal::Renewed => kept.push(lease),
            Renewal::OverQuota => over_quota.push(lease),
            Renewal::Lost => panic!("{lease:?} was lost"),
        }
    }
    for lease in over_quota {
        assert_eq!(renew(store, &lease).await, Renewal::OverQuota);
        assert!(record(store, &lease, 1, &[]).await, "it is held");
        release(store, &lease).await;
    }
    kept
}

pub async fn active_workers_share_all_subscriptions(stores: EventDelivery) {
    add_some(&*stores.one, 5).await;
    let first = claim_all(&*stores.one, "a").await;
    assert_eq!(first.len(), 5);
    let first = renew_all(&*stores.one, first).await;
    assert_eq!(first.len(), 5, "there is no other worker");

    assert_eq!(claim_as(&*stores.other, "b", LONG).await, None);
    let first = renew_all(&*stores.one, first).await;
    assert_eq!(first.len(), 3);
    assert_eq!(claim_as(&*stores.one, "a", LONG).await, None);
    let second = claim_all(&*stores.other, "b").await;
    assert_eq!(second.len(), 2);
    assert_eq!(renew_all(&*stores.one, first.clone()).await, first);
    assert_eq!(renew_all(&*stores.other, second.clone()).await, second);

    assert_eq!(claim_as(&*stores.one, "c", LONG).await, None);
    let first = renew_all(&*stores.one, first).await;
    let third = claim_all(&*stores.one, "c").await;
    assert_eq!([first.len(), second.len(), third.len()], [2, 2, 1]);
}

pub async fn fair_shares_are_rounded_up(stores: EventDelivery) {
    add_some(&*stores.one, 1).await;
    let lease = claim_all(&*stores.one, "a").await;
    for other in ["b", "c", "d"] {
        assert_eq!(claim_as(&*stores.other, other, LONG).await, None);
    }
    assert_eq!(renew_all(&*stores.one, lease.clone()).await, lease);
    // Paused subscriptions do not count towards the fair share.
    for number in 2..=6 {
        let paused = Subscription {
            state: SubscriptionState::Paused {
                reason: PauseReason::Operator,
                since: time(5),
            },
            ..subscription(number)
        };
        add(&*stores.one, &paused).await;
    }
    add(&*stores.one, &subscription(7)).await;
    assert_eq!(claim_as(&*stores.one, "a", LONG).await, None);
    let resumed = Subscription {
        version: 2,
        ..subscription(2)
    };
    assert!(change(&*stores.one, &resumed).await);
    for other in ["b", "c"] {
        assert_eq!(claim_all(&*stores.other, other).await.len(), 1);
    }
}

pub async fn a_worker_that_left_has_no_share(stores: EventDelivery) {
    add_some(&*stores.one, 4).await;
    let first = claim_as(&*stores.one, "a", LONG)
        .await
        .expect("one is free");
    let second = claim_all(&*stores.other, "b").await;
    assert_eq!(second.len(), 2);
    stores.one.leave("b").await.expect("the store is there");
    stores
        .one
        .leave("unknown")
        .await
        .expect("the store is there");
    assert_eq!(claim_all(&*stores.one, "a").await.len(), 1);
    for lease in &second {
        assert!(record(&*stores.other, lease, 1, &[]).await, "it is held");
        release(&*stores.other, lease).await;
    }
    assert_eq!(claim_all(&*stores.one, "a").await.len(), 2);
    assert_eq!(renew(&*stores.one, &first.lease).await, Renewal::Renewed);
}

pub async fn an_inactive_worker_loses_its_share(stores: EventDelivery) {
    add_some(&*stores.one, 2).await;
    let short = Duration::from_millis(20);
    claim_as(&*stores.other, "b", short)
        .await
        .expect("one is free");
    let mut leases = 0;
    while leases < 2 {
        leases += claim_all(&*stores.one, "a").await.len();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub async fn racing_workers_reach_their_fair_shares(stores: EventDelivery) {
    add_some(&*stores.one, 7).await;
    let mut held = vec![claim_all(&*stores.one, "0").await];
    held.extend([Vec::new(), Vec::new()]);
    for _ in 0..3 {
        let mut racers = JoinSet::new();
        for (worker, leases) in held.into_iter().enumerate() {
            let store = stores.nth(worker);
            racers.spawn(async move {
                let mut leases = renew_all(&*store, leases).await;
                leases.extend(claim_all(&*store, &worker.to_string()).await);
                (worker, leases)
            });
        }
        let mut racers = racers.join_all().await;
        racers.sort_by_key(|(worker, _)| *worker);
        held = racers.into_iter().map(|(_, leases)| leases).collect();
    }
    let mut counts: Vec<_> = held.iter().map(Vec::len).collect();
    counts.sort_unstable();
    assert_eq!(counts.iter().sum::<usize>(), 7);
    assert!(
        counts.iter().all(|count| (1..=3).contains(count)),
        "{counts:?}"
    );
}
