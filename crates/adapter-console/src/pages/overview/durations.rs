//! Overview: how long messages took to be delivered and read.

use domain::statistics::{Counts, Histogram};
use usecases::statistics::StatisticsReport;

use super::reports::starts;
use crate::html::Html;
use crate::plot::histogram::histogram;
use crate::plot::line::line;
use crate::time::{Times, seconds};

/// A duration with its quantiles and plots.
pub(super) struct Durations {
    pub(super) finding: String,
    pub(super) plot: Html,
    pub(super) quantiles: Vec<(&'static str, String)>,
    /// The median of each interval.
    pub(super) medians: Html,
}

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];

/// A duration of messages: `word` completes "Half were … within" and is the name of its colour.
pub(super) struct Measured {
    pub(super) word: &'static str,
    pub(super) of: fn(&Counts) -> &Histogram,
}

/// Describes a duration; `None` if no message has it.
pub(super) fn durations(
    measured: &Measured,
    report: &StatisticsReport,
    times: &Times,
) -> Option<Durations> {
    let Measured { word, of } = measured;
    let counts = of(&report.total);
    let median = counts.quantile(0.5)?;
    let found = QUANTILES
        .into_iter()
        .filter_map(|(name, share)| Some((name, counts.quantile(share)?)));
    let found: Vec<_> = found.collect();
    let finding = format!("Half were {word} within {}", seconds(median));
    let starts = starts(report);
    let medians = starts.iter().map(|(start, end)| {
        let mut sum = Histogram::default();
        for (_, counts) in report.intervals.range(*start..*end) {
            sum.add_all(of(counts), 1);
        }
        sum.quantile(0.5)
    });
    let medians: Vec<_> = medians.collect();
    let ends = (starts.first()?.0, starts.last()?.0);
    let ends = (times.minute_text(ends.0), times.minute_text(ends.1));
    let title = format!("Median time until messages were {word}, by the time of the first report");
    let id = format!("{word}-medians");
    Some(Durations {
        plot: histogram(word, &finding, word, counts, &found),
        medians: line(&id, &title, word, &medians, (&ends.0, &ends.1)),
        quantiles: found
            .into_iter()
            .map(|(name, value)| (name, seconds(value)))
            .collect(),
        finding,
    })
}
