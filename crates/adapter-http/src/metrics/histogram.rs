//! A histogram of whole numbers that is counted without a lock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// Counts how many observations fell below which bound.
pub(super) struct Histogram {
    /// Upper bounds in ascending order, in the unit of the observations.
    bounds: &'static [u32],
    /// One more than there are bounds: the last one takes what lies above.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
    /// How many units make one of the unit that is shown.
    scale: f64,
}

impl Histogram {
    pub(super) fn new(bounds: &'static [u32], scale: f64) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
            scale,
        }
    }

    pub(super) fn observe(&self, value: u64) {
        let place = self
            .bounds
            .partition_point(|bound| u64::from(*bound) < value);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = self
            .bounds
            .iter()
            .map(|bound| f64::from(*bound) / self.scale);
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<_> = bounds.chain([f64::INFINITY]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum beyond 2^53 may lose its last digits"
        )]
        let sum = self.sum.load(Ordering::Relaxed) as f64 / self.scale;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}
