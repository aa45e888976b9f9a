//! What waits to be forwarded.

use std::sync::Arc;
use std::time::Duration;

use domain::forwarding::WaitingRequests;
use domain::{ChannelId, Timestamp};
use ports::{Environment, ForwardedRequestStore, StoreError};
use tokio::sync::Mutex;

/// How old the figures of all channels may be.
const CACHE_MICROS: i64 = 10_000_000;

/// How long they wait for the store.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// What waits of channels, by channel id.
pub type WaitingByChannel = Arc<[(ChannelId, WaitingRequests)]>;

/// Counts the requests that wait to be forwarded.
pub struct ForwardingFigures {
    store: Arc<dyn ForwardedRequestStore>,
    clock: Arc<dyn Environment>,
    last: Mutex<Option<(Timestamp, Option<WaitingByChannel>)>>,
}

impl ForwardingFigures {
    /// Counts the requests of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ForwardedRequestStore>, clock: Arc<dyn Environment>) -> Self {
        Self {
            store,
            clock,
            last: Mutex::default(),
        }
    }

    /// Returns what waits of a channel; `None` if nothing does.
    pub async fn of(&self, channel: &ChannelId) -> Result<Option<WaitingRequests>, StoreError> {
        let mut waiting = self.store.waiting_requests(Some(channel)).await?;
        Ok(waiting.pop().map(|(_, waiting)| waiting))
    }

    /// Returns what waits of all channels, at most ten seconds old, within about two seconds.
    /// `None` if the store failed. Concurrent calls cause one read.
    pub async fn all(&self) -> Option<WaitingByChannel> {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        if let Some((at, figures)) = &*last
            // A clock that was set back must not keep the cache valid forever.
            && (*at..at.plus_micros(CACHE_MICROS)).contains(&now)
        {
            return figures.clone();
        }
        let read = self.store.waiting_requests(None);
        let figures = match tokio::time::timeout(STORE_TIMEOUT, read).await {
            Ok(Ok(figures)) => Some(figures.into()),
            // The metrics are missing then; health reports the cause.
            Ok(Err(_)) | Err(_) => None,
        };
        *last = Some((now, figures.clone()));
        figures
    }
}
