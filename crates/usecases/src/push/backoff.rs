//! When a delivery is tried again, and when it is given up.

use std::time::Duration;

use domain::Timestamp;

/// How long after the first failure it is tried again.
const FIRST: Duration = Duration::from_secs(5);

/// The longest pause between two tries of one delivery.
const LONGEST: Duration = Duration::from_hours(6);

/// The longest pause between two tries at a target that takes nothing.
const LONGEST_PROBE: Duration = Duration::from_mins(1);

/// How long a delivery is tried.
pub(super) const GIVEN_UP_AFTER: Duration = Duration::from_hours(72);

/// The pause after so many failed tries in a row: twice as long each time, a
/// quarter longer or shorter by chance, so that what failed together does not
/// come back together. `dice` is any number.
pub(super) fn pause(failed: u32, dice: u64) -> Duration {
    with_chance(doubled(failed).min(LONGEST), dice)
}

/// The same for a target that takes nothing, which is asked more often.
pub(super) fn probe_pause(failed: u32, dice: u64) -> Duration {
    with_chance(doubled(failed).min(LONGEST_PROBE), dice)
}

fn doubled(failed: u32) -> Duration {
    FIRST.saturating_mul(2u32.saturating_pow(failed.saturating_sub(1)))
}

fn with_chance(pause: Duration, dice: u64) -> Duration {
    // 750 to 1,249 thousandths.
    let thousandths = 750 + u32::try_from(dice % 500).unwrap_or_default();
    pause.saturating_mul(thousandths) / 1_000
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
        let middle = |failed| pause(failed, 250).as_secs();
        assert_eq!([1, 2, 3, 4].map(middle), [5, 10, 20, 40]);
        assert_eq!(middle(13), 5 * 4_096);
        assert_eq!(middle(14), 6 * 3_600);
        assert_eq!(middle(u32::MAX), 6 * 3_600);
        assert_eq!(probe_pause(9, 250).as_secs(), 60);
    }

    #[test]
    fn chance_moves_a_pause_by_a_quarter_at_most() {
        for dice in 0..2_000 {
            let pause = pause(1, dice);
            assert!(pause >= Duration::from_millis(3_750), "{pause:?}");
            assert!(pause < Duration::from_millis(6_250), "{pause:?}");
        }
    }

    #[test]
    fn three_days_of_tries_are_a_few_dozen() {
        let (mut tries, mut total) = (0, Duration::ZERO);
        while total < GIVEN_UP_AFTER {
            tries += 1;
            total += pause(tries, 250);
        }
        assert!((20..30).contains(&tries), "{tries}");
    }
}
