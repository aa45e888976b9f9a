//! Stops retention while the clock may be wrong.
//!
//! Which data has expired depends on the clock. So each run compares the clock with the last run,
//! which is stored, and with the monotonic clock of this process. If they disagree, nothing is
//! removed until the clock is right again, or an operator confirms it ([`Prune::release`]).
//!
//! [`Prune::release`]: crate::retention::prune::Prune::release

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::Timestamp;
use domain::retention_days::DAY_MICROS;
use ports::maintenance::{RetentionClock, RetentionKind, RetentionRun};

/// Corrections of the clock up to this size are normal.
const CLOCK_TOLERANCE_MICROS: i64 = HOUR_MICROS;

/// A run is stored if the last stored one is older than this.
const STORE_INTERVAL_MICROS: i64 = HOUR_MICROS;

/// Returns how much time one run may cover; to remove what expired in more needs an operator.
/// Requests to forward expire after three days: in this time all of them would.
const fn max_run_micros(kind: RetentionKind) -> i64 {
    match kind {
        RetentionKind::ForwardedRequests => DAY_MICROS,
        RetentionKind::Reports
        | RetentionKind::Messages
        | RetentionKind::Deliveries
        | RetentionKind::Audit => 7 * DAY_MICROS,
    }
}

const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;

/// Why data of a kind is not removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The clock is earlier than it was at the last run.
    ClockBehind {
        /// The last run.
        last_run: Timestamp,
    },
    /// The clock has jumped ahead since the last run.
    ClockJumped {
        /// The last run.
        last_run: Timestamp,
    },
    /// One run would remove what expired in more than seven days, or one day for requests that wait
    /// to be forwarded.
    TooMuchAtOnce {
        /// The last run.
        last_run: Timestamp,
    },
    /// There is expired data, and retention never ran.
    NeverRan,
    /// The log begins with reports of a time in the future.
    FutureReports {
        /// Arrival time of the first one.
        first: Timestamp,
    },
}

/// Says what is wrong and what to do.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockBehind { last_run } => write!(
                f,
                "the clock is earlier than at the last run ({last_run}): set the clock"
            )?,
            Self::ClockJumped { last_run } => write!(
                f,
                "the clock has jumped since the last run ({last_run}): check the clock"
            )?,
            Self::TooMuchAtOnce { last_run } => write!(
                f,
                "the last run was too long ago ({last_run}): check the clock"
            )?,
            Self::NeverRan => write!(
                f,
                "there is expired data although retention never ran: check the clock"
            )?,
            Self::FutureReports { first } => write!(
                f,
                "the log begins with a report dated after the current time ({first}): check the \
                 clocks of receivers"
            )?,
        }
        write!(f, ", then run `receiptd retention release`")
    }
}

/// The current holds of this process; retention sets them, health and metrics show them.
#[derive(Debug, Default)]
pub struct RetentionHolds(Mutex<[Option<Hold>; RetentionKind::ALL.len()]>);

impl RetentionHolds {
    /// Returns the current holds.
    #[must_use]
    pub fn all(&self) -> Vec<(RetentionKind, Hold)> {
        let holds = *self.lock();
        let kinds = RetentionKind::ALL.into_iter().zip(holds);
        kinds
            .filter_map(|(kind, hold)| Some((kind, hold?)))
            .collect()
    }

