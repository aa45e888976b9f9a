//! Is the store known to be away?

use std::sync::atomic::{AtomicBool, Ordering};

/// A circuit breaker in front of the store. While it is open, reports go to the
/// journal at once instead of waiting for a deadline each; draining the journal
/// is the probe that closes it again.
#[derive(Debug, Default)]
pub struct StoreGate(AtomicBool);

impl StoreGate {
    /// Whether the store is known to be away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The store did not take a batch, or could not be reached at the start.
    pub fn failed(&self) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!("the store is away; reports go to the journal");
        }
    }

    /// The store took a batch.
    pub(crate) fn worked(&self) {
        if self.is_away() && self.0.swap(false, Ordering::Relaxed) {
            tracing::info!("the store is back; reports go there again");
        }
    }
}
