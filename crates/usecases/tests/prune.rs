//! Making room, also while some of it cannot be made.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{DeliveryState, KeepDays, LogPosition, Timestamp};
use ports::retention::Pruning;
use ports::subscriptions::Progress;
use ports::{
    DeliveryLog as _, DeliveryQueue, ReportStore, Retention, StoreError,
    SubscriptionRepository as _,
};
use testkit::builders::{delivery, keep_days, key, report, subscription, subscription_id, time};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use usecases::Prune;
use usecases::prune::{KeepFor, Kind};

/// A store whose reports are locked by somebody: a dump that takes hours.
struct Dumped(MemoryStore);

#[async_trait]
impl Retention for Dumped {
    async fn make_partitions(&self, today: Timestamp) -> Result<u32, StoreError> {
        self.0.make_partitions(today).await
    }

    async fn prune_reports(&self, _: Timestamp, _: NonZeroU32) -> Result<Pruning, StoreError> {
        Err(StoreError::Unavailable("the reports are locked".into()))
    }

    async fn prune_messages(
        &self,
        now: Timestamp,
        keep: KeepDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        self.0.prune_messages(now, keep, budget).await
    }
}

#[tokio::test]
async fn while_reports_cannot_be_removed_messages_and_deliveries_are() {
    const DAY: Duration = Duration::from_hours(24);
    let store = MemoryStore::new();
    let recorded = ReportStore::record(&store, &[report("SM1").at(0).build()]).await;
    recorded.unwrap();
    // Its report is gone already.
    let gone = store.prune_reports(time(1), NonZeroU32::MIN).await;
    assert_eq!(gone.unwrap().rows, 1);
    store
        .add(&subscription(1), LogPosition::START)
        .await
        .unwrap();
    let leased = store.claim("worker", DAY).await.unwrap().unwrap();
    let mut told = delivery(subscription_id(1), 1, DeliveryState::Delivered);
    told.finished_at = Some(time(0));
    let progress = Progress {
        position: LogPosition(1),
        failing_since: None,
        deliveries: std::slice::from_ref(&told),
    };
    assert!(
        DeliveryQueue::record(&store, &leased.lease, progress)
            .await
            .unwrap()
    );

    let clock = FixedClock::default();
    clock.advance(DAY * 10);
    let prune = Prune::new(
        Arc::new(Dumped(store.clone())),
        Arc::new(store.clone()),
        Arc::new(clock),
        KeepFor {
            reports: DAY,
            messages: keep_days(1),
            deliveries: DAY,
        },
    );
    let mut done = Vec::new();
    for kind in Kind::ALL {
        done.extend(prune.run(kind).await.is_ok().then_some(kind));
    }
    assert_eq!(done, [Kind::Messages, Kind::Deliveries]);
    assert!(store.message(&key("SM1")).await.unwrap().is_none());
    assert!(store.delivery(told.key).await.unwrap().is_none());
}
