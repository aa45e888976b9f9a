//! Retention: removes what is older than its setting, a bounded step at a time.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::{RetentionDays, Timestamp};
use ports::retention::{Pruning, RetentionClock, RetentionKind, RetentionRun, RetentionRuns};
use ports::subscriptions::DeliveryRetention;
use ports::{Clock, Retention, StoreError};

use crate::retention::hold::{self, Anchor, Hold, RetentionHolds};

/// How many rows one step removes of each kind, or looks at.
const BUDGET: NonZeroU32 = NonZeroU32::new(2_000).unwrap();

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepFor {
    /// Reports, and with them the events that can be read again.
    pub reports: Duration,
    /// Messages and their state, where a channel has no time of its own.
    pub messages: RetentionDays,
    /// What became of events at subscriptions.
    pub deliveries: Duration,
}

/// Removes what is too old. Each kind is removed by itself: one that cannot be removed now
/// does not keep the others.
pub struct Prune {
    stores: RetentionStores,
    clock: Arc<dyn Clock>,
    keep_for: KeepFor,
    holds: Arc<RetentionHolds>,
    anchors: Mutex<[Option<Anchor>; RetentionKind::ALL.len()]>,
}

/// What retention works on.
#[derive(Clone)]
pub struct RetentionStores {
    /// Reports and messages.
    pub retention: Arc<dyn Retention>,
    /// Deliveries.
    pub deliveries: Arc<dyn DeliveryRetention>,
    /// When it last ran.
    pub runs: Arc<dyn RetentionRuns>,
}

/// How retention of one kind is.
#[derive(Clone, Copy, Debug)]
pub struct RetentionStatus {
    /// The current time by the store's clock, and the last run.
    pub clock: RetentionClock,
    /// What is dated before this is too old.
    pub before: Timestamp,
    /// Why nothing is removed, if so.
    pub hold: Option<Hold>,
}

impl Prune {
    /// Removes what a store has kept for longer than this, and says in `holds` what it holds
    /// back.
    #[must_use]
    pub fn new(
        stores: RetentionStores,
        clock: Arc<dyn Clock>,
        keep_for: KeepFor,
        holds: Arc<RetentionHolds>,
    ) -> Self {
        Self {
            stores,
            clock,
            keep_for,
            holds,
            anchors: Mutex::default(),
        }
    }

    /// Makes room for the reports of the days to come, where the store keeps
    /// each day apart. Says for how many days.
    pub async fn make_partitions(&self) -> Result<u32, StoreError> {
        let clock = self.store_clock(RetentionKind::Reports).await?;
        self.stores.retention.make_partitions(clock.now).await
    }

    /// One step; to be called again until it is done. Removes nothing while the clock is in
    /// doubt.
    pub async fn run(&self, kind: RetentionKind) -> Result<Pruning, StoreError> {
        let clock = self.store_clock(kind).await?;
        if let Some(hold) = self.hold(kind, &clock).await? {
            self.hold_back(kind, &clock, hold).await?;
            return Ok(Pruning {
                rows: 0,
                days: 0,
                done: true,
            });
        }
        let (stores, before) = (&self.stores, self.before(kind, clock.now));
        let pruned = match kind {
            RetentionKind::Reports => stores.retention.prune_reports(before, BUDGET).await?,
            RetentionKind::Messages => {
                let keep = self.keep_for.messages;
                let retention = &stores.retention;
                retention.prune_messages(clock.now, keep, BUDGET).await?
            }
            RetentionKind::Deliveries => stores.deliveries.prune_deliveries(before, BUDGET).await?,
        };
        if pruned.done {
            self.finish(kind, &clock).await?;
        }
        Ok(pruned)
    }

    /// How retention of a kind is; changes nothing.
    pub async fn status(&self, kind: RetentionKind) -> Result<RetentionStatus, StoreError> {
        let clock = self.store_clock(kind).await?;
        let hold = match self.hold(kind, &clock).await? {
            Some(hold) => Some(hold),
            None => self.future_reports(kind, clock.now).await?,
        };
        Ok(RetentionStatus {
            clock,
            before: self.before(kind, clock.now),
            hold,
        })
    }

