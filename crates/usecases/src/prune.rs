//! Making room: what is older than anybody needs goes, a little at a time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::{KeepDays, Timestamp};
use ports::retention::Pruning;
use ports::subscriptions::DeliveryRetention;
use ports::{Clock, Retention, StoreError};

/// How many rows one step removes of each kind, or looks at.
const BUDGET: NonZeroU32 = NonZeroU32::new(2_000).unwrap();

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepFor {
    /// Reports, and with them the events that can be read again.
    pub reports: Duration,
    /// Messages and their state, where a channel has no time of its own.
    pub messages: KeepDays,
    /// What became of events at subscriptions.
    pub deliveries: Duration,
}

/// Removes what is too old.
pub struct Prune {
    retention: Arc<dyn Retention>,
    deliveries: Arc<dyn DeliveryRetention>,
    clock: Arc<dyn Clock>,
    keep_for: KeepFor,
}

/// What is removed, each for itself: one that cannot be removed just now does not
/// keep the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reports of the log.
    Reports,
    /// Messages; they go after their reports.
    Messages,
    /// Deliveries.
    Deliveries,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reports, Self::Messages, Self::Deliveries];
}

impl Prune {
    /// Removes what a store has kept for longer than this.
    #[must_use]
    pub fn new(
        retention: Arc<dyn Retention>,
        deliveries: Arc<dyn DeliveryRetention>,
        clock: Arc<dyn Clock>,
        keep_for: KeepFor,
    ) -> Self {
        Self {
            retention,
            deliveries,
            clock,
            keep_for,
        }
    }

    /// Makes room for the reports of the days to come, where the store keeps
    /// each day apart. Says for how many days.
    pub async fn make_partitions(&self) -> Result<u32, StoreError> {
        self.retention.make_partitions(self.clock.now()).await
    }

    /// One step; to be called again until it is done.
    pub async fn run(&self, kind: Kind) -> Result<Pruning, StoreError> {
        let now = self.clock.now();
        let keep_for = &self.keep_for;
        match kind {
            Kind::Reports => {
                let before = before(now, keep_for.reports);
                self.retention.prune_reports(before, BUDGET).await
            }
            Kind::Messages => {
                let keep = keep_for.messages;
                self.retention.prune_messages(now, keep, BUDGET).await
            }
            Kind::Deliveries => {
                let before = before(now, keep_for.deliveries);
                self.deliveries.prune_deliveries(before, BUDGET).await
            }
        }
    }
}

fn before(now: Timestamp, kept_for: Duration) -> Timestamp {
    let micros = i64::try_from(kept_for.as_micros()).unwrap_or(i64::MAX);
    now.plus_micros(micros.saturating_neg())
}
