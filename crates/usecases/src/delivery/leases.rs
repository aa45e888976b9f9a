//! The lease of one subscription, and every call to the store that needs it.

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::subscription::SubscriptionState;
use ports::error::error_chain;
use ports::subscriptions::{Lease, Progress, Renewal};
use ports::{DeliveryQueue, StoreError};
use tokio::time::Instant;

use super::limits::Limits;

/// How long the store is not called after it failed.
const STORE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The outcome of a call under the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    /// Another worker has the subscription, or it was changed.
    LeaseLost,
    /// The store failed; the call is repeated later.
    Failed,
}

/// Holds the lease of a subscription.
pub(super) struct LeaseHolder {
    queue: Arc<dyn DeliveryQueue>,
    limits: Arc<Limits>,
    lease: Lease,
    term: LeaseTerm,
    store_retry_at: Option<Instant>,
}

impl LeaseHolder {
    /// Holds a lease that was requested at `requested_at`.
    pub(super) fn new(
        queue: Arc<dyn DeliveryQueue>,
        limits: Arc<Limits>,
        lease: Lease,
        duration: Duration,
        requested_at: Instant,
    ) -> Self {
        Self {
            queue,
            limits,
            lease,
            term: LeaseTerm::new(duration, requested_at),
            store_retry_at: None,
        }
    }

    pub(super) const fn term(&self) -> &LeaseTerm {
        &self.term
    }

    /// Returns when the store may be called again after a failure.
    pub(super) const fn store_retry_at(&self) -> Option<Instant> {
        self.store_retry_at
    }

    /// Returns whether the store failed and is not called for now.
    pub(super) const fn store_failed_lately(&self) -> bool {
        self.store_retry_at.is_some()
    }

    /// Ends the pause after a failure of the store, if it is over.
    pub(super) fn end_store_pause(&mut self, now: Instant) {
        self.store_retry_at = self.store_retry_at.filter(|until| now < *until);
    }

    /// Stores progress. Waits for a permit, so that event delivery never floods the store.
    pub(super) async fn record(&mut self, progress: Progress<'_>) -> Written {
        let permit = self.limits.write_permit().await;
        let recorded = self.queue.record(&self.lease, progress).await;
        drop(permit);
        self.written(recorded, "progress was not stored")
    }

    /// Renews the lease.
    pub(super) async fn renew(&mut self) -> Written {
        let permit = self.limits.write_permit().await;
        let requested_at = Instant::now();
        let renewed = self.queue.renew(&self.lease, self.term.duration).await;
        drop(permit);
        let renewed = renewed.map(|renewal| self.term.renewed(renewal, requested_at));
        self.written(renewed, "the lease was not renewed")
    }

    /// Ends the lease by giving the subscription another state.
    pub(super) async fn finish(&mut self, state: SubscriptionState) -> Written {
        let finished = self.queue.finish(&self.lease, state).await;
        self.written(finished, "the subscription's new state was not stored")
    }

    /// Returns the lease, so that another worker can claim the subscription at once. If that
    /// fails, the lease expires.
    pub(super) async fn release(&self) {
        if let Err(error) = self.queue.release(&self.lease).await {
            tracing::warn!(
                subscription = %self.lease.subscription,
                error = %error_chain(&error),
                "the lease was not released; it expires"
            );
        }
    }

    /// Returns the pending deliveries of the store after `after`, or `None` if the store failed.
    pub(super) async fn more_pending(
        &mut self,
        after: DeliveryOrder,
    ) -> Option<Vec<PendingDelivery>> {
        let more = self.queue.more_pending(self.lease.subscription, after);
        match more.await {
            Ok(more) => Some(more),
            Err(error) => {
                self.store_failed("pending deliveries were not read", &error);
                None
            }
        }
    }

    /// Logs a failure of the store and pauses calls to it.
    pub(super) fn store_failed(&mut self, what: &'static str, error: &StoreError) {
        tracing::warn!(
            subscription = %self.lease.subscription,
            error = %error_chain(error),
            "{what}; retrying in {} s",
            STORE_RETRY_DELAY.as_secs()
        );
        self.store_retry_at = Some(Instant::now() + STORE_RETRY_DELAY);
    }

    fn written(&mut self, held: Result<bool, StoreError>, failure: &'static str) -> Written {
        match held {
            Ok(true) => Written::Done,
            Ok(false) => Written::LeaseLost,
            Err(error) => {
                self.store_failed(failure, &error);
                Written::Failed
            }
        }
    }
}

/// Until when a lease is held. The store measures it from some time after the request, so it is
/// counted from the request here.
#[derive(Debug)]
pub(super) struct LeaseTerm {
    duration: Duration,
    renewed_at: Instant,
    over_quota: bool,
}

impl LeaseTerm {
    const fn new(duration: Duration, requested_at: Instant) -> Self {
        Self {
            duration,
            renewed_at: requested_at,
            over_quota: false,
        }
    }

    /// Returns when the next renewal is due.
    pub(super) fn renews_at(&self) -> Instant {
        self.renewed_at + self.duration / 3
    }

    /// Returns when another worker may claim the subscription.
    pub(super) fn expires_at(&self) -> Instant {
        self.renewed_at + self.duration
    }

    /// Returns whether the worker holds more than its fair share, and releases this one once its
    /// attempts in flight are completed.
    pub(super) const fn is_over_quota(&self) -> bool {
        self.over_quota
    }

    /// Takes the answer to a renewal. Returns whether the lease is still held.
    const fn renewed(&mut self, renewal: Renewal, requested_at: Instant) -> bool {
        match renewal {
            Renewal::Lost => return false,
            Renewal::Renewed => self.over_quota = false,
            Renewal::OverQuota => self.over_quota = true,
        }
        self.renewed_at = requested_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_is_counted_from_the_request_and_renewed_after_a_third() {
        let (now, lease) = (Instant::now(), Duration::from_secs(30));
        let mut term = LeaseTerm::new(lease, now);
        assert_eq!(term.renews_at(), now + lease / 3);
        assert_eq!(term.expires_at(), now + lease);
        assert!(term.renewed(Renewal::Renewed, now + lease / 2));
        assert_eq!(term.renews_at(), now + lease / 2 + lease / 3);
    }

    #[test]
    fn over_quota_follows_the_last_renewal_and_a_lost_lease_is_not_extended() {
        let now = Instant::now();
        let mut term = LeaseTerm::new(Duration::from_secs(30), now);
        assert!(!term.is_over_quota());
        assert!(term.renewed(Renewal::OverQuota, now));
        assert!(term.is_over_quota());
        assert!(term.renewed(Renewal::Renewed, now));
        assert!(!term.is_over_quota());
        assert!(!term.renewed(Renewal::Lost, now + Duration::from_secs(9)));
        assert_eq!(term.expires_at(), now + Duration::from_secs(30));
    }
}
