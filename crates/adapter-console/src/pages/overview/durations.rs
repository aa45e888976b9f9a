//! How long messages took to be delivered and read.

use domain::statistics::Histogram;

use crate::html::Html;
use crate::plot::histogram::histogram;
use crate::time::seconds;

/// A duration with its quantiles and plot.
pub(super) struct Durations {
    pub(super) finding: String,
    pub(super) plot: Html,
    pub(super) quantiles: Vec<(&'static str, String)>,
}

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// Describes a histogram; `None` if it is empty. `what` completes "Half were … within".
pub(super) fn durations(id: &str, what: &str, tone: &str, counts: &Histogram) -> Option<Durations> {
    let median = counts.quantile(0.5)?;
    let found = QUANTILES
        .into_iter()
        .filter_map(|(name, share)| Some((name, counts.quantile(share)?)));
    let found: Vec<_> = found.collect();
    let finding = format!("Half were {what} within {}", seconds(median));
    Some(Durations {
        plot: histogram(id, &finding, tone, counts, &found),
        quantiles: found
            .into_iter()
            .map(|(name, value)| (name, seconds(value)))
            .collect(),
        finding,
    })
}
