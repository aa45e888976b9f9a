//! Handing subscriptions out to workers.

use std::time::Duration;

use async_trait::async_trait;
use domain::delivery::{OpenDelivery, Place};
use domain::subscription::{Subscription, SubscriptionState};
use domain::{Delivery, DeliveryKey, SubscriptionId};
use ports::subscriptions::{Lease, LeasedSubscription, OPEN_MAX, Progress, Renewal};
use ports::{DeliveryQueue, StoreError};
use tokio::time::Instant;

use super::{Kept, MemoryStore, Subscriptions};

impl Subscriptions {
    /// The subscription of a lease, if it is still held.
    fn held(&mut self, lease: &Lease) -> Option<&mut Kept> {
        let kept = self.by_id.get_mut(&lease.subscription)?;
        let leased = kept.leased.as_ref().map(|(token, _)| *token);
        (kept.fence == lease.token && leased == Some(lease.token)).then_some(kept)
    }

    fn open(
        &self,
        subscription: SubscriptionId,
        after: Option<Place>,
    ) -> (Vec<OpenDelivery>, bool) {
        let of = self.of(subscription).map(|(_, delivery)| delivery);
        let behind = |it: &&Delivery| after.is_none_or(|after| it.place() > after);
        let open = of.filter(|it| it.state.is_open()).filter(behind);
        let mut open: Vec<_> = open.map(OpenDelivery::from).collect();
        open.sort_by_key(OpenDelivery::place);
        let more = open.len() > OPEN_MAX;
        open.truncate(OPEN_MAX);
        (open, more)
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
            let (open, more_open) = all.open(id, None);
            LeasedSubscription {
                lease: Lease {
                    subscription: id,
                    token: kept.fence,
                },
                subscription: kept.subscription.clone(),
                position: kept.position,
                failing_since: kept.failing_since,
                open,
                more_open,
            }
        }))
    }

    async fn more_open(
        &self,
        subscription: SubscriptionId,
        after: Place,
    ) -> Result<Vec<OpenDelivery>, StoreError> {
        let data = MemoryStore::open(self)?;
        Ok(data.subscriptions.open(subscription, Some(after)).0)
    }

    async fn open_delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let data = MemoryStore::open(self)?;
        let found = data.subscriptions.deliveries.get(&key);
        Ok(found.filter(|it| it.state.is_open()).cloned())
    }

    async fn renew(&self, lease: &Lease, duration: Duration) -> Result<Renewal, StoreError> {
        let mut data = self.open()?;
        let Some(kept) = data.subscriptions.held(lease) else {
            return Ok(Renewal::Lost);
        };
        kept.free_at = Instant::now() + duration;
        Ok(Renewal::Kept)
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
