//! Whether retention holds back: a wrong clock must not remove anything.
//!
//! What is too old depends on the clock. So each run compares the clock with that of the last
//! run, which the store keeps, and in a process that has been running with the monotonic clock
//! too. If they do not agree, nothing is removed until the clock is right again or an operator
//! says that it is ([`Prune::release`](crate::Prune::release)).

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::Timestamp;
use domain::retention_days::DAY_MICROS;
use ports::retention::{RetentionClock, RetentionKind, RetentionRun};

/// A clock may be corrected by this much without being taken for wrong.
const CLOCK_TOLERANCE_MICROS: i64 = HOUR_MICROS;

/// A run is noted in the store when the last one that is noted is older than this.
const NOTE_INTERVAL_MICROS: i64 = HOUR_MICROS;

/// One run may remove what became too old in this time; more takes an operator.
const MAX_RUN_MICROS: i64 = 7 * DAY_MICROS;

const HOUR_MICROS: i64 = 60 * 60 * 1_000_000;

/// Why nothing of a kind is removed.
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
    /// One run would remove what became too old in more than seven days.
    TooMuchAtOnce {
        /// The last run.
        last_run: Timestamp,
    },
    /// There is something that is too old, and nothing was ever removed.
    NeverRan,
    /// The log begins with reports that are dated after the current time.
    FutureReports {
        /// When the first of them is said to have arrived.
        first: Timestamp,
    },
}

/// What is wrong and what to do, for people.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockBehind { last_run } => write!(
                f,
                "the clock is behind that of the last run ({last_run}): set the clock"
            )?,
            Self::ClockJumped { last_run } => write!(
                f,
                "the clock has jumped since the last run ({last_run}): check the clock"
            )?,
            Self::TooMuchAtOnce { last_run } => write!(
                f,
                "the last run was more than seven days ago ({last_run}): check the clock"
            )?,
            Self::NeverRan => write!(
                f,
                "there is data that is too old although retention never ran: check the clock"
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

/// What is held back in this process, and why; shared by retention with those who show it.
#[derive(Debug, Default)]
pub struct RetentionHolds(Mutex<[Option<Hold>; RetentionKind::ALL.len()]>);

impl RetentionHolds {
    /// What is held back.
    #[must_use]
    pub fn all(&self) -> Vec<(RetentionKind, Hold)> {
        let holds = *self.lock();
        let kinds = RetentionKind::ALL.into_iter().zip(holds);
        kinds
            .filter_map(|(kind, hold)| Some((kind, hold?)))
            .collect()
    }

    /// Notes whether a kind is held back. A change is logged.
    pub(crate) fn set(&self, kind: RetentionKind, hold: Option<Hold>) {
        let before = self.lock().get_mut(kind as usize).map(|place| {
            let before = *place;
            *place = hold;
            before
        });
        if before == Some(hold) {
            return;
        }
        let kind = kind.as_str();
        if let Some(why) = hold {
            tracing::warn!(kind, "retention holds back, nothing is removed: {why}");
        } else {
            tracing::info!(kind, "retention goes on");
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Hold>; RetentionKind::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clock at the last good run of this process, and the monotonic clock at that moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) at: Timestamp,
    pub(crate) instant: Instant,
}

impl Anchor {
    /// Whether the clock went further than the time that has passed.
    fn has_jumped(self, now: Timestamp, instant: Instant) -> bool {
        let passed = instant.saturating_duration_since(self.instant);
        since(self.at, now).saturating_sub(micros(passed)) > CLOCK_TOLERANCE_MICROS
    }
}

/// Returns why the clock is not to be trusted, if it is not. `NeverRan`, `ClockJumped` and
/// `TooMuchAtOnce` matter only if there is something to remove.
pub(crate) fn doubt(
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
    if elapsed <= NOTE_INTERVAL_MICROS + CLOCK_TOLERANCE_MICROS && !last.held_back {
        return None;
    }
    if elapsed > MAX_RUN_MICROS {
        return Some(Hold::TooMuchAtOnce { last_run });
    }
    // A process that has just started relies on what others have seen.
    let jumped = anchor.map_or(last.held_back, |it| it.has_jumped(clock.now, instant));
    jumped.then_some(Hold::ClockJumped { last_run })
}

/// Whether a good run is to be noted in the store.
pub(crate) fn is_to_be_noted(clock: &RetentionClock) -> bool {
    let noted =
        |run: RetentionRun| !run.held_back && since(run.at, clock.now) <= NOTE_INTERVAL_MICROS;
    !clock.last_run.is_some_and(noted)
}

/// Whether a report that is dated so holds the log although it is not new.
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
    fn a_clock_that_goes_with_the_monotonic_clock_is_trusted() {
        let began = Instant::now();
        let at = Timestamp::EPOCH;
        let anchor = Some(Anchor { at, instant: began });
        assert_eq!(doubt(&clock(72, 0, false), anchor, began + HOUR * 72), None);
        assert_eq!(doubt(&clock(2, 0, false), anchor, began), None);
        let jumped = doubt(&clock(72, 0, false), anchor, began + HOUR * 3);
        assert_eq!(jumped, Some(Hold::ClockJumped { last_run: at }));
        // Corrected, it goes on.
        assert_eq!(doubt(&clock(3, 0, true), anchor, began + HOUR * 3), None);
    }

    #[test]
    fn a_process_that_has_just_started_relies_on_the_last_run() {
        let now = Instant::now();
        let last_run = Timestamp::EPOCH;
        assert_eq!(doubt(&clock(72, 0, false), None, now), None);
        let held = Some(Hold::ClockJumped { last_run });
        assert_eq!(doubt(&clock(72, 0, true), None, now), held);
        let long = Some(Hold::TooMuchAtOnce { last_run });
        assert_eq!(doubt(&clock(7 * 24 + 1, 0, false), None, now), long);
        assert_eq!(doubt(&clock(7 * 24, 0, false), None, now), None);
        let behind = Some(Hold::ClockBehind { last_run });
        assert_eq!(doubt(&clock(-2, 0, false), None, now), behind);
        assert_eq!(doubt(&clock(-1, 0, false), None, now), None);
    }
}
