//! Reports over time, by status.

use domain::statistics::{Counts, Interval, QUARTER_HOUR_MICROS, StatusLabel};
use domain::{DeliveryStatus, Timestamp};
use usecases::statistics::StatisticsReport;

use super::funnel::unsigned;
use crate::html::Html;
use crate::number::grouped;
use crate::plot::bars::{Bar, Series, bars};
use crate::time::Times;

/// The groups of statuses, from bottom to top.
pub(super) const SERIES: [Series; 5] = [
    Series {
        tone: "waiting",
        name: "Before sent",
    },
    Series {
        tone: "sent",
        name: "Sent",
    },
    Series {
        tone: "delivered",
        name: "Delivered",
    },
    Series {
        tone: "read",
        name: "Read",
    },
    Series {
        tone: "failed",
        name: "Failed",
    },
];

const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// A row of the table beside the plot.
pub(super) struct IntervalRow {
    pub(super) start: Html,
    pub(super) values: [String; 5],
}

/// The plot, its finding and its table.
pub(super) struct Reports {
    pub(super) finding: String,
    pub(super) plot: Html,
    pub(super) rows: Vec<IntervalRow>,
}

/// Returns the reports of an interval by group.
pub(super) fn by_group(counts: &Counts) -> [u64; 5] {
    let mut groups = [0; 5];
    let [before, sent, delivered, read, failed] = &mut groups;
    for (label, count) in &counts.reports {
        let StatusLabel::Delivery(status) = label else {
            continue;
        };
        let group = match status {
            DeliveryStatus::Accepted
            | DeliveryStatus::Scheduled
            | DeliveryStatus::Queued
            | DeliveryStatus::Sending
            | DeliveryStatus::Canceled => &mut *before,
            DeliveryStatus::Sent => &mut *sent,
            DeliveryStatus::PartiallyDelivered | DeliveryStatus::Delivered => &mut *delivered,
            DeliveryStatus::Read => &mut *read,
            DeliveryStatus::Failed | DeliveryStatus::Undelivered => &mut *failed,
        };
        *group += unsigned(*count);
    }
    groups
}

/// Returns the starts of the bars: quarters of an hour for a day, hours for a week, otherwise days.
pub(super) fn starts(report: &StatisticsReport) -> Vec<(Timestamp, Timestamp)> {
    let length = report.until.unix_micros() - report.from.unix_micros();
    let step = match report.interval {
        Interval::QuarterHour if length <= DAY_MICROS + QUARTER_HOUR_MICROS => QUARTER_HOUR_MICROS,
        Interval::QuarterHour => HOUR_MICROS,
        // Days have 23 to 25 hours; those with counts say when they begin.
        Interval::Day => {
            let starts: Vec<_> = report.intervals.keys().copied().collect();
            let ends = starts.iter().skip(1).copied().chain([report.until]);
            return starts.iter().copied().zip(ends).collect();
        }
    };
    let mut starts = Vec::new();
    // Full hours, whose first may begin before the time.
    let mut start = report
        .from
        .plus_micros(-report.from.unix_micros().rem_euclid(step));
    while start < report.until {
        let end = start.plus_micros(step).min(report.until);
        starts.push((start, end));
        start = end;
    }
    starts
}

/// The most points of a small plot.
const MAX_POINTS: usize = 28;

/// Returns [`starts`] joined to at most 28 intervals, for small plots.
pub(super) fn coarse_starts(report: &StatisticsReport) -> Vec<(Timestamp, Timestamp)> {
    let starts = starts(report);
    let joined = starts.chunks(starts.len().div_ceil(MAX_POINTS).max(1));
    joined
        .filter_map(|joined| Some((joined.first()?.0, joined.last()?.1)))
        .collect()
}

/// Draws the reports of a time.
pub(super) fn reports(report: &StatisticsReport, times: &Times) -> Reports {
    let starts = starts(report);
    let length = report.until.unix_micros() - report.from.unix_micros();
    let every = (starts.len() / 8).max(1);
    let (mut drawn, mut rows) = (Vec::with_capacity(starts.len()), Vec::new());
    for (place, (start, end)) in starts.iter().enumerate() {
        let mut values = [0_u64; 5];
        for (_, counts) in report.intervals.range(*start..*end) {
            for (sum, value) in values.iter_mut().zip(by_group(counts)) {
                *sum += value;
            }
        }
        let label = match report.interval {
            Interval::QuarterHour if starts.len() <= 8 => Some(times.time_of_day(*start)),
            Interval::QuarterHour => times.axis(*start, length <= DAY_MICROS),
            Interval::Day if place % every == 0 => times.axis(*start, false),
            Interval::Day => None,
        };
        let named = SERIES.iter().zip(values).filter(|(_, value)| *value > 0);
        let named = named.map(|(series, value)| format!("{}: {}", series.name, grouped(value)));
        let named: Vec<_> = named.collect();
        let title = format!("{}: {}", times.minute_text(*start), named.join(", "));
        if values.iter().any(|value| *value > 0) {
            rows.push(IntervalRow {
                start: times.minute(*start),
                values: values.map(grouped),
            });
        }
        drawn.push(Bar {
            label: label.unwrap_or_default(),
            title,
            values: values.to_vec(),
            so_far: *end > times.now(),
        });
    }
    let total = unsigned(report.total.total_reports());
    let finding = if total == 0 {
        "No reports arrived".to_owned()
    } else {
        format!("{} reports arrived", grouped(total))
    };
    rows.reverse();
    Reports {
        plot: bars("reports", &finding, &SERIES, &drawn),
        finding,
        rows,
    }
}
