//! Deliveries: listing, retrying, removing.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::delivery::DeliveryFilter;
use domain::page::{Page, PageSize, ScanLimit};
use domain::{Delivery, DeliveryKey, LogPosition, MessageKey, SubscriptionId, Timestamp};
use ports::maintenance::Pruning;
use ports::subscriptions::{MAX_PENDING, MAX_RECENT, MAX_RETRIED, RecentAttempts};
use ports::{DeliveryStore, StoreError};

use super::{MemoryStore, Subscriptions};

impl Subscriptions {
    fn has(&self, id: SubscriptionId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Ends the lease. Returns whether there is such a subscription.
    fn raise_fence(&mut self, id: SubscriptionId) -> bool {
        let kept = self.by_id.get_mut(&id);
        kept.map(|kept| kept.fence += 1).is_some()
    }

    /// Moves a position and ends the lease. Returns whether there is such a subscription.
    fn place(
        &mut self,
        id: SubscriptionId,
        moved: impl FnOnce(LogPosition) -> LogPosition,
    ) -> bool {
        if let Some(kept) = self.by_id.get_mut(&id) {
            kept.position = moved(kept.position);
        }
        self.raise_fence(id)
    }
}

#[async_trait]
impl DeliveryStore for MemoryStore {
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<DeliveryKey>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Delivery, DeliveryKey>, StoreError> {
        let data = self.open()?;
        let all = &data.subscriptions;
        let indexed = DeliveryFilter {
            state: filter.state,
            message: filter.message.clone(),
            ..DeliveryFilter::of(filter.subscription)
        };
        let limit = usize::try_from(scan.get()).unwrap_or(usize::MAX);
        let examined = all.of(filter.subscription).rev();
        let examined: Vec<_> = examined
            .filter(|_| all.has(filter.subscription))
            .filter(|(key, _)| after.is_none_or(|after| **key < after))
            .filter(|(_, delivery)| indexed.passes(delivery))
            .take(limit)
            .collect();
        let scan_end = examined.get(limit - 1).map(|(key, _)| **key);
        let listed = examined
            .into_iter()
            .filter(|(_, delivery)| filter.passes(delivery))
            .take(usize::from(size.get()) + 1);
        let items = listed.map(|(_, delivery)| delivery.clone()).collect();
        Ok(Page::cut(items, size, |delivery: &Delivery| delivery.key).or_after(scan_end))
    }

    async fn delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, StoreError> {
        let data = self.open()?;
        let all = &data.subscriptions;
        let found = all.deliveries.get(&key);
        Ok(found.filter(|_| all.has(key.subscription)).cloned())
    }

    async fn retry(&self, key: DeliveryKey, now: Timestamp) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        let there = all.has(key.subscription);
        let found = all.deliveries.get_mut(&key).filter(|_| there);
        let retried = found.is_some_and(|delivery| delivery.retry(now));
        Ok(retried && all.raise_fence(key.subscription))
    }

    async fn retry_all(&self, filter: &DeliveryFilter, now: Timestamp) -> Result<u64, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        if !all.has(filter.subscription) {
            return Ok(0);
        }
        let chosen = all.deliveries.values_mut().filter(|it| filter.passes(it));
        let retried = chosen.filter_map(|it| it.retry(now).then_some(()));
        let retried = retried.take(MAX_RETRIED).count();
        if retried > 0 {
            all.raise_fence(filter.subscription);
        }
        Ok(u64::try_from(retried).unwrap_or(u64::MAX))
    }

    async fn enqueue(
        &self,
        subscription: SubscriptionId,
        deliveries: &[Delivery],
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        let there = all.raise_fence(subscription);
        if there {
            all.put(subscription, deliveries);
        }
        Ok(there)
    }

    async fn replace_bodies(
        &self,
        subscription: SubscriptionId,
        bodies: &[(DeliveryKey, String)],
    ) -> Result<u64, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        if !all.raise_fence(subscription) {
            return Ok(0);
        }
        let mut replaced = 0;
        for (key, new) in bodies
            .iter()
            .filter(|(key, _)| key.subscription == subscription)
        {
            let found = all.deliveries.get_mut(key);
            if let Some(body) = found.and_then(|delivery| delivery.body.as_mut()) {
                body.clone_from(new);
                replaced += 1;
            }
        }
        Ok(replaced)
    }

    async fn rewind(
        &self,
        subscription: SubscriptionId,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        Ok(data.subscriptions.place(subscription, |at| at.min(to)))
    }

    async fn skip(
        &self,
        subscription: SubscriptionId,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        Ok(data.subscriptions.place(subscription, |at| at.max(to)))
    }

    async fn attempts(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
    ) -> Result<RecentAttempts, StoreError> {
        let data = self.open()?;
        let all = &data.subscriptions;
        let mut recent = RecentAttempts::none(since);
        let theirs = all.deliveries.values();
        let mut ended: Vec<_> = theirs
            .filter(|it| it.finished_at.is_some_and(|at| at >= since))
            .collect();
        ended.sort_by_key(|it| std::cmp::Reverse(it.finished_at));
        if let Some(first) = ended.get(MAX_RECENT).and_then(|it| it.finished_at) {
            recent.since = first.plus_micros(1);
        }
        let mine = |it: &&Delivery| it.key.subscription == subscription;
        let ended = ended.into_iter().filter(mine);
        let mut pending: Vec<_> = all.of(subscription).map(|(_, it)| it).collect();
        pending.retain(|it| it.state.is_pending());
        pending.sort_by_key(|it| it.order());
        let pending = pending.into_iter().take(MAX_PENDING);
        for delivery in ended.chain(pending).filter(|_| all.has(subscription)) {
            recent.count(&delivery.attempts);
        }
        Ok(recent)
    }
}

impl Subscriptions {
    pub(in crate::memory) fn prune(&mut self, before: Timestamp, budget: NonZeroU32) -> Pruning {
        let mut old: Vec<_> = self
            .deliveries
            .values()
            .map(|it| (self.has(it.key.subscription), it.finished_at, it.key))
            .filter(|(exists, finished_at, _)| !exists || finished_at.is_some_and(|at| at < before))
            .collect();
        old.sort();
        let done = old.len() <= budget.get() as usize;
        old.truncate(budget.get() as usize);
        for (_, _, key) in &old {
            self.deliveries.remove(key);
        }
        Pruning {
            rows: u64::try_from(old.len()).unwrap_or(u64::MAX),
            days: 0,
            done,
        }
    }

    /// Removes the bodies of the deliveries of messages.
    pub(in crate::memory) fn erase_deliveries(
        &mut self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> u64 {
        let mut erased = 0;
        for delivery in self.deliveries.values_mut() {
            if delivery.body.is_some() && messages.contains(&delivery.message) {
                delivery.erase(now);
                erased += 1;
            }
        }
        for kept in self.by_id.values_mut() {
            kept.fence += 1;
        }
        erased
    }
}
