//! Removes sessions that have ended.

use std::num::NonZeroU32;
use std::sync::Arc;

use ports::{AccessStore, Environment, StoreError};

/// Sessions that one step removes.
const STEP_SESSIONS: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

/// Removes sessions that have expired or were idle for too long.
pub struct PruneSessions {
    store: Arc<dyn AccessStore>,
    environment: Arc<dyn Environment>,
}

impl PruneSessions {
    /// Removes the sessions of a store.
    #[must_use]
    pub fn new(store: Arc<dyn AccessStore>, environment: Arc<dyn Environment>) -> Self {
        Self { store, environment }
    }

    /// Runs one step and returns how many sessions it removed; the next step removes the rest.
    pub async fn run(&self) -> Result<u64, StoreError> {
        let now = self.environment.now();
        self.store.prune_sessions(now, STEP_SESSIONS).await
    }
}
