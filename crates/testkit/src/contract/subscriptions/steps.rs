//! Steps shared by several tests.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::delivery::{DeliveryFilter, PendingDelivery};
use domain::page::{PageSize, ScanLimit};
use domain::{Delivery, DeliveryKey, DeliveryState, LogPosition, Subscription, SubscriptionId};
use ports::maintenance::Pruning;
use ports::subscriptions::{Lease, LeasedSubscription, Progress, Renewal, SubscriptionStatus};
use ports::{DeliveryQueue, SubscriptionStore};

use super::EventDeliveryStore;
use crate::builders::{delivery, subscription, subscription_id, time};
use crate::contract::Stores;

pub(super) type EventDelivery = Stores<dyn EventDeliveryStore>;

/// Longer than any test.
pub(in crate::contract) const LONG: Duration = Duration::from_mins(10);

/// Returns the subscription used by most tests.
pub(super) fn id() -> SubscriptionId {
    subscription_id(1)
}

pub(super) async fn add(store: &dyn EventDeliveryStore, subscription: &Subscription) {
    let added = SubscriptionStore::add(store, subscription, LogPosition::START).await;
    assert!(added.expect("the store is there"));
}

pub(super) async fn find(
    store: &dyn EventDeliveryStore,
    id: SubscriptionId,
) -> Option<SubscriptionStatus> {
    let found = SubscriptionStore::find(store, id).await;
    found.expect("the store is there")
}

/// Returns the status of an existing subscription.
pub(super) async fn status(
    store: &dyn EventDeliveryStore,
    id: SubscriptionId,
) -> SubscriptionStatus {
    find(store, id).await.expect("the subscription is there")
}

pub(super) async fn change(store: &dyn EventDeliveryStore, subscription: &Subscription) -> bool {
    let changed = SubscriptionStore::change(store, subscription).await;
    changed.expect("the store is there")
}

pub(super) async fn remove(store: &dyn EventDeliveryStore, id: SubscriptionId) -> bool {
    let removed = SubscriptionStore::remove(store, id).await;
    removed.expect("the store is there")
}

pub(super) async fn try_claim(
    store: &dyn EventDeliveryStore,
    duration: Duration,
) -> Option<LeasedSubscription> {
    claim_as(store, "worker", duration).await
}

pub(super) async fn claim_as(
    store: &dyn EventDeliveryStore,
    worker: &str,
    duration: Duration,
) -> Option<LeasedSubscription> {
    let claimed = store.claim(worker, duration).await;
    claimed.expect("the store is there")
}

/// Claims the next subscription, for longer than any test runs.
pub(super) async fn claim(store: &dyn EventDeliveryStore) -> LeasedSubscription {
    try_claim(store, LONG).await.expect("one is free")
}

/// Adds a subscription and claims it.
pub(super) async fn claimed(stores: &EventDelivery) -> Lease {
    add(&*stores.one, &subscription(1)).await;
    claim(&*stores.one).await.lease
}

pub(super) async fn renew(store: &dyn EventDeliveryStore, lease: &Lease) -> Renewal {
    let renewal = store.renew(lease, LONG).await;
    renewal.expect("the store is there")
}

pub(super) async fn release(store: &dyn EventDeliveryStore, lease: &Lease) {
    store.release(lease).await.expect("the store is there");
}

/// Records deliveries of an endpoint that is not failing.
pub(super) async fn record(
    store: &dyn EventDeliveryStore,
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

/// Returns deliveries of the subscription with these report ids, in one state.
pub(super) fn several(ids: impl IntoIterator<Item = i64>, state: DeliveryState) -> Vec<Delivery> {
    let ids = ids.into_iter();
    ids.map(|report| delivery(id(), report, state)).collect()
}

/// Returns these deliveries as a claim returns them.
pub(super) fn pending(deliveries: &[Delivery]) -> Vec<PendingDelivery> {
    deliveries.iter().map(PendingDelivery::from).collect()
}

pub(super) async fn stored(store: &dyn EventDeliveryStore, key: DeliveryKey) -> Option<Delivery> {
    store.delivery(key).await.expect("the store is there")
}

/// Returns all deliveries that match a filter, read in pages of `size`.
pub(super) async fn listed(
    store: &dyn EventDeliveryStore,
    filter: &DeliveryFilter,
    size: u16,
) -> Vec<Delivery> {
    listed_in_scans(store, filter, size, ScanLimit::MAX).await
}

/// Returns all deliveries that match a filter, read in pages of `size` that examine `scan`.
pub(super) async fn listed_in_scans(
    store: &dyn EventDeliveryStore,
    filter: &DeliveryFilter,
    size: u16,
    scan: ScanLimit,
) -> Vec<Delivery> {
    let size = PageSize::new(size).expect("a page size");
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.deliveries(filter, after, size, scan).await;
        let page = page.expect("the store is there");
        assert!(page.items.len() <= usize::from(size.get()));
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Returns the report ids of all deliveries that match a filter.
pub(super) async fn reports(store: &dyn EventDeliveryStore, filter: &DeliveryFilter) -> Vec<i64> {
    let listed = listed(store, filter, 100).await;
    listed.iter().map(|it| it.key.report_id).collect()
}

pub(super) async fn prune(store: &dyn EventDeliveryStore, before: i64, budget: u32) -> Pruning {
    let budget = NonZeroU32::new(budget).expect("at least one");
    let pruned = store.prune_deliveries(time(before), budget).await;
    pruned.expect("the store is there")
}
