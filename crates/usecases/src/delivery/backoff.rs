//! When a delivery is tried again, and when it is given up.

use std::time::Duration;

use domain::Timestamp;

/// How long after the first failure it is tried again.
const FIRST: Duration = Duration::from_secs(5);

/// The longest pause between two tries of one delivery.
const LONGEST: Duration = Duration::from_hours(6);

/// The longest pause that a target may ask for with one delivery (`Retry-After`).
pub(super) const LONGEST_ASKED: Duration = Duration::from_hours(24);

/// The longest pause between two probes of a failing endpoint.
const LONGEST_PROBE: Duration = Duration::from_mins(1);

/// How long a delivery is tried.
pub(super) const GIVEN_UP_AFTER: Duration = Duration::from_hours(72);

/// Returns the pause after so many failed tries in a row: exponential backoff with
/// full jitter, that is, anything from nothing to a limit that doubles each time.
/// So what failed together does not come back together. `random` is any number.
pub(super) fn pause(failed: u32, random: u32) -> Duration {
    jittered(doubled(failed).min(LONGEST), random)
}

/// The same for a failing endpoint, which is probed more often.
pub(super) fn probe_pause(failed: u32, random: u32) -> Duration {
    jittered(doubled(failed).min(LONGEST_PROBE), random)
}

fn doubled(failed: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(failed.saturating_sub(1)))
}

/// Returns the part of `limit` that `random` is of its own range.
fn jittered(limit: Duration, random: u32) -> Duration {
    limit.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Whether a delivery that has just failed, and is tried since then, is not tried
/// any more.
pub(super) fn is_given_up(since: Timestamp, now: Timestamp) -> bool {
    let tried = now.unix_micros().saturating_sub(since.unix_micros());
    u128::try_from(tried).is_ok_and(|tried| tried >= GIVEN_UP_AFTER.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_six_hours() {
        let longest = |failed| pause(failed, u32::MAX).as_secs();
        assert_eq!([1, 2, 3, 4].map(longest), [5, 10, 20, 40]);
        assert_eq!(longest(13), 5 * 4_096);
        assert_eq!(longest(14), 6 * 3_600);
        assert_eq!(longest(u32::MAX), 6 * 3_600);
        assert_eq!(probe_pause(9, u32::MAX).as_secs(), 60);
    }

    #[test]
    fn jitter_is_spread_over_the_whole_pause() {
        assert_eq!(pause(3, 0), Duration::ZERO);
        assert_eq!(pause(3, u32::MAX / 2).as_secs(), 9);
        assert_eq!(pause(3, u32::MAX), Duration::from_secs(20));
        assert_eq!(probe_pause(9, u32::MAX / 4).as_secs(), 14);
    }

    #[test]
    fn three_days_of_tries_are_a_few_dozen() {
        let (mut tries, mut total) = (0, Duration::ZERO);
        while total < GIVEN_UP_AFTER {
            tries += 1;
            total += pause(tries, u32::MAX / 2);
        }
        assert!((20..40).contains(&tries), "{tries}");
    }
}
