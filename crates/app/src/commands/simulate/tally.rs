//! Counts of the calls' results.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Tally {
    /// How often each status was answered, including challenges.
    pub answers: BTreeMap<u16, u64>,
    /// The reasons why reports were not accepted in the end, and how many.
    pub failures: BTreeMap<String, u64>,
    /// Repeated calls.
    pub retries: u64,
    /// Calls that may have been recorded although they failed, by the index of their message in the
    /// plan. Repeating them may count as a duplicate.
    pub maybe_recorded: HashMap<usize, u64>,
    /// Reports that were sent again although they had been accepted, by the index of their message.
    pub redelivered: HashMap<usize, u64>,
    /// The time of each accepted report from its first request to success.
    latencies: Vec<Duration>,
    /// The time of all reports together.
    pub took: Duration,
}

impl Tally {
    pub fn answered(&mut self, status: u16) {
        *self.answers.entry(status).or_default() += 1;
    }

    pub fn accepted(&mut self, took: Duration) {
        self.latencies.push(took);
    }

    pub fn failed(&mut self, why: String) {
        *self.failures.entry(why).or_default() += 1;
    }

    pub fn maybe_recorded(&mut self, message: usize) {
        *self.maybe_recorded.entry(message).or_default() += 1;
    }

    pub fn redelivered(&mut self, message: usize) {
        *self.redelivered.entry(message).or_default() += 1;
    }

    pub fn add(&mut self, other: Self) {
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
        for (why, count) in other.failures {
            *self.failures.entry(why).or_default() += count;
        }
        for (message, count) in other.maybe_recorded {
            *self.maybe_recorded.entry(message).or_default() += count;
        }
        for (message, count) in other.redelivered {
            *self.redelivered.entry(message).or_default() += count;
        }
        self.retries += other.retries;
        self.latencies.extend(other.latencies);
        self.took = self.took.max(other.took);
    }

    /// Returns the number of reports that were accepted in the end.
    pub const fn reports_accepted(&self) -> usize {
        self.latencies.len()
    }

    pub fn reports_failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Accepted reports per second.
    pub fn rate(&self) -> f64 {
        let reports = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        f64::from(reports) / self.took.as_secs_f64().max(f64::EPSILON)
    }

    /// Returns the latency that this many of 1,000 reports did not exceed, in milliseconds.
    pub fn latency(&self, per_mille: usize) -> Option<f64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let index = sorted
            .len()
            .saturating_mul(per_mille)
            .div_ceil(1000)
            .saturating_sub(1);
        sorted.get(index).map(|latency| latency.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_percentiles_are_those_of_all() {
        let mut all = Tally::default();
        for part in 0..2_u64 {
            let mut tally = Tally::default();
            for each in 1..=50_u64 {
                tally.answered(204);
                tally.accepted(Duration::from_millis(part * 50 + each));
            }
            all.add(tally);
        }
        all.failed("503".to_owned());
        assert_eq!(all.answers.get(&204), Some(&100));
        assert_eq!((all.reports_accepted(), all.reports_failed()), (100, 1));
        assert_eq!(
            (all.latency(500), all.latency(990), all.latency(1000)),
            (Some(50.0), Some(99.0), Some(100.0))
        );
        assert_eq!(Tally::default().latency(500), None);
    }
}
