//! Statistics of all subscriptions, and their cache.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use domain::subscription::{PauseReason, SubscriptionState};
use domain::{DeliveryState, LogPosition, Timestamp};
use ports::subscriptions::Progress;
use ports::{DeliveryQueue, Environment as _, ReportStore, SubscriptionStore as _};
use testkit::builders::{delivery, report, subscription, subscription_id};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use usecases::subscriptions::statistics::{SubscriptionCondition, SubscriptionFigures};
use usecases::{LogTailCache, SubscriptionStatistics};

fn statistics_of(store: &MemoryStore) -> (SubscriptionStatistics, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::default());
    let store = Arc::new(store.clone());
    let log = Arc::new(LogTailCache::new(store.clone()));
    (
        SubscriptionStatistics::new(store, log, clock.clone()),
        clock,
    )
}

async fn add(store: &MemoryStore, number: u128, state: SubscriptionState) {
    let mut subscription = subscription(number);
    subscription.state = state;
    assert!(store.add(&subscription, LogPosition::START).await.unwrap());
}

async fn conditions(statistics: &SubscriptionStatistics) -> Option<Vec<&'static str>> {
    let statistics = statistics.run().await?;
    Some(
        statistics
            .iter()
            .map(|each| each.condition.as_str())
            .collect(),
    )
}

#[tokio::test]
async fn statistics_have_lag_pending_deliveries_and_dead_letters() {
    let store = MemoryStore::new();
    let (statistics, clock) = statistics_of(&store);
    add(&store, 1, SubscriptionState::Active).await;
    let arrived = clock.now().unix_micros() - 90_000_000;
    for (sid, after) in [("SM1", 0), ("SM2", 30_000_000)] {
        let report = report(sid).at(arrived + after).build();
        ReportStore::record(&store, &[report]).await.unwrap();
    }
    let lease = store
        .claim("one", Duration::from_secs(30))
        .await
        .unwrap()
        .unwrap()
        .lease;
    let states = [
        DeliveryState::Dead,
        DeliveryState::Retrying,
        DeliveryState::Waiting,
    ];
    let deliveries: Vec<_> = (1..)
        .zip(states)
        .map(|(n, state)| delivery(subscription_id(1), n, state))
        .collect();
    let progress = Progress {
        position: LogPosition::START,
        failing_since: Some(Timestamp::EPOCH),
        deliveries: &deliveries,
    };
    let recorded = DeliveryQueue::record(&store, &lease, progress).await;
    assert!(recorded.unwrap());
    let found = statistics.run().await.unwrap();
    let expected = SubscriptionFigures {
        id: subscription_id(1),
        condition: SubscriptionCondition::Failing,
        pending: 2,
        dead: 1,
        lag_reports: 2,
        lag_seconds: 90,
    };
    assert_eq!(*found, [expected]);
}

#[tokio::test]
async fn every_condition_has_its_own_name() {
    let store = MemoryStore::new();
    let (statistics, _) = statistics_of(&store);
    let since = Timestamp::EPOCH;
    let paused = |reason| SubscriptionState::Paused { reason, since };
    for (number, state) in [
        (1, SubscriptionState::Active),
        (2, paused(PauseReason::Operator)),
        (3, paused(PauseReason::Failing)),
        (4, paused(PauseReason::Pruned)),
        (5, SubscriptionState::Ended { since }),
    ] {
        add(&store, number, state).await;
    }
    let words = [
        "active",
        "paused",
        "paused_failing",
        "paused_pruned",
        "ended",
    ];
    assert_eq!(conditions(&statistics).await.unwrap(), words);
}

#[tokio::test]
async fn statistics_are_cached_for_ten_seconds() {
    let store = MemoryStore::new();
    let (statistics, clock) = statistics_of(&store);
    assert_eq!(conditions(&statistics).await.unwrap(), [""; 0]);
    add(&store, 1, SubscriptionState::Active).await;
    clock.advance(Duration::from_secs(9));
    assert_eq!(conditions(&statistics).await.unwrap(), [""; 0]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(conditions(&statistics).await.unwrap(), ["active"]);

    // A failure is cached too, and no old statistics are returned.
    store.set_unavailable(true);
    assert_eq!(conditions(&statistics).await.unwrap(), ["active"]);
    clock.advance(Duration::from_secs(10));
    assert_eq!(conditions(&statistics).await, None);
    store.set_unavailable(false);
    assert_eq!(conditions(&statistics).await, None);
    clock.advance(Duration::from_secs(10));
    assert_eq!(conditions(&statistics).await.unwrap(), ["active"]);
}
