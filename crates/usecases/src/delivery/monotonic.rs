//! Monotonic times, which changes of the clock do not affect.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use ports::Environment;

/// Monotonic time as timestamps: starts at the time of day and advances with the monotonic clock,
/// so pauses keep their length when the system's clock is set. Stores hold the time of day.
pub(super) struct MonotonicTimeline {
    clock: Arc<dyn Environment>,
    origin: Timestamp,
    began: Duration,
}

impl MonotonicTimeline {
    pub(super) fn new(clock: Arc<dyn Environment>) -> Self {
        Self {
            origin: clock.now(),
            began: clock.monotonic(),
            clock,
        }
    }

    /// Returns the present time on this timeline.
    pub(super) fn now(&self) -> Timestamp {
        let passed = self.clock.monotonic().saturating_sub(self.began);
        plus(self.origin, passed)
    }

    /// Returns the time of day.
    pub(super) fn time_of_day(&self) -> Timestamp {
        self.clock.now()
    }

    /// Converts a time of this timeline to the time of day, to be stored.
    pub(super) fn to_time_of_day(&self, at: Timestamp) -> Timestamp {
        let ahead = micros_between(self.now(), at);
        self.clock.now().plus_micros(ahead)
    }

    /// Converts a stored time. A time more than `max_ahead` in the future was written under a
    /// wrong clock, and is reduced to `max_ahead`.
    pub(super) fn convert_stored(&self, stored: Timestamp, max_ahead: Duration) -> Timestamp {
        let max_ahead = i64::try_from(max_ahead.as_micros()).unwrap_or(i64::MAX);
        let ahead = micros_between(self.clock.now(), stored);
        self.now().plus_micros(ahead.min(max_ahead))
    }
}

/// Returns the time `duration` after `at`.
pub(super) fn plus(at: Timestamp, duration: Duration) -> Timestamp {
    at.plus_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// Returns the time from `since` to `now`; zero if `since` is later.
pub(super) fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(micros_between(since, now)).unwrap_or_default())
}

fn micros_between(from: Timestamp, to: Timestamp) -> i64 {
    to.unix_micros().saturating_sub(from.unix_micros())
}

#[cfg(test)]
mod tests {
    use testkit::clock::FixedClock;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn clock_corrections_do_not_move_the_timeline() {
        let clock = Arc::new(FixedClock::default());
        let timeline = MonotonicTimeline::new(clock.clone());
        let start = timeline.now();
        clock.turn_back(HOUR);
        assert_eq!(timeline.now(), start);
        clock.advance(Duration::from_secs(2));
        assert_eq!(timeline.now(), start.plus_micros(2_000_000));
        let due = timeline.now().plus_micros(5);
        let stored = timeline.to_time_of_day(due);
        assert_eq!(stored, clock.now().plus_micros(5));
        assert_eq!(timeline.convert_stored(stored, HOUR), due);
    }

    #[test]
    fn stored_times_are_capped() {
        let clock = Arc::new(FixedClock::default());
        let timeline = MonotonicTimeline::new(clock.clone());
        let later = |hours: i64| clock.now().plus_micros(hours * 3_600_000_000);
        let converted = |hours| timeline.convert_stored(later(hours), HOUR * 4);
        assert_eq!(converted(3), later(3));
        assert_eq!(converted(300), later(4));
        assert_eq!(converted(-300), later(-300));
    }
}
