//! Latencies, counted in buckets that are 1.6 % wide.

use std::time::Duration;

/// How many buckets share one power of two.
const STEPS: u64 = 64;
const STEP_BITS: u32 = 6;

/// Latencies in nanoseconds. Adding one is an addition to a counter.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; 64 * 64],
            count: 0,
        }
    }
}

impl Histogram {
    /// Counts a latency.
    pub fn add(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(place(nanos)) {
            *bucket += 1;
            self.count += 1;
        }
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
    }

    /// How many were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The latency that this many of a thousand did not exceed, to within a
    /// bucket; zero if nothing was counted.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Duration {
        let wanted = (self.count.saturating_mul(per_mille)).div_ceil(1000).max(1);
        let mut so_far = 0;
        for (bucket, upper) in self.buckets.iter().zip(0..) {
            so_far += bucket;
            if so_far >= wanted {
                return Duration::from_nanos(upper_bound(upper));
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a number: its seven highest bits, and how many bits follow.
fn place(nanos: u64) -> usize {
    let rest = (nanos | 1).ilog2().saturating_sub(STEP_BITS);
    usize::try_from(u64::from(rest) * STEPS + (nanos >> rest)).unwrap_or(usize::MAX)
}

/// The greatest number of a bucket.
const fn upper_bound(place: u64) -> u64 {
    let rest = (place / STEPS).saturating_sub(1);
    let highest_bits = place - rest * STEPS;
    ((highest_bits + 1) << rest) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_lies_in_its_bucket_and_the_bucket_is_narrow() {
        for number in (0..60).flat_map(|bits| [1_u64 << bits, (1 << bits) + (1 << bits) / 3]) {
            let upper = upper_bound(u64::try_from(place(number)).unwrap());
            assert!(upper >= number, "{upper} for {number}");
            assert!(upper - number <= number / 60, "{upper} for {number}");
        }
        assert!(place(u64::MAX) < 64 * 64);
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let (mut all, mut odd) = (Histogram::default(), Histogram::default());
        for each in 1..=1000 {
            let part = if each % 2 == 0 { &mut all } else { &mut odd };
            part.add(Duration::from_micros(each));
        }
        all.merge(&odd);
        assert_eq!(all.count(), 1000);
        for (per_mille, micros) in [(500, 500.0), (990, 990.0), (999, 999.0), (1000, 1000.0)] {
            let found = all.quantile(per_mille).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.02, "{found} for {micros}");
        }
        assert_eq!(Histogram::default().quantile(500), Duration::ZERO);
    }
}
