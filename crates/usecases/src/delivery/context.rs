//! What all dispatchers of a worker share.

use std::sync::Arc;
use std::time::Duration;

use domain::crypto::ServerSecret;
use ports::{DeliveryQueue, Environment, Metrics, WebhookSender};

use super::limits::Limits;
use super::stop_alerts::StopAlerts;
use super::throttle::Throttle;
use crate::channels::directory::ChannelDirectory;
use crate::events::tail_cache::LogTailCache;

/// Sizes and times of event delivery.
#[derive(Clone, Copy, Debug)]
pub struct DeliverySettings {
    /// Attempts in flight, per subscription.
    pub max_in_flight: usize,
    /// Events in memory, per subscription.
    pub max_buffered: usize,
    /// Attempts in flight, over all subscriptions.
    pub max_in_flight_total: usize,
    /// Events in memory over all subscriptions, besides a few of each.
    pub max_buffered_total: usize,
    /// Maximum number of pending deliveries of a subscription. At the maximum no further events are
    /// read for it.
    pub max_pending: usize,
    /// How long a lease lasts. It is renewed after a third of it.
    pub lease: Duration,
    /// How long completed deliveries may stay unwritten.
    pub write_interval: Duration,
    /// How long an endpoint may fail before its subscription is paused.
    pub pause_after: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            max_in_flight: 64,
            max_buffered: 1_000,
            max_in_flight_total: 512,
            max_buffered_total: 20_000,
            max_pending: 50_000,
            lease: Duration::from_secs(30),
            write_interval: Duration::from_millis(200),
            pause_after: Duration::from_hours(24),
        }
    }
}

/// Ports and shared parts that event delivery uses.
pub struct DeliveryDependencies {
    /// Leases subscriptions and stores progress.
    pub queue: Arc<dyn DeliveryQueue>,
    /// Reads the log once for all subscriptions.
    pub log: Arc<LogTailCache>,
    /// Limits attempts while ingest is saturated.
    pub throttle: Arc<Throttle>,
    /// Sends events.
    pub sender: Arc<dyn WebhookSender>,
    /// Knows the integrator of a channel, whose error codes events explain.
    pub directory: Arc<ChannelDirectory>,
    /// Opens signing secrets.
    pub secret: ServerSecret,
    /// The clock, and random numbers.
    pub environment: Arc<dyn Environment>,
    /// Counts attempts and stopped subscriptions.
    pub metrics: Arc<dyn Metrics>,
}

/// Dependencies, settings and limits of one worker.
pub(super) struct WorkerContext {
    pub(super) dependencies: DeliveryDependencies,
    pub(super) settings: DeliverySettings,
    pub(super) limits: Arc<Limits>,
    pub(super) alerts: StopAlerts,
}
