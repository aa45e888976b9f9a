//! Slow claims.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::subscription::SubscriptionState;
use domain::{Delivery, DeliveryKey, SubscriptionId};
use ports::subscriptions::{Lease, LeasedSubscription, Progress, Renewal};
use ports::{DeliveryQueue, StoreError};
use testkit::memory::MemoryStore;
use tokio::time::Instant;

use crate::world::World;

/// A store that answers a claim after this time, and is unavailable afterwards.
struct SlowToClaim(MemoryStore, Duration);

#[async_trait]
impl DeliveryQueue for SlowToClaim {
    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<LeasedSubscription>, StoreError> {
        let claimed = self.0.claim(worker, lease).await;
        tokio::time::sleep(self.1).await;
        self.0.set_unavailable(true);
        claimed
    }

    async fn more_pending(
        &self,
        subscription: SubscriptionId,
        after: DeliveryOrder,
    ) -> Result<Vec<PendingDelivery>, StoreError> {
        self.0.more_pending(subscription, after).await
    }

    async fn pending_delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        self.0.pending_delivery(key).await
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, StoreError> {
        self.0.renew(lease, duration).await
    }

    async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        self.0.leave(worker).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.0.release(lease).await
    }

    async fn record(&self, lease: &Lease, progress: Progress<'_>) -> Result<bool, StoreError> {
        DeliveryQueue::record(&self.0, lease, progress).await
    }

    async fn finish(&self, lease: &Lease, state: SubscriptionState) -> Result<bool, StoreError> {
        self.0.finish(lease, state).await
    }
}

#[tokio::test]
async fn lease_ends_for_its_holder_when_it_expires_in_the_store() {
    let mut world = World::new(|_, _| 200);
    world.settings.lease = Duration::from_secs(2);
    world.subscribe(1).await;
    let late = Duration::from_millis(1_500);
    let queue = Arc::new(SlowToClaim(world.store.clone(), late));
    let worker = world.worker_on(queue, "one");
    let claimed_at = Instant::now();
    let dispatcher = worker.claim().await.unwrap().unwrap();
    dispatcher.run(std::future::pending()).await;
    let held = claimed_at.elapsed();
    // Counted from the answer it would be a second and a half more.
    let lease = world.settings.lease;
    assert!(
        held >= lease && held < lease + Duration::from_secs(1),
        "{held:?}"
    );
}
