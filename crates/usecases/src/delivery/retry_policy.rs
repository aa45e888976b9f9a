//! When a failed delivery is retried, and when it is given up.

use std::time::Duration;

use domain::Timestamp;

use super::monotonic::{elapsed, plus};

/// Maximum delay after the first failure. It doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(5);

/// Maximum delay between two attempts of one delivery.
const MAX_DELAY: Duration = Duration::from_hours(6);

/// Maximum delay between two probes of a failing endpoint.
const MAX_PROBE_DELAY: Duration = Duration::from_mins(1);

/// Longest `Retry-After` that delays the delivery it answers.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Longest `Retry-After` that delays all deliveries to the endpoint.
pub(crate) const MAX_COOLDOWN: Duration = Duration::from_hours(1);

/// After this time a delivery that still fails becomes a dead letter.
const GIVE_UP_AFTER: Duration = Duration::from_hours(72);

/// Exponential backoff with full jitter, and the cooldown that an endpoint asked for.
#[derive(Debug)]
pub(crate) struct RetryPolicy {
    jitter: fastrand::Rng,
    cooldown_until: Timestamp,
}

impl RetryPolicy {
    /// Creates a policy without a cooldown. Policies of the same seed retry at the same times.
    pub(crate) fn new(seed: u64, now: Timestamp) -> Self {
        Self {
            jitter: fastrand::Rng::with_seed(seed),
            cooldown_until: now,
        }
    }

    /// Returns the delay before the next attempt after so many failures in a row. It is no shorter
    /// than `retry_after`.
    pub(crate) fn retry_delay(&mut self, failures: u32, retry_after: Duration) -> Duration {
        jittered(backoff(failures).min(MAX_DELAY), self.jitter.f64()).max(retry_after)
    }

    /// Returns the delay before the next probe of an endpoint after so many failed ones.
    pub(crate) fn probe_delay(&mut self, failures: u32) -> Duration {
        jittered(backoff(failures).min(MAX_PROBE_DELAY), self.jitter.f64())
    }

    /// Returns until when nothing is sent to the endpoint, because it asked for it.
    pub(super) const fn cooldown_until(&self) -> Timestamp {
        self.cooldown_until
    }

    /// Starts a cooldown of at most [`MAX_COOLDOWN`] and returns its end.
    pub(super) fn start_cooldown(&mut self, now: Timestamp, retry_after: Duration) -> Timestamp {
        let until = plus(now, retry_after.min(MAX_COOLDOWN));
        self.extend_cooldown(until);
        until
    }

    /// Extends the cooldown to `until`; never shortens it.
    pub(super) fn extend_cooldown(&mut self, until: Timestamp) {
        self.cooldown_until = self.cooldown_until.max(until);
    }
}

/// Returns whether a delivery that has just failed, and was first tried at `since`, is given up.
pub(crate) fn is_given_up(since: Timestamp, now: Timestamp) -> bool {
    elapsed(since, now) >= GIVE_UP_AFTER
}

fn backoff(failures: u32) -> Duration {
    FIRST_DELAY.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1)))
}

/// Returns a part of `limit`: deliveries that failed together are not retried together.
fn jittered(limit: Duration, fraction: f64) -> Duration {
    limit.mul_f64(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::EPOCH;

    fn at(seconds: u64) -> Timestamp {
        plus(START, Duration::from_secs(seconds))
    }

    #[test]
    fn backoff_doubles_up_to_six_hours() {
        let limit = |failures| backoff(failures).min(MAX_DELAY).as_secs();
        assert_eq!([1, 2, 3, 4].map(limit), [5, 10, 20, 40]);
        assert_eq!(limit(13), 5 * 4_096);
        assert_eq!(limit(14), 6 * 3_600);
        assert_eq!(limit(u32::MAX), 6 * 3_600);
    }

    #[test]
    fn jitter_covers_the_whole_delay() {
        let limit = Duration::from_secs(20);
        assert_eq!(jittered(limit, 0.0), Duration::ZERO);
        assert_eq!(jittered(limit, 0.5), limit / 2);
        assert_eq!(jittered(limit, 1.0), limit);
    }

    #[test]
    fn probes_are_at_most_a_minute_apart() {
        let mut retry = RetryPolicy::new(1, START);
        let delays: Vec<_> = (0..100).map(|_| retry.probe_delay(9)).collect();
        assert!(delays.iter().all(|delay| *delay < MAX_PROBE_DELAY));
        assert!(delays.iter().any(|delay| *delay > MAX_PROBE_DELAY / 2));
    }

    #[test]
    fn three_days_are_a_few_dozen_attempts() {
        let (mut attempts, mut total) = (0, Duration::ZERO);
        while total < GIVE_UP_AFTER {
            attempts += 1;
            total += backoff(attempts).min(MAX_DELAY) / 2;
        }
        assert!((20..40).contains(&attempts), "{attempts}");
        assert!(!is_given_up(START, at(72 * 3_600 - 1)));
        assert!(is_given_up(START, at(72 * 3_600)));
    }

    #[test]
    fn endpoints_that_failed_together_are_not_retried_together() {
        let delay = |seed| RetryPolicy::new(seed, START).retry_delay(4, Duration::ZERO);
        let mut delays: Vec<_> = (0..20).map(delay).collect();
        delays.sort_unstable();
        delays.dedup();
        assert_eq!(delays.len(), 20);
        let spread = delays[19].saturating_sub(delays[0]);
        assert!(spread > Duration::from_secs(20), "{spread:?} of 40 s");
    }

    #[test]
    fn retry_after_is_the_minimum_delay_and_cools_down_for_at_most_an_hour() {
        let mut retry = RetryPolicy::new(1, START);
        assert_eq!(retry.cooldown_until(), START);
        let delay = Duration::from_secs(90);
        assert_eq!(retry.start_cooldown(START, delay), at(90));
        assert_eq!(retry.start_cooldown(START, delay / 3), at(30));
        assert_eq!(retry.cooldown_until(), at(90));
        retry.start_cooldown(START, Duration::from_hours(20));
        assert_eq!(retry.cooldown_until(), at(3_600));
        let delay = Duration::from_hours(5);
        assert_eq!(retry.retry_delay(1, delay), delay);
    }
}
