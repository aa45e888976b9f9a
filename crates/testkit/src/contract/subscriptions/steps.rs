//! Steps that several tests take.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::delivery::{DeliveryFilter, PendingDelivery};
use domain::page::PageSize;
use domain::{Delivery, DeliveryKey, DeliveryState, LogPosition, Subscription, SubscriptionId};
use ports::maintenance::Pruning;
use ports::subscriptions::{Lease, LeasedSubscription, Progress, Renewal, SubscriptionStatus};
use ports::{DeliveryQueue, SubscriptionStore};

use super::PushingStore;
use crate::builders::{delivery, subscription, subscription_id, time};
use crate::contract::Stores;

pub(super) type Pushing = Stores<dyn PushingStore>;

/// Longer than any test.
pub(in crate::contract) const LONG: Duration = Duration::from_mins(10);

/// The subscription that most tests are about.
pub(super) fn id() -> SubscriptionId {
    subscription_id(1)
}

pub(super) async fn add(store: &dyn PushingStore, subscription: &Subscription) {
    let added = SubscriptionStore::add(store, subscription, LogPosition::START).await;
    assert!(added.expect("the store is there"));
}

pub(super) async fn find(
    store: &dyn PushingStore,
    id: SubscriptionId,
) -> Option<SubscriptionStatus> {
    let found = SubscriptionStore::find(store, id).await;
    found.expect("the store is there")
}

/// The status of a subscription that is there.
pub(super) async fn status(store: &dyn PushingStore, id: SubscriptionId) -> SubscriptionStatus {
    find(store, id).await.expect("the subscription is there")
}

pub(super) async fn change(store: &dyn PushingStore, subscription: &Subscription) -> bool {
    let changed = SubscriptionStore::change(store, subscription).await;
    changed.expect("the store is there")
}

pub(super) async fn remove(store: &dyn PushingStore, id: SubscriptionId) -> bool {
    let removed = SubscriptionStore::remove(store, id).await;
    removed.expect("the store is there")
}

pub(super) async fn try_claim(
    store: &dyn PushingStore,
    duration: Duration,
) -> Option<LeasedSubscription> {
    claim_as(store, "worker", duration).await
}

pub(super) async fn claim_as(
    store: &dyn PushingStore,
    worker: &str,
    duration: Duration,
) -> Option<LeasedSubscription> {
    let claimed = store.claim(worker, duration).await;
    claimed.expect("the store is there")
}

/// Claims the one that is next, for longer than the test takes.
pub(super) async fn claim(store: &dyn PushingStore) -> LeasedSubscription {
    try_claim(store, LONG).await.expect("one is free")
}

/// Adds a subscription and claims it.
pub(super) async fn claimed(stores: &Pushing) -> Lease {
    add(&*stores.one, &subscription(1)).await;
    claim(&*stores.one).await.lease
}

pub(super) async fn renew(store: &dyn PushingStore, lease: &Lease) -> Renewal {
    let renewal = store.renew(lease, LONG).await;
    renewal.expect("the store is there")
}

pub(super) async fn release(store: &dyn PushingStore, lease: &Lease) {
    store.release(lease).await.expect("the store is there");
}

/// Records deliveries, and that the target is well.
pub(super) async fn record(
    store: &dyn PushingStore,
    lease: &Lease,
    position: i64,
    deliveries: &[Delivery],
) -> bool {
    let progress = Progress {
        position: LogPosition(position),
        failing_since: None,
        deliveries,
    };
    let recorded = DeliveryQueue::record(store, lease, progress).await;
    recorded.expect("the store is there")
}

/// Deliveries of the subscription by their reports' ids, in a state.
pub(super) fn several(ids: impl IntoIterator<Item = i64>, state: DeliveryState) -> Vec<Delivery> {
    let ids = ids.into_iter();
    ids.map(|report| delivery(id(), report, state)).collect()
}

/// What a claim says of these deliveries.
pub(super) fn pending(deliveries: &[Delivery]) -> Vec<PendingDelivery> {
    deliveries.iter().map(PendingDelivery::from).collect()
}

pub(super) async fn kept(store: &dyn PushingStore, key: DeliveryKey) -> Option<Delivery> {
    store.delivery(key).await.expect("the store is there")
}

/// All deliveries that a filter lets through, in pages of a size.
pub(super) async fn listed(
    store: &dyn PushingStore,
    filter: &DeliveryFilter,
    size: u16,
) -> Vec<Delivery> {
    let size = PageSize::new(size).expect("a page size");
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.deliveries(filter, after, size).await;
        let page = page.expect("the store is there");
        assert!(page.items.len() <= usize::from(size.get()));
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// The ids of the reports of all deliveries that a filter lets through.
pub(super) async fn reports(store: &dyn PushingStore, filter: &DeliveryFilter) -> Vec<i64> {
    let listed = listed(store, filter, 100).await;
    listed.iter().map(|it| it.key.report_id).collect()
}

pub(super) async fn prune(store: &dyn PushingStore, before: i64, budget: u32) -> Pruning {
    let budget = NonZeroU32::new(budget).expect("at least one");
    let pruned = store.prune_deliveries(time(before), budget).await;
    pruned.expect("the store is there")
}
