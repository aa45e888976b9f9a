//! Subscriptions and their deliveries.

mod log;
mod queue;

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::delivery::{Attempt, by_key};
use domain::subscription::SubscriptionState;
use domain::{
    Delivery, DeliveryKey, DeliveryState, LogPosition, Subscription, SubscriptionId, Timestamp,
};
use ports::subscriptions::SubscriptionStatus;
use ports::{StoreError, SubscriptionStore};
use tokio::time::Instant;

use super::MemoryStore;

#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_id: BTreeMap<SubscriptionId, Kept>,
    /// Removed subscriptions, whose ids are not reused.
    removed: Vec<SubscriptionId>,
    deliveries: BTreeMap<DeliveryKey, Delivery>,
    /// The workers that claimed, and until when they count as live.
    workers: BTreeMap<String, Instant>,
}

#[derive(Debug)]
struct Kept {
    subscription: Subscription,
    position: LogPosition,
    last_delivered_at: Option<Timestamp>,
    last_error: Option<Attempt>,
    failing_since: Option<Timestamp>,
    /// Incremented by every change that a worker has to see.
    fence: i64,
    /// The fence at the last claim, and the worker; `None` if released.
    leased: Option<(i64, String)>,
    /// When it can be claimed. A test that pauses Tokio's time moves it.
    free_at: Instant,
}

impl Subscriptions {
    /// Returns whether a delivery was completed before a time.
    pub(super) fn has_finished_before(&self, before: Timestamp) -> bool {
        let mut finished = self.deliveries.values().filter_map(|it| it.finished_at);
        finished.any(|at| at < before)
    }

    /// Returns the deliveries of one subscription.
    fn of(
        &self,
        subscription: SubscriptionId,
    ) -> impl DoubleEndedIterator<Item = (&DeliveryKey, &Delivery)> {
        let key = |report_id, event_index| DeliveryKey {
            subscription,
            report_id,
            event_index,
        };
        self.deliveries
            .range(key(i64::MIN, u8::MIN)..=key(i64::MAX, u8::MAX))
    }

    /// The event of a delivery stays as it was.
    fn put(&mut self, subscription: SubscriptionId, deliveries: &[Delivery]) {
        for (key, new) in by_key(deliveries) {
            let key = DeliveryKey {
                subscription,
                ..key
            };
            let about = self.deliveries.get(&key).unwrap_or(new).clone();
            let new = Delivery {
                key,
                state: new.state,
                attempts: new.attempts.clone(),
                retrying_since: new.retrying_since,
                next_attempt_at: new.next_attempt_at,
                cooldown_until: new.cooldown_until,
                finished_at: new.finished_at,
                body: new.kept_body().map(str::to_owned),
                ..about
            };
            self.deliveries.insert(key, new);
        }
    }

    fn status(&self, kept: &Kept) -> SubscriptionStatus {
        let of_state = |wanted: fn(DeliveryState) -> bool| {
            let of = self.of(kept.subscription.id);
            u64::try_from(of.filter(|(_, it)| wanted(it.state)).count()).unwrap_or(u64::MAX)
        };
        let leased = kept.leased.as_ref();
        SubscriptionStatus {
            subscription: kept.subscription.clone(),
            position: kept.position,
            pending: of_state(DeliveryState::is_pending),
            dead: of_state(|state| state == DeliveryState::Dead),
            last_delivered_at: kept.last_delivered_at,
            last_error: kept.last_error.clone(),
            failing_since: kept.failing_since,
            leased_by: leased
                .filter(|_| Instant::now() < kept.free_at)
                .map(|(_, worker)| worker.clone()),
        }
    }
}

#[async_trait]
impl SubscriptionStore for MemoryStore {
    async fn add(
        &self,
        subscription: &Subscription,
        from: LogPosition,
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        if all.by_id.contains_key(&subscription.id) || all.removed.contains(&subscription.id) {
            return Ok(false);
        }
        let kept = Kept {
            subscription: subscription.clone(),
            position: from,
            last_delivered_at: None,
            last_error: None,
            failing_since: None,
            fence: 0,
            leased: None,
            free_at: Instant::now(),
        };
        all.by_id.insert(subscription.id, kept);
        Ok(true)
    }

    async fn find(&self, id: SubscriptionId) -> Result<Option<SubscriptionStatus>, StoreError> {
        let data = self.open()?;
        let all = &data.subscriptions;
        Ok(all.by_id.get(&id).map(|kept| all.status(kept)))
    }

    async fn list(&self) -> Result<Vec<SubscriptionStatus>, StoreError> {
        let data = self.open()?;
        let all = &data.subscriptions;
        let mut list: Vec<_> = all.by_id.values().map(|kept| all.status(kept)).collect();
        list.sort_by_key(|it| (it.subscription.created_at, it.subscription.id));
        Ok(list)
    }

    async fn change(&self, subscription: &Subscription) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let Some(kept) = data.subscriptions.by_id.get_mut(&subscription.id) else {
            return Ok(false);
        };
        if kept.subscription.version.checked_add(1) != Some(subscription.version) {
            return Ok(false);
        }
        let active = subscription.state == SubscriptionState::Active;
        if active && kept.subscription.state != SubscriptionState::Active {
            kept.failing_since = None;
        }
        kept.subscription = Subscription {
            created_at: kept.subscription.created_at,
            ..subscription.clone()
        };
        kept.fence += 1;
        Ok(true)
    }

    async fn remove(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let all = &mut data.subscriptions;
        let removed = all.by_id.remove(&id).is_some();
        all.removed.extend(removed.then_some(id));
        Ok(removed)
    }
}
