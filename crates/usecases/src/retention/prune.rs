//! Removes data that is older than its retention, a bounded step at a time.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::forwarding::FORWARDING_PERIOD;
use domain::statistics::Interval;
use domain::{RetentionDays, Timestamp};
use ports::maintenance::{Pruning, RetentionClock, RetentionKind, RetentionRun};
use ports::{Environment, Maintenance, Statistics, StoreError};

use crate::forwarding::ForwardingExpiry;
use crate::retention::hold::{self, Anchor, Hold, RetentionHolds};

/// How long statistics are kept by quarters of an hour. Those by days are kept as long as messages.
const KEEP_QUARTERS_MICROS: i64 = 90 * 24 * 60 * 60 * 1_000_000;

/// Rows of statistics that one statement removes.
const STATISTICS_ROWS: NonZeroU16 = NonZeroU16::new(1_000).unwrap();

/// Rows that one step removes or examines.
const STEP_ROWS: NonZeroU32 = NonZeroU32::new(2_000).unwrap();

/// Retention settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepFor {
    /// Of reports, and of the events that follow from them.
    pub reports: Duration,
    /// Of messages of channels without a retention of their own.
    pub messages: RetentionDays,
    /// Of completed deliveries.
    pub deliveries: Duration,
    /// Of entries of the audit log.
    pub audit: Duration,
}

/// Removes expired data. Each kind is independent: one on hold does not stop the others.
pub struct Prune {
    store: Arc<dyn Maintenance>,
    clock: Arc<dyn Environment>,
    keep_for: KeepFor,
    holds: Arc<RetentionHolds>,
    statistics: Arc<dyn Statistics>,
    forwarding: ForwardingExpiry,
    anchors: Mutex<[Option<Anchor>; RetentionKind::ALL.len()]>,
}

/// State of retention for one kind.
#[derive(Clone, Copy, Debug)]
pub struct RetentionStatus {
    /// The store's clock and the last run.
    pub clock: RetentionClock,
    /// Data from before this time has expired.
    pub before: Timestamp,
    /// Why nothing is removed, if retention is stopped.
    pub hold: Option<Hold>,
}

