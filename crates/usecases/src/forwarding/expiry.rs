//! Removes requests that were not forwarded in time.

use std::sync::Arc;

use domain::Timestamp;
use ports::maintenance::Pruning;
use ports::metrics::ForwardOutcome;
use ports::{ForwardedRequestStore, Metrics, StoreError};

/// Removes requests that were not forwarded in time, as a part of retention, which decides whether
/// the clock can be trusted.
pub struct ForwardingExpiry {
    store: Arc<dyn ForwardedRequestStore>,
    metrics: Arc<dyn Metrics>,
}

impl ForwardingExpiry {
    /// Removes the requests of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ForwardedRequestStore>, metrics: Arc<dyn Metrics>) -> Self {
        Self { store, metrics }
    }

    /// Removes requests that arrived before `before`, a bounded number at a time. Each is counted
    /// and logged by its channel: it was acknowledged and is lost.
    pub(crate) async fn run(
        &self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Pruning, StoreError> {
        let removed = self.store.remove_old_requests(before, now).await?;
        let mut rows = 0;
        for (channel, requests) in removed {
            self.metrics.forwarding(ForwardOutcome::Dropped, requests);
            tracing::error!(
                %channel,
                requests,
                "requests were not forwarded within three days and are removed; check the \
                 channel's forward URL"
            );
            rows += requests;
        }
        Ok(Pruning {
            rows,
            days: 0,
            done: rows == 0,
        })
    }
}
