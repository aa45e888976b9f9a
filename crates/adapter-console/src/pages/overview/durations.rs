//! Overview: how long messages took to be delivered and read.

use domain::statistics::{Counts, Histogram};
use usecases::statistics::StatisticsReport;

use super::funnel::unsigned;
use super::reports::coarse_starts;
use crate::html::Html;
use crate::number::grouped;
use crate::plot::histogram::{histogram, limits};
use crate::plot::line::line;
use crate::time::{Times, seconds};

/// A duration with its quantiles and plots.
pub(super) struct Durations {
    pub(super) finding: String,
    pub(super) plot: Html,
    pub(super) quantiles: Vec<(&'static str, String)>,
    /// The limits of each bar and the messages in it.
    pub(super) buckets: Vec<(String, String)>,
    /// The median of each interval.
    pub(super) medians: Html,
    /// The start of each interval that has a median, and the median.
    pub(super) median_rows: Vec<(Html, String)>,
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
    let starts = coarse_starts(report);
    let medians = starts.iter().map(|(start, end)| {
        let mut sum = Histogram::default();
        for (_, counts) in report.intervals.range(*start..*end) {
            sum.add_all(of(counts), 1);
        }
        sum.quantile(0.5)
    });
    let medians: Vec<_> = medians.collect();
    let rows = starts.iter().zip(&medians).rev();
    let median_rows = rows.filter_map(|((start, _), median)| {
        let start = times.minute(*start);
        median.map(|median| (start, seconds(median)))
    });
    let median_rows = median_rows.collect();
    let buckets = counts.buckets().map(|(bucket, count)| {
        let messages = grouped(unsigned(count));
        (limits(bucket), messages)
    });
    let ends = (starts.first()?.0, starts.last()?.0);
    let ends = (times.minute_text(ends.0), times.minute_text(ends.1));
    let title = format!("Median time until messages were {word}, by the time of the first report");
    let id = format!("{word}-medians");
    Some(Durations {
        buckets: buckets.collect(),
        median_rows,
        plot: histogram(word, &finding, word, counts, &found),
        medians: line(&id, &title, word, &medians, (&ends.0, &ends.1)),
        quantiles: found
            .into_iter()
            .map(|(name, value)| (name, seconds(value)))
            .collect(),
        finding,
    })
}
