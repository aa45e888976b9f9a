//! Events pushed to subscribers.
//!
//! A worker leases a subscription, follows the log from where the subscription
//! stands, and sends its events: those of one message one after the other,
//! those of different messages side by side. What was sent is taken down in
//! batches, and then the position moves on; a worker that dies has the events
//! behind the position sent again by the next one, with the same ids. Of several
//! workers each has its share of the subscriptions.
//!
//! A target that takes nothing costs one try a minute: the log keeps its
//! events, and is read no further than is needed to have one to ask with. An
//! event that cannot be taken holds up only those of its message.

mod backoff;
mod flight;
mod health;
mod lanes;
mod limits;
mod pusher;
pub(crate) mod secrets;
mod stopped;
pub mod throttle;
mod timeline;

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use domain::secret::ServerSecret;
use ports::{Clock, DeliveryQueue, Ids, Metrics, StoreError, WebhookSender};
use tokio::time::Instant;

use crate::{ChannelDirectory, LogTailCache, Throttle};
use limits::Limits;
pub use pusher::Pusher;
use stopped::Stopped;

/// How pushing is dimensioned.
#[derive(Clone, Copy, Debug)]
pub struct PushSettings {
    /// How many events of one subscription are under way at a time.
    pub window: usize,
    /// How many events of one subscription wait in memory.
    pub waiting: usize,
    /// How many events of all subscriptions together are under way at a time.
    pub attempts: usize,
    /// How many events of all subscriptions together wait in memory, beside a few of
    /// each.
    pub events: usize,
    /// How many open deliveries a subscription may have in the store before
    /// nothing more is read for it.
    pub open: usize,
    /// How long a lease lasts, unless it is renewed. A third of it is how often
    /// it is.
    pub lease: Duration,
    /// How long what was delivered may stay unrecorded.
    pub record_every: Duration,
    /// How long a target may take nothing before its subscription is paused.
    pub pause_after: Duration,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            window: 64,
            waiting: 1_000,
            attempts: 512,
            events: 20_000,
            open: 50_000,
            lease: Duration::from_secs(30),
            record_every: Duration::from_millis(200),
            pause_after: Duration::from_hours(24),
        }
    }
}

/// What pushing needs.
pub struct PushParts {
    /// Hands out subscriptions.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Has the events.
    pub log: Arc<LogTailCache>,
    /// Limits attempts while ingest is saturated.
    pub throttle: Arc<Throttle>,
    /// Sends them.
    pub sink: Arc<dyn WebhookSender>,
    /// Knows whose error codes a channel has.
    pub directory: Arc<ChannelDirectory>,
    /// Opens signing secrets.
    pub secret: ServerSecret,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Makes the random numbers that spread retries.
    pub ids: Arc<dyn Ids>,
    /// Counts.
    pub observer: Arc<dyn Metrics>,
}

/// Pushes events to subscribers.
pub struct PushEvents {
    parts: Arc<PushParts>,
    settings: PushSettings,
    /// Under which name subscriptions are leased.
    worker: String,
    limits: Arc<Limits>,
    stopped: Arc<Stopped>,
}

impl PushEvents {
    /// Pushes under the name of this worker, for people who look who does it.
    #[must_use]
    pub fn new(parts: PushParts, settings: PushSettings, worker: String) -> Self {
        let stopped = Arc::new(Stopped::new(Arc::clone(&parts.observer)));
        Self {
            parts: Arc::new(parts),
            limits: Arc::new(Limits::new(&settings)),
            settings,
            worker,
            stopped,
        }
    }

    /// Leases a subscription that nobody serves, if there is one and this worker
    /// has not its share of them. Its pusher is to be run.
    pub async fn claim(&self) -> Result<Option<Pusher>, StoreError> {
        let (worker, lease) = (&self.worker, self.settings.lease);
        // The lease runs since some time between here and the answer.
        let asked_at = Instant::now();
        let leased = self.parts.queue.claim(worker, lease).await?;
        if leased.is_some() {
            // The lease may have been lost because a message was erased, and what is made
            // of an older log would be kept under the new one.
            self.parts.log.forget().await;
        }
        Ok(leased.map(|leased| {
            let (parts, stopped) = (Arc::clone(&self.parts), Arc::clone(&self.stopped));
            let limits = Arc::clone(&self.limits);
            Pusher::new(parts, self.settings, limits, leased, asked_at, stopped)
        }))
    }

    /// Leaves this worker's share to the others: it claims no more.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.parts.queue.leave(&self.worker).await
    }
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    now.plus_micros(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
}
