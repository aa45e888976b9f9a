//! Overview: the counts of the period and of the one before it, of the same elapsed length.

use domain::Timestamp;
use domain::statistics::{Counts, Interval, quarter_hour};
use usecases::statistics::{StatisticsQuery, StatisticsReport};

use super::funnel::unsigned;
use super::range::Selection;
use crate::console::Console;
use crate::error::PageError;

/// A change since fewer than these would be a large percentage of little.
const MIN_COMPARED: u64 = 10;

/// The part of the period before in which counting must have begun for a comparison: a tenth.
const COVERED_PART: i64 = 10;

/// The counts that are compared. The running interval is left out, because the period before has
/// no part that is as long.
#[derive(Debug, Default)]
pub(super) struct Compared {
    now: Counts,
    /// `None` if nothing was counted at the beginning of that time.
    before: Option<Counts>,
    /// What is left out: the running quarter of an hour or day.
    left_out: Option<&'static str>,
}

impl Compared {
    /// Reads the counts of the time before.
    pub(super) async fn read(
        console: &Console,
        selection: &Selection,
        report: &StatisticsReport,
        now: Timestamp,
    ) -> Result<Self, PageError> {
        let statistics = &console.state.statistics;
        let (running, left_out) = match report.interval {
            Interval::QuarterHour => (quarter_hour(now), "the running quarter of an hour"),
            Interval::Day => (statistics.calendar().day_start(now), "today"),
        };
        let until = report.until.min(running);
        let length = until.unix_micros() - report.from.unix_micros();
        if length <= 0 {
            return Ok(Self::default());
        }
        let start = match report.interval {
            // The same times of day.
            Interval::QuarterHour => {
                let whole = report.until.unix_micros() - report.from.unix_micros();
                report.from.plus_micros(-whole)
            }
            Interval::Day => {
                let start = report.from.plus_micros(-length);
                statistics.calendar().day_start(start)
            }
        };
        let query = |from, until| StatisticsQuery {
            from,
            until,
            channel: selection.query.channel.clone(),
        };
        let end = start.plus_micros(length).min(report.from);
        let before = query(start, end);
        let earlier = query(
            start.plus_micros(-length),
            quarter_hour(start.plus_micros(length / COVERED_PART)),
        );
        let before = console.run(statistics.read_total(&before)).await?;
        let earlier = console.run(statistics.read_total(&earlier)).await?;
        let mut now = Counts::default();
        for (_, counts) in report.intervals.range(report.from..until) {
            now.add(counts, 1);
        }
        Ok(Self {
            now,
            before: (earlier.total_messages() > 0).then_some(before),
            left_out: (until < report.until).then_some(left_out),
        })
    }

    /// Returns the change of a count.
    pub(super) fn delta(&self, of: impl Fn(&Counts) -> u64) -> Option<String> {
        delta(of(&self.now), of(self.before.as_ref()?))
    }

    /// Returns the change of the messages with an error code or another part of the counts.
    pub(super) fn signed_delta(&self, of: impl Fn(&Counts) -> i64) -> Option<String> {
        self.delta(|counts| unsigned(of(counts)))
    }

    /// Says with what the counts are compared; `before` are the words for that time.
    pub(super) fn words(&self, before: &str) -> String {
        match (&self.before, self.left_out) {
            (None, _) => "not compared: the time before was not counted".to_owned(),
            (Some(_), None) => format!("counts compared with {before} before"),
            (Some(_), Some(left_out)) => {
                format!("counts compared with {before} before, without {left_out}")
            }
        }
    }
}

/// Returns the change of a number in percent; `None` if there was too little before to compare.
fn delta(now: u64, before: u64) -> Option<String> {
    if before < MIN_COMPARED {
        return None;
    }
    let (now, before) = (i128::from(now), i128::from(before));
    let percent = (now - before) * 100 / before;
    Some(match percent {
        0 => "= before".to_owned(),
        percent if percent < 0 => format!("↓ {}\u{a0}%", -percent),
        percent if percent > 999 => "↑ over 10-fold".to_owned(),
        percent => format!("↑ {percent}\u{a0}%"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_is_in_percent_or_a_factor() {
        assert_eq!(delta(500, 9), None);
        assert_eq!(delta(110, 100).unwrap(), "↑ 10\u{a0}%");
        assert_eq!(delta(90, 100).unwrap(), "↓ 10\u{a0}%");
        assert_eq!(delta(1_000, 1_000).unwrap(), "= before");
        assert_eq!(delta(5_000, 100).unwrap(), "↑ over 10-fold");
    }

    #[test]
    fn time_that_was_not_counted_is_not_compared() {
        let compared = Compared::default();
        assert_eq!(compared.delta(|_| 500), None);
        let words = compared.words("the 24 hours");
        assert_eq!(words, "not compared: the time before was not counted");
    }
}
