//! When a message without a final status is looked up: at the age of the settle time, and again at
//! twice, four times, eight times that age, until it is too old.

use std::ops::Range;
use std::time::Duration;

use domain::Timestamp;

/// Messages that were first reported earlier are not looked up by default: some never reach a
/// final status, such as those to a recipient who has blocked the sender. 72 hours.
pub(super) const MAX_AGE_MICROS: i64 = 72 * 3_600 * 1_000_000;

/// Returns the periods of first reports whose messages are due now, the earliest first. They do
/// not overlap: a message is looked up once, even if it has reached several of the ages since
/// `checked_through`.
///
/// `checked_through` is the end of the last period of an earlier call that was completed; all
/// lookups that were due then are done. `None` makes all messages due.
pub(super) fn due_periods(
    checked_through: Option<Timestamp>,
    settle_time: Duration,
    now: Timestamp,
) -> Vec<Range<Timestamp>> {
    let settle = micros(settle_time).max(1);
    let oldest = now.plus_micros(-MAX_AGE_MICROS);
    let until = now.plus_micros(-settle);
    // A time in the future was written before the clock was set back.
    let checked_through = checked_through.filter(|through| *through <= now);
    let through = checked_through.unwrap_or(oldest);
    let elapsed = until.unix_micros() - through.unix_micros();
    let ages = std::iter::successors(Some(settle), |age| age.checked_mul(2));
    let ages: Vec<_> = ages.take_while(|age| *age < MAX_AGE_MICROS).collect();
    let mut periods: Vec<Range<Timestamp>> = Vec::new();
    for age in ages.into_iter().rev() {
        let end = now.plus_micros(-age);
        let start = end.plus_micros(-elapsed).max(oldest);
        match periods.last_mut() {
            _ if start >= end => {}
            Some(last) if start <= last.end => last.end = end,
            _ => periods.push(start..end),
        }
    }
    periods
}

pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use testkit::builders::time;

    use super::*;

    const MINUTE: i64 = 60 * 1_000_000;
    const SETTLE: Duration = Duration::from_mins(15);

    /// Returns a time some minutes after the first one.
    fn minute(minutes: i64) -> Timestamp {
        time(1_795_370_000_000_000 + minutes * MINUTE)
    }

    /// Returns the periods in minutes before `now`.
    fn due(through: Option<i64>, now: i64) -> Vec<(i64, i64)> {
        let ago = |at: Timestamp| (minute(now).unix_micros() - at.unix_micros()) / MINUTE;
        let periods = due_periods(through.map(minute), SETTLE, minute(now));
        let periods = periods.iter().map(|it| (ago(it.start), ago(it.end)));
        periods.collect()
    }

    #[test]
    fn all_messages_that_are_not_too_old_are_due_at_first() {
        assert_eq!(due(None, 0), [(72 * 60, 15)]);
    }

    #[test]
    fn messages_are_due_again_at_doubled_ages() {
        let ages = [3_840, 1_920, 960, 480, 240, 120, 60, 30, 15];
        assert_eq!(due(Some(-20), 0), ages.map(|age| (age + 5, age)));
        assert_eq!(due(Some(-15), 0), []);
    }

    #[test]
    fn message_that_reached_several_ages_is_due_once() {
        let periods = [
            (3_870, 3_840),
            (1_950, 1_920),
            (990, 960),
            (510, 480),
            (270, 240),
        ];
        let expected = [&periods[..], &[(150, 120), (90, 15)]].concat();
        assert_eq!(due(Some(-45), 0), expected);
        assert_eq!(due(Some(-100 * 60), 0), [(72 * 60, 15)]);
    }

    #[test]
    fn each_message_is_looked_up_at_bounded_many_growing_ages() {
        let first_reported = minute(7);
        let mut ages = Vec::new();
        let mut through = None;
        for now in (0..6_000).step_by(5) {
            let periods = due_periods(through, SETTLE, minute(now));
            let times = periods.iter().filter(|it| it.contains(&first_reported));
            assert!(times.count() <= 1, "minute {now}");
            if periods.iter().any(|it| it.contains(&first_reported)) {
                ages.push(now - 7);
            }
            through = periods.last().map(|last| last.end).or(through);
        }
        assert_eq!(ages, [18, 33, 63, 123, 243, 483, 963, 1_923, 3_843]);
    }

    #[test]
    fn clock_that_was_set_back_does_not_stop_lookups() {
        assert_eq!(due(Some(600), 0), [(72 * 60, 15)]);
        // The settle time was raised: these were looked up already.
        assert_eq!(due(Some(-5), 0), []);
    }
}