impl Prune {
    /// Removes data that is older than `keep_for`, and reports holds in `holds`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Maintenance>,
        statistics: Arc<dyn Statistics>,
        forwarding: ForwardingExpiry,
        clock: Arc<dyn Environment>,
        keep_for: KeepFor,
        holds: Arc<RetentionHolds>,
    ) -> Self {
        Self {
            store,
            clock,
            keep_for,
            holds,
            statistics,
            forwarding,
            anchors: Mutex::default(),
        }
    }

    /// Creates the partitions of the coming days, if the store has partitions. Returns how many.
    pub async fn make_partitions(&self) -> Result<u32, StoreError> {
        let clock = self.store_clock(RetentionKind::Reports).await?;
        self.store.make_partitions(clock.now).await
    }

    /// Runs one step; call it again until it is done. Removes nothing while the clock may be wrong.
    #[tracing::instrument(level = "debug", name = "prune", skip(self), fields(kind = kind.as_str()))]
    pub async fn run(&self, kind: RetentionKind) -> Result<Pruning, StoreError> {
        let clock = self.store_clock(kind).await?;
        if let Some(hold) = self.hold(kind, &clock).await? {
            self.set_hold(kind, &clock, hold).await?;
            return Ok(Pruning {
                rows: 0,
                days: 0,
                done: true,
            });
        }
        let (store, before) = (&self.store, self.before(kind, clock.now));
        let pruned = match kind {
            RetentionKind::Reports => store.prune_reports(before, STEP_ROWS).await?,
            RetentionKind::Messages => {
                let keep = self.keep_for.messages;
                store.prune_messages(clock.now, keep, STEP_ROWS).await?
            }
            RetentionKind::Deliveries => store.prune_deliveries(before, STEP_ROWS).await?,
            RetentionKind::Audit => store.prune_audit(before, STEP_ROWS).await?,
            RetentionKind::ForwardedRequests => self.forwarding.run(before, clock.now).await?,
        };
        if pruned.done {
            self.prune_statistics(kind, clock.now).await?;
            self.finish(kind, &clock).await?;
        }
        Ok(pruned)
    }

    /// Removes expired statistics: together with other data, so that a wrong clock removes neither.
    async fn prune_statistics(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (interval, before) = match kind {
            RetentionKind::Reports => (
                Interval::QuarterHour,
                now.plus_micros(-KEEP_QUARTERS_MICROS),
            ),
            RetentionKind::Messages => (Interval::Day, self.keep_for.messages.cut(now)),
            RetentionKind::Deliveries | RetentionKind::Audit | RetentionKind::ForwardedRequests => {
                return Ok(());
            }
        };
        while self
            .statistics
            .prune_statistics(interval, before, STATISTICS_ROWS)
            .await?
            > 0
        {}
        let messages = kind == RetentionKind::Messages;
        while messages && self.statistics.prune_recipients(STATISTICS_ROWS).await? > 0 {}
        Ok(())
    }

    /// Returns the state of retention for a kind; changes nothing.
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

    /// Confirms that the store's clock is right: retention of every kind continues, and reports
    /// with a time in the future no longer stop it. Returns the current time.
    pub async fn release(&self) -> Result<Timestamp, StoreError> {
        let now = self.store_clock(RetentionKind::Reports).await?.now;
        self.store.release_reports_after(now).await?;
        for kind in RetentionKind::ALL {
            let run = RetentionRun {
                at: now,
                held_back: false,
            };
            self.store.note_retention_run(kind, run).await?;
        }
        Ok(now)
    }

    async fn store_clock(&self, kind: RetentionKind) -> Result<RetentionClock, StoreError> {
        self.store.retention_clock(kind, self.clock.now()).await
    }

    /// Returns the time before which data of a kind has expired at `now`.
    fn before(&self, kind: RetentionKind, now: Timestamp) -> Timestamp {
        let kept_for = match kind {
            RetentionKind::Reports => self.keep_for.reports,
            RetentionKind::Messages => return self.keep_for.messages.cut(now),
            RetentionKind::Deliveries => self.keep_for.deliveries,
            RetentionKind::Audit => self.keep_for.audit,
            RetentionKind::ForwardedRequests => FORWARDING_PERIOD,
        };
        let micros = i64::try_from(kept_for.as_micros()).unwrap_or(i64::MAX);
        now.plus_micros(micros.saturating_neg())
    }

    /// Returns why data of a kind must not be removed, if so.
    async fn hold(
        &self,
        kind: RetentionKind,
        clock: &RetentionClock,
    ) -> Result<Option<Hold>, StoreError> {
        let anchor = self.anchor(kind);
        let Some(hold) = hold::clock_doubt(kind, clock, anchor, Instant::now()) else {
            return Ok(None);
        };
        if matches!(hold, Hold::ClockBehind { .. }) {
            return Ok(Some(hold));
        }
        // Without expired data, nothing can be removed by mistake.
        let before = self.before(kind, clock.now);
        let runs = &self.store;
        let older = runs.has_older(kind, before, clock.now).await?;
        Ok(older.then_some(hold))
    }

    /// Sets a hold, and stores it if it must survive a restart.
    async fn set_hold(
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
            self.store.note_retention_run(kind, run).await?;
        }
        self.holds.set(kind, Some(hold));
        Ok(())
    }

    /// Records a successful run.
    async fn finish(&self, kind: RetentionKind, clock: &RetentionClock) -> Result<(), StoreError> {
        if hold::should_store_run(clock) {
            let run = RetentionRun {
                at: clock.now,
                held_back: false,
            };
            self.store.note_retention_run(kind, run).await?;
        }
        self.set_anchor(kind, clock.now);
        let hold = self.future_reports(kind, clock.now).await?;
        self.holds.set(kind, hold);
        Ok(())
    }

    /// Returns a hold if the log begins with reports of a time in the future.
    async fn future_reports(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<Option<Hold>, StoreError> {
        if kind != RetentionKind::Reports {
            return Ok(None);
        }
        let first = self.store.first_report().await?;
        let first = first.filter(|first| hold::is_in_future(*first, now));
        Ok(first.map(|first| Hold::FutureReports { first }))
    }

    fn set_anchor(&self, kind: RetentionKind, at: Timestamp) {
        let instant = Instant::now();
        let mut anchors = self.anchors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(anchor) = anchors.get_mut(kind as usize) {
            *anchor = Some(Anchor { at, instant });
        }
    }

    fn anchor(&self, kind: RetentionKind) -> Option<Anchor> {
        let anchors = self.anchors.lock().unwrap_or_else(PoisonError::into_inner);
        anchors.get(kind as usize).copied().flatten()
    }
}
