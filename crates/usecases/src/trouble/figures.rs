//! How many troubles are open, cached for metrics that are read often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::trouble::TroubleKind;
use ports::{Environment, StoreError, TroubleStore};
use tokio::sync::Mutex;

/// How long the figures are cached.
const CACHE_MICROS: i64 = 10_000_000;

/// How long the store may take.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Counts the open troubles of each kind, without snoozed ones.
pub struct TroubleFigures {
    store: Arc<dyn TroubleStore>,
    clock: Arc<dyn Environment>,
    last: Mutex<Option<(Timestamp, Option<OpenTroubles>)>>,
}

/// How many troubles of each kind are open and not snoozed. Every kind is there.
pub type OpenTroubles = BTreeMap<TroubleKind, u32>;

impl TroubleFigures {
    /// Counts the troubles of a store.
    #[must_use]
    pub fn new(store: Arc<dyn TroubleStore>, clock: Arc<dyn Environment>) -> Self {
        Self {
            store,
            clock,
            last: Mutex::default(),
        }
    }

    /// Returns figures that are at most ten seconds old, within about two seconds. `None` if the
    /// store failed. Concurrent calls cause one read.
    pub async fn run(&self) -> Option<OpenTroubles> {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        if let Some((at, figures)) = &*last
            // A clock that was set back must not keep the cache valid forever.
            && (*at..at.plus_micros(CACHE_MICROS)).contains(&now)
        {
            return figures.clone();
        }
        let figures = match tokio::time::timeout(STORE_TIMEOUT, self.read(now)).await {
            Ok(Ok(figures)) => Some(figures),
            // The metrics are missing then; health reports the cause.
            Ok(Err(_)) | Err(_) => None,
        };
        *last = Some((now, figures.clone()));
        figures
    }

    async fn read(&self, now: Timestamp) -> Result<OpenTroubles, StoreError> {
        let mut open: OpenTroubles = TroubleKind::ALL.into_iter().map(|kind| (kind, 0)).collect();
        for trouble in self.store.unresolved().await? {
            if trouble.state.is_open() && !trouble.is_snoozed(now) {
                *open.entry(trouble.key.kind).or_default() += 1;
            }
        }
        Ok(open)
    }
}