    /// Sets or ends the hold of a kind. A change is logged.
    pub(crate) fn set(&self, kind: RetentionKind, hold: Option<Hold>) {
        let before = self
            .lock()
            .get_mut(kind as usize)
            .map(|current| std::mem::replace(current, hold));
        if before == Some(hold) {
            return;
        }
        let kind = kind.as_str();
        if let Some(why) = hold {
            tracing::warn!(kind, "retention stopped: {why}");
        } else {
            tracing::info!(kind, "retention continues");
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Hold>; RetentionKind::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock and the monotonic clock at the last successful run of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) at: Timestamp,
    pub(crate) instant: Instant,
}

impl Anchor {
    /// Returns whether the clock moved further than the monotonic clock.
    fn has_jumped(self, now: Timestamp, instant: Instant) -> bool {
        let passed = instant.saturating_duration_since(self.instant);
        since(self.at, now).saturating_sub(micros(passed)) > CLOCK_TOLERANCE_MICROS
    }
}

/// Returns why the clock may be wrong, if it may. `NeverRan`, `ClockJumped` and `TooMuchAtOnce`
/// matter only if there is expired data.
pub(crate) fn clock_doubt(
    kind: RetentionKind,
    clock: &RetentionClock,
    anchor: Option<Anchor>,
    instant: Instant,
) -> Option<Hold> {
    let Some(last) = clock.last_run else {
        return Some(Hold::NeverRan);
    };
    let last_run = last.at;
    let elapsed = since(last_run, clock.now);
    if elapsed < -CLOCK_TOLERANCE_MICROS {
        return Some(Hold::ClockBehind { last_run });
    }
    if elapsed <= STORE_INTERVAL_MICROS + CLOCK_TOLERANCE_MICROS && !last.held_back {
        return None;
    }
    if elapsed > max_run_micros(kind) {
        return Some(Hold::TooMuchAtOnce { last_run });
    }
    // A process that has just started relies on the stored run.
    let jumped = anchor.map_or(last.held_back, |it| it.has_jumped(clock.now, instant));
    jumped.then_some(Hold::ClockJumped { last_run })
}

/// Returns whether a successful run should be stored.
pub(crate) fn should_store_run(clock: &RetentionClock) -> bool {
    let recent =
        |run: RetentionRun| !run.held_back && since(run.at, clock.now) <= STORE_INTERVAL_MICROS;
    !clock.last_run.is_some_and(recent)
}

/// Returns whether the arrival time of the first report is in the future.
pub(crate) fn is_in_future(first: Timestamp, now: Timestamp) -> bool {
    since(now, first) > CLOCK_TOLERANCE_MICROS
}

fn since(before: Timestamp, now: Timestamp) -> i64 {
    now.unix_micros().saturating_sub(before.unix_micros())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const KIND: RetentionKind = RetentionKind::Reports;

    fn clock(now: i64, last: i64, held_back: bool) -> RetentionClock {
        let time = |hours: i64| Timestamp::EPOCH.plus_micros(hours * HOUR_MICROS);
        RetentionClock {
            now: time(now),
            last_run: Some(RetentionRun {
                at: time(last),
                held_back,
            }),
        }
    }

    #[test]
    fn clock_that_agrees_with_the_monotonic_clock_is_trusted() {
        let began = Instant::now();
        let at = Timestamp::EPOCH;
        let anchor = Some(Anchor { at, instant: began });
        assert_eq!(
            clock_doubt(KIND, &clock(72, 0, false), anchor, began + HOUR * 72),
            None
        );
        assert_eq!(clock_doubt(KIND, &clock(2, 0, false), anchor, began), None);
        let jumped = clock_doubt(KIND, &clock(72, 0, false), anchor, began + HOUR * 3);
        assert_eq!(jumped, Some(Hold::ClockJumped { last_run: at }));
        // It continues once the clock is corrected.
        assert_eq!(
            clock_doubt(KIND, &clock(3, 0, true), anchor, began + HOUR * 3),
            None
        );
    }

    #[test]
    fn new_process_relies_on_the_last_run() {
        let now = Instant::now();
        let last_run = Timestamp::EPOCH;
        assert_eq!(clock_doubt(KIND, &clock(72, 0, false), None, now), None);
        let held = Some(Hold::ClockJumped { last_run });
        assert_eq!(clock_doubt(KIND, &clock(72, 0, true), None, now), held);
        let long = Some(Hold::TooMuchAtOnce { last_run });
        assert_eq!(
            clock_doubt(KIND, &clock(7 * 24 + 1, 0, false), None, now),
            long
        );
        assert_eq!(clock_doubt(KIND, &clock(7 * 24, 0, false), None, now), None);
        let forwarding = RetentionKind::ForwardedRequests;
        let doubt = |hours| clock_doubt(forwarding, &clock(hours, 0, false), None, now);
        assert_eq!((doubt(24), doubt(25)), (None, long));
        let behind = Some(Hold::ClockBehind { last_run });
        assert_eq!(clock_doubt(KIND, &clock(-2, 0, false), None, now), behind);
        assert_eq!(clock_doubt(KIND, &clock(-1, 0, false), None, now), None);
    }
}
