//! Histograms of durations with fixed buckets, so that those of several intervals can be added.

use std::sync::LazyLock;

/// How many buckets there are. Bucket 0 is up to [`FIRST_LIMIT_MICROS`], each later limit is the
/// square root of two times as high, and the last bucket has no limit: it begins at about 8 days.
pub const BUCKETS: u8 = 46;

/// The upper limit of the first bucket: 0.1 s.
const FIRST_LIMIT_MICROS: f64 = 100_000.0;

/// The upper limits of all buckets but the last.
static LIMITS_MICROS: LazyLock<[f64; BUCKETS as usize - 1]> = LazyLock::new(|| {
    let mut limits = [0.0; BUCKETS as usize - 1];
    for (bucket, limit) in (0..).zip(&mut limits) {
        *limit = FIRST_LIMIT_MICROS * std::f64::consts::SQRT_2.powi(bucket);
    }
    limits
});

/// How many durations fall into each bucket. As a change, numbers may be negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram([i64; BUCKETS as usize]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; BUCKETS as usize])
    }
}

impl Histogram {
    /// Returns the bucket of a duration.
    #[must_use]
    pub fn bucket_of(micros: i64) -> u8 {
        let below = LIMITS_MICROS.partition_point(|limit| *limit < to_float(micros));
        u8::try_from(below).unwrap_or(BUCKETS - 1)
    }

    /// Returns the upper limit of a bucket in seconds; `None` for the last one.
    #[must_use]
    pub fn limit_seconds(bucket: u8) -> Option<f64> {
        (bucket < BUCKETS - 1).then(|| limit_micros(bucket) / 1_000_000.0)
    }

    /// Adds `count` durations to a bucket. One beyond the last counts as the last.
    pub fn add(&mut self, bucket: u8, count: i64) {
        let bucket = usize::from(bucket.min(BUCKETS - 1));
        if let Some(sum) = self.0.get_mut(bucket) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Adds each bucket of another histogram, multiplied by `factor`.
    pub fn add_all(&mut self, other: &Self, factor: i64) {
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.saturating_add(count.saturating_mul(factor));
        }
    }

    /// Returns the buckets that are not empty, by duration.
    pub fn buckets(&self) -> impl Iterator<Item = (u8, i64)> {
        (0..).zip(self.0).filter(|(_, count)| *count != 0)
    }

    /// Returns how many durations there are.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.iter().sum()
    }

    /// Returns the duration in seconds that a share (0 to 1) of all durations does not exceed:
    /// interpolated within its bucket, and the lower limit of the last one. `None` if there are
    /// no durations.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let total = self.total();
        if total <= 0 {
            return None;
        }
        let wanted = share.clamp(0.0, 1.0) * to_float(total);
        let mut below = 0.0;
        let mut last = None;
        for (bucket, count) in self.buckets().filter(|(_, count)| *count > 0) {
            let from = bucket.checked_sub(1).map_or(0.0, limit_micros);
            let until = if bucket == BUCKETS - 1 {
                from
            } else {
                limit_micros(bucket)
            };
            let within = ((wanted - below) / to_float(count)).clamp(0.0, 1.0);
            last = Some((until - from).mul_add(within, from) / 1_000_000.0);
            below += to_float(count);
            if below >= wanted {
                break;
            }
        }
        last
    }
}

/// Returns the upper limit of a bucket; that of the last one is infinite.
fn limit_micros(bucket: u8) -> f64 {
    let limit = LIMITS_MICROS.get(usize::from(bucket)).copied();
    limit.unwrap_or(f64::INFINITY)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and durations are far below 2^53"
)]
const fn to_float(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_every_duration_in_order() {
        assert_eq!(Histogram::bucket_of(-5), 0);
        assert_eq!(Histogram::bucket_of(100_000), 0);
        assert_eq!(Histogram::bucket_of(100_001), 1);
        assert_eq!(Histogram::bucket_of(i64::MAX), BUCKETS - 1);
        let mut last = 0;
        for seconds in 0..1_000_000 {
            let bucket = Histogram::bucket_of(seconds * 1_000_000);
            assert!(bucket >= last);
            last = bucket;
        }
        assert_eq!(last, BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_precise_to_a_bucket() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        for seconds in 1..=1_000 {
            histogram.add(Histogram::bucket_of(seconds * 1_000_000), 1);
        }
        for (share, seconds) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0)] {
            let found = histogram.quantile(share).unwrap();
            assert!(
                (0.8..=1.25).contains(&(found / seconds)),
                "{share}: {found}"
            );
        }
    }

    #[test]
    fn empty_buckets_are_dropped() {
        let mut histogram = Histogram::default();
        histogram.add(3, 2);
        let mut other = Histogram::default();
        other.add(3, 1);
        histogram.add_all(&other, -2);
        assert_eq!(histogram, Histogram::default());
    }
}
