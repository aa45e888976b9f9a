//! Latencies of many requests, kept as a histogram with two significant digits.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longer latencies are counted as this one.
const LATENCY_MAX: Duration = Duration::from_hours(1);
const SIGNIFICANT_DIGITS: u8 = 2;

/// Counts latencies in constant memory.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(nanos(LATENCY_MAX), SIGNIFICANT_DIGITS);
        Self(histogram.expect("the bounds are constants that the library accepts"))
    }
}

impl Latencies {
    /// Counts a latency; one above an hour counts as an hour.
    pub fn add(&mut self, latency: Duration) {
        self.0.saturating_record(nanos(latency));
    }

    /// Adds the latencies that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        // It cannot fail: both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// Returns how many were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the latency that a fraction (0 to 1) of all did not exceed; zero if nothing was
    /// counted.
    pub fn quantile(&self, fraction: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(fraction))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_two_digits_over_merged_parts() {
        let (mut all, mut odd) = (Latencies::default(), Latencies::default());
        for each in 1..=1000 {
            let part = if each % 2 == 0 { &mut all } else { &mut odd };
            part.add(Duration::from_micros(each));
        }
        all.merge(&odd);
        assert_eq!(all.count(), 1000);
        for (fraction, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = all.quantile(fraction).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.02, "{found} for {micros}");
        }
        assert_eq!(Latencies::default().quantile(0.5), Duration::ZERO);
    }

    #[test]
    fn latency_above_the_bound_counts_as_the_bound() {
        let mut latencies = Latencies::default();
        latencies.add(Duration::MAX);
        assert!(latencies.quantile(1.0) >= LATENCY_MAX);
    }
}
