//! Leases of subscriptions.

use std::time::Duration;

use async_trait::async_trait;
use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::subscription::{Subscription, SubscriptionState};
use domain::{Delivery, DeliveryKey, SubscriptionId};
use ports::subscriptions::{Lease, LeasedSubscription, MAX_PENDING, Progress, Renewal};
use ports::{DeliveryQueue, StoreError};
use tokio::time::Instant;

use super::{Kept, MemoryStore, Subscriptions};

impl Subscriptions {
    /// Returns the subscription of a valid lease.
    fn held(&mut self, lease: &Lease) -> Option<&mut Kept> {
        let kept = self.by_id.get_mut(&lease.subscription)?;
        let leased = kept.leased.as_ref().map(|(token, _)| *token);
        (kept.fence == lease.token && leased == Some(lease.token)).then_some(kept)
    }

    /// Returns the fair share of a worker.
    fn share(&self) -> usize {
        let active = self.by_id.values();
        let active = active.filter(|kept| kept.subscription.state == SubscriptionState::Active);
        let now = Instant::now();
        let alive = self.workers.values().filter(|until| **until > now);
        active.count().div_ceil(alive.count().max(1))
    }

    /// Returns how many leases with lower ids a worker holds.
    fn held_by(&self, worker: &str, below: Option<SubscriptionId>) -> usize {
        let now = Instant::now();
        let held = self.by_id.iter().filter(|(id, kept)| {
            let mine = kept.leased.as_ref().is_some_and(|(token, holder)| {
                *token == kept.fence && holder == worker && kept.free_at > now
            });
            mine && below.is_none_or(|below| **id < below)
        });
        held.count()
    }

    fn pending(
        &self,
        subscription: SubscriptionId,
        after: Option<DeliveryOrder>,
    ) -> (Vec<PendingDelivery>, bool) {
        let of = self.of(subscription).map(|(_, delivery)| delivery);
        let later = |it: &&Delivery| after.is_none_or(|after| it.order() > after);
        let pending = of.filter(|it| it.state.is_pending()).filter(later);
        let mut pending: Vec<_> = pending.map(PendingDelivery::from).collect();
        pending.sort_by_key(PendingDelivery::order);
        let more = pending.len() > MAX_PENDING;
        pending.truncate(MAX_PENDING);
        (pending, more)
    }
}

#[async_trait]
impl DeliveryQueue for MemoryStore {
    async fn claim(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<Option<LeasedSubscription>, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        let now = Instant::now();
        all.workers.insert(worker.to_owned(), now + lease);
        if all.held_by(worker, None) >= all.share() {
            return Ok(None);
        }
        let free = all.by_id.values_mut().filter(|kept| {
            kept.subscription.state == SubscriptionState::Active && kept.free_at <= now
        });
        let Some(kept) = free.min_by_key(|kept| (kept.free_at, kept.subscription.id)) else {
            return Ok(None);
        };
        kept.fence += 1;
        kept.leased = Some((kept.fence, worker.to_owned()));
        kept.free_at = now + lease;
        let id = kept.subscription.id;
        Ok(all.by_id.get(&id).map(|kept| {
            let (pending, more_pending) = all.pending(id, None);
            LeasedSubscription {
                lease: Lease {
                    subscription: id,
                    token: kept.fence,
                },
                subscription: kept.subscription.clone(),
                position: kept.position,
                failing_since: kept.failing_since,
                pending,
                more_pending,
            }
        }))
    }

    async fn more_pending(
        &self,
        subscription: SubscriptionId,
        after: DeliveryOrder,
    ) -> Result<Vec<PendingDelivery>, StoreError> {
        let data = MemoryStore::open(self)?;
        Ok(data.subscriptions.pending(subscription, Some(after)).0)
    }

    async fn pending_delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let data = MemoryStore::open(self)?;
        let found = data.subscriptions.deliveries.get(&key);
        Ok(found.filter(|it| it.state.is_pending()).cloned())
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        let Some(kept) = all.held(lease) else {
            return Ok(Renewal::Lost);
        };
        kept.free_at = Instant::now() + duration;
        let Some((_, worker)) = kept.leased.clone() else {
            return Ok(Renewal::Lost);
        };
        let before = all.held_by(&worker, Some(lease.subscription));
        Ok(if before < all.share() {
            Renewal::Renewed
        } else {
            Renewal::OverQuota
        })
    }

    async fn leave(&self, worker: &str) -> Result<(), StoreError> {
        self.open()?.subscriptions.workers.remove(worker);
        Ok(())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let kept = data.subscriptions.by_id.get_mut(&lease.subscription);
        let kept = kept.filter(|kept| {
            let leased = kept.leased.as_ref();
            leased.is_some_and(|(token, _)| *token == lease.token)
        });
        if let Some(kept) = kept {
            kept.leased = None;
            kept.free_at = Instant::now();
        }
        Ok(())
    }

    async fn record(&self, lease: &Lease, progress: Progress<'_>) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        let Some(kept) = all.held(lease) else {
            return Ok(false);
        };
        kept.position = progress.position;
        kept.failing_since = progress.failing_since;
        kept.last_delivered_at = kept.last_delivered_at.max(progress.last_delivered_at());
        if let Some(error) = progress.last_error()
            && kept.last_error.as_ref().is_none_or(|it| it.at <= error.at)
        {
            kept.last_error = Some(error.clone());
        }
        all.put(lease.subscription, progress.deliveries);
        Ok(true)
    }

    async fn finish(&self, lease: &Lease, state: SubscriptionState) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let Some(kept) = data.subscriptions.held(lease) else {
            return Ok(false);
        };
        kept.subscription = Subscription {
            state,
            updated_at: state.since().unwrap_or(kept.subscription.updated_at),
            version: kept.subscription.version + 1,
            ..kept.subscription.clone()
        };
        kept.leased = None;
        kept.free_at = Instant::now();
        Ok(true)
    }
}