    /// Declares the store's clock right: every kind goes on from now, and reports that are in
    /// the log and dated after the current time no longer hold it. Returns the current time.
    pub async fn release(&self) -> Result<Timestamp, StoreError> {
        let now = self.store_clock(RetentionKind::Reports).await?.now;
        self.stores.runs.release_reports_after(now).await?;
        for kind in RetentionKind::ALL {
            let run = RetentionRun {
                at: now,
                held_back: false,
            };
            self.stores.runs.note(kind, run).await?;
        }
        Ok(now)
    }

    async fn store_clock(&self, kind: RetentionKind) -> Result<RetentionClock, StoreError> {
        self.stores.runs.clock(kind, self.clock.now()).await
    }

    /// Returns the time before which data of a kind is too old at `now`.
    fn before(&self, kind: RetentionKind, now: Timestamp) -> Timestamp {
        let kept_for = match kind {
            RetentionKind::Reports => self.keep_for.reports,
            RetentionKind::Messages => return self.keep_for.messages.cut(now),
            RetentionKind::Deliveries => self.keep_for.deliveries,
        };
        let micros = i64::try_from(kept_for.as_micros()).unwrap_or(i64::MAX);
        now.plus_micros(micros.saturating_neg())
    }

    /// Why nothing of a kind may be removed, if so.
    async fn hold(
        &self,
        kind: RetentionKind,
        clock: &RetentionClock,
    ) -> Result<Option<Hold>, StoreError> {
        let anchor = self.anchor(kind);
        let Some(hold) = hold::doubt(clock, anchor, Instant::now()) else {
            return Ok(None);
        };
        if matches!(hold, Hold::ClockBehind { .. }) {
            return Ok(Some(hold));
        }
        // Where nothing is too old, nothing can be removed by mistake.
        let before = self.before(kind, clock.now);
        let runs = &self.stores.runs;
        let older = runs.has_older(kind, before, clock.now).await?;
        Ok(older.then_some(hold))
    }

    /// Notes a hold, in the store too if it must outlive this process.
    async fn hold_back(
        &self,
        kind: RetentionKind,
        clock: &RetentionClock,
        hold: Hold,
    ) -> Result<(), StoreError> {
        if let (Hold::ClockJumped { .. }, Some(last)) = (hold, clock.last_run)
            && !last.held_back
        {
            let run = RetentionRun {
                held_back: true,
                ..last
            };
            self.stores.runs.note(kind, run).await?;
        }
        self.holds.set(kind, Some(hold));
        Ok(())
    }

    /// Notes a good run.
    async fn finish(&self, kind: RetentionKind, clock: &RetentionClock) -> Result<(), StoreError> {
        if hold::is_to_be_noted(clock) {
            let run = RetentionRun {
                at: clock.now,
                held_back: false,
            };
            self.stores.runs.note(kind, run).await?;
        }
        self.set_anchor(kind, clock.now);
        let hold = self.future_reports(kind, clock.now).await?;
        self.holds.set(kind, hold);
        Ok(())
    }

    /// Whether the log is held by reports that are dated after the current time.
    async fn future_reports(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<Option<Hold>, StoreError> {
        if kind != RetentionKind::Reports {
            return Ok(None);
        }
        let first = self.stores.runs.first_report().await?;
        let first = first.filter(|first| hold::is_in_future(*first, now));
        Ok(first.map(|first| Hold::FutureReports { first }))
    }

    fn set_anchor(&self, kind: RetentionKind, at: Timestamp) {
        let instant = Instant::now();
        let mut anchors = self.anchors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = anchors.get_mut(kind as usize) {
            *place = Some(Anchor { at, instant });
        }
    }

    fn anchor(&self, kind: RetentionKind) -> Option<Anchor> {
        let anchors = self.anchors.lock().unwrap_or_else(PoisonError::into_inner);
        anchors.get(kind as usize).copied().flatten()
    }
}
