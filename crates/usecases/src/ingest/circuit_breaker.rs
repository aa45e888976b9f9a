//! Is the store known to be away?

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A circuit breaker in front of the store. While it is open, reports go to the
/// journal at once instead of waiting for a deadline each; draining the journal
/// is the probe that closes it again.
#[derive(Debug, Default)]
pub struct StoreCircuitBreaker {
    away: AtomicBool,
    recorded: AtomicU64,
}

impl StoreCircuitBreaker {
    /// Whether the store is known to be away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// The store did not take a batch, or could not be reached at the start.
    pub fn failed(&self) {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!("the store is away; reports go to the journal");
        }
    }

    /// The store recorded at least one report of a batch.
    pub(crate) fn recorded(&self) {
        self.recorded.fetch_add(1, Ordering::Relaxed);
        self.worked();
    }

    /// How many batches were recorded.
    pub(crate) fn batches(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    /// The store answered.
    pub(crate) fn worked(&self) {
        if self.is_away() && self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("the store is back; reports go there again");
        }
    }
}
