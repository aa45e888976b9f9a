//! Circuit breaker in front of the store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::ingest::bisect::Recorded;

/// While it is open, reports go to the journal at once instead of each waiting for its deadline.
/// Replaying the journal is the probe that closes it.
#[derive(Debug, Default)]
pub struct StoreCircuitBreaker {
    open: AtomicBool,
    recorded_batches: AtomicU64,
}

impl StoreCircuitBreaker {
    /// Returns whether the store is known to be unavailable.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Opens the circuit: the store did not record a batch, or was not reached at the start.
    pub fn trip(&self) {
        if !self.open.swap(true, Ordering::Relaxed) {
            tracing::warn!("the store is unavailable; reports go to the journal");
        }
    }

    /// Closes the circuit: the store answered a batch with these outcomes.
    pub(crate) fn answered(&self, outcomes: &[Recorded]) {
        let durable = |outcome: &Recorded| matches!(outcome, Recorded::Durable(_));
        if outcomes.iter().any(durable) {
            self.recorded_batches.fetch_add(1, Ordering::Relaxed);
        }
        self.close();
    }

    /// Returns the number of batches of which at least one report was recorded.
    pub(crate) fn recorded_batches(&self) -> u64 {
        self.recorded_batches.load(Ordering::Relaxed)
    }

    /// Closes the circuit.
    pub(crate) fn close(&self) {
        if self.is_open() && self.open.swap(false, Ordering::Relaxed) {
            tracing::info!("the store is available again; reports go there");
        }
    }
}
