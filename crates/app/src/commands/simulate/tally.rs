//! What came of the calls, counted.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What came of the calls.
#[derive(Debug, Default)]
pub struct Tally {
    /// How often each status was answered, challenges included.
    pub answers: BTreeMap<u16, u64>,
    /// Why reports were not taken in the end, and how many.
    pub failures: BTreeMap<String, u64>,
    /// How many tries were second and later ones.
    pub retries: u64,
    /// Calls of a message that may have been taken although the answer was no
    /// success or was lost, by the message's place in the plan. Whatever is
    /// sent again then may count as a duplicate.
    pub perhaps_taken: HashMap<usize, u64>,
    /// How long each report took from its first request to 204.
    latencies: Vec<Duration>,
    /// How long everything took.
    pub took: Duration,
}

impl Tally {
    pub fn answered(&mut self, status: u16) {
        *self.answers.entry(status).or_default() += 1;
    }

    pub fn taken(&mut self, took: Duration) {
        self.latencies.push(took);
    }

    pub fn failed(&mut self, why: String) {
        *self.failures.entry(why).or_default() += 1;
    }

    pub fn perhaps_taken(&mut self, message: usize) {
        *self.perhaps_taken.entry(message).or_default() += 1;
    }

    /// Adds what another lane has counted.
    pub fn add(&mut self, other: Self) {
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
        for (why, count) in other.failures {
            *self.failures.entry(why).or_default() += count;
        }
        for (message, count) in other.perhaps_taken {
            *self.perhaps_taken.entry(message).or_default() += count;
        }
        self.retries += other.retries;
        self.latencies.extend(other.latencies);
    }

    /// How many reports were answered 204 in the end.
    pub const fn reports_taken(&self) -> usize {
        self.latencies.len()
    }

    /// How many were not.
    pub fn not_taken(&self) -> u64 {
        self.failures.values().sum()
    }

    /// How many reports were taken a second.
    pub fn rate(&self) -> f64 {
        let reports = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        f64::from(reports) / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// The latency, in milliseconds, that this many of a thousand reports did
    /// not exceed.
    pub fn latency(&self, per_mille: usize) -> Option<f64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let place = sorted
            .len()
            .saturating_mul(per_mille)
            .div_ceil(1000)
            .saturating_sub(1);
        sorted.get(place).map(|latency| latency.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_add_up_and_percentiles_are_those_of_all() {
        let mut all = Tally::default();
        for lane in 0..2_u64 {
            let mut tally = Tally::default();
            for each in 1..=50_u64 {
                tally.answered(204);
                tally.taken(Duration::from_millis(lane * 50 + each));
            }
            all.add(tally);
        }
        all.failed("503".to_owned());
        assert_eq!(all.answers.get(&204), Some(&100));
        assert_eq!((all.reports_taken(), all.not_taken()), (100, 1));
        assert_eq!(
            (all.latency(500), all.latency(990), all.latency(1000)),
            (Some(50.0), Some(99.0), Some(100.0))
        );
        assert_eq!(Tally::default().latency(500), None);
    }
}
