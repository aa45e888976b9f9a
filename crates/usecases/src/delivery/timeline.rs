//! Times that corrections of the system's clock do not move.

use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use ports::Clock;

use super::later;

/// Monotonic time as timestamps. It begins at the time of day and then goes on by
/// the time that has passed, so pauses last as long as they should when the
/// system's clock is set. What is stored is in the time of day.
pub(super) struct Timeline {
    clock: Arc<dyn Clock>,
    origin: Timestamp,
    began: Duration,
}

impl Timeline {
    /// Begins now.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            origin: clock.now(),
            began: clock.monotonic(),
            clock,
        }
    }

    /// Returns the present time on this timeline.
    pub(super) fn now(&self) -> Timestamp {
        let passed = self.clock.monotonic().saturating_sub(self.began);
        later(self.origin, passed)
    }

    /// Converts a time of this timeline to the time of day, to be stored.
    pub(super) fn to_time_of_day(&self, at: Timestamp) -> Timestamp {
        let ahead = micros_between(self.now(), at);
        self.clock.now().plus_micros(ahead)
    }

    /// Converts a stored time. One that is further ahead than `at_most` was written
    /// by a clock that was wrong, and is taken for a time so far ahead.
    pub(super) fn capped(&self, stored: Timestamp, at_most: Duration) -> Timestamp {
        let at_most = i64::try_from(at_most.as_micros()).unwrap_or(i64::MAX);
        let ahead = micros_between(self.clock.now(), stored);
        self.now().plus_micros(ahead.min(at_most))
    }
}

fn micros_between(from: Timestamp, to: Timestamp) -> i64 {
    to.unix_micros().saturating_sub(from.unix_micros())
}

#[cfg(test)]
mod tests {
    use testkit::clock::FixedClock;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const MICROS: i64 = 3_600_000_000;

    #[test]
    fn corrections_of_the_clock_do_not_move_it() {
        let clock = Arc::new(FixedClock::default());
        let timeline = Timeline::new(clock.clone());
        let start = timeline.now();
        clock.turn_back(HOUR);
        assert_eq!(timeline.now(), start);
        clock.advance(Duration::from_secs(2));
        assert_eq!(timeline.now(), start.plus_micros(2_000_000));
        let due = timeline.now().plus_micros(5);
        let stored = timeline.to_time_of_day(due);
        assert_eq!(stored, clock.now().plus_micros(5));
        assert_eq!(timeline.capped(stored, HOUR), due);
    }

    #[test]
    fn stored_times_are_capped() {
        let clock = Arc::new(FixedClock::default());
        let timeline = Timeline::new(clock.clone());
        let now = clock.now();
        let later = |hours: i64| now.plus_micros(hours * MICROS);
        let converted = |hours| timeline.capped(later(hours), HOUR * 4);
        assert_eq!(converted(3), later(3));
        assert_eq!(converted(300), later(4));
        assert_eq!(converted(-300), later(-300));
    }
}
