//! Alerts operators when a subscription is no longer served.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::SubscriptionId;
use ports::Metrics;
use ports::metrics::StopReason;

/// Reports each stopped subscription once, as a log line and a metric.
pub(super) struct StopAlerts {
    metrics: Arc<dyn Metrics>,
    /// Reported subscriptions whose signing secret this process cannot open.
    unreadable: Mutex<HashSet<SubscriptionId>>,
}

impl StopAlerts {
    pub(super) fn new(metrics: Arc<dyn Metrics>) -> Self {
        Self {
            metrics,
            unreadable: Mutex::default(),
        }
    }

    /// Reports that this worker stopped a subscription and stored its new state.
    pub(super) fn stopped(&self, id: SubscriptionId, reason: StopReason) {
        self.metrics.subscription_stopped(reason);
        // Programs search for the event's name: docs/logging.md.
        tracing::error!(
            event = "subscription_stopped",
            subscription = %id,
            reason = reason.as_str(),
            "subscription stopped; it is not served until an operator resumes it"
        );
    }

    /// Reports that a subscription's signing secret cannot be opened. The subscription is leased
    /// again and again, and reported the first time only.
    pub(super) fn secret_unreadable(&self, id: SubscriptionId) {
        if self.unreadable().insert(id) {
            self.stopped(id, StopReason::UnreadableSecret);
        }
    }

    /// Notes that a subscription's signing secret was opened.
    pub(super) fn secret_opened(&self, id: SubscriptionId) {
        self.unreadable().remove(&id);
    }

    fn unreadable(&self) -> MutexGuard<'_, HashSet<SubscriptionId>> {
        self.unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
