//! Telling operators that a subscription is served no more.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::SubscriptionId;
use ports::Metrics;
use ports::metrics::StopReason;

/// Tells it once, in the log and in the metrics.
pub(super) struct Stopped {
    observer: Arc<dyn Metrics>,
    /// Those this process cannot serve and has said so.
    unreadable: Mutex<HashSet<SubscriptionId>>,
}

impl Stopped {
    pub(super) fn new(observer: Arc<dyn Metrics>) -> Self {
        Self {
            observer,
            unreadable: Mutex::default(),
        }
    }

    /// This worker has stopped a subscription, and the store knows it.
    pub(super) fn tell(&self, id: SubscriptionId, reason: StopReason) {
        self.observer.subscription_stopped(reason);
        // Programs look for the name of the event: docs/logging.md.
        tracing::error!(
            event = "subscription_stopped",
            subscription = %id,
            reason = reason.as_str(),
            "a subscription is not served any more; somebody has to look at it"
        );
    }

    /// The signing secret of a subscription does not open here. It is leased again
    /// and again, and told of once.
    pub(super) fn unreadable(&self, id: SubscriptionId) {
        if self.told().insert(id) {
            self.tell(id, StopReason::UnreadableSecret);
        }
    }

    /// The signing secret of a subscription opens here.
    pub(super) fn readable(&self, id: SubscriptionId) {
        self.told().remove(&id);
    }

    fn told(&self) -> MutexGuard<'_, HashSet<SubscriptionId>> {
        self.unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
