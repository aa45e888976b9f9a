//! Counters with one label, whose values are known.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// One counter for each value of a label.
pub(super) struct CounterSet<const N: usize> {
    pub(super) family: Family<[(&'static str, &'static str); 1], Counter>,
    counters: [Counter; N],
}

impl<const N: usize> CounterSet<N> {
    pub(super) fn new(label: &'static str, values: [&'static str; N]) -> Self {
        let family = Family::default();
        let counter = |value| family.get_or_create_owned(&[(label, value)]);
        Self {
            counters: values.map(counter),
            family,
        }
    }

    /// Counts the value that was given to [`Self::new`] at `index`.
    pub(super) fn inc(&self, index: usize) {
        self.inc_by(index, 1);
    }

    pub(super) fn inc_by(&self, index: usize, number: u64) {
        if let Some(counter) = self.counters.get(index) {
            counter.inc_by(number);
        }
    }
}
