//! The intervals that statistics are counted in.

use crate::Timestamp;

/// A quarter of an hour.
pub const QUARTER_HOUR_MICROS: i64 = 15 * 60 * 1_000_000;

/// The length of the intervals of a statistic.
///
/// Quarters of an hour, because the hours of some time zones begin at half or a quarter past an
/// hour of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// A quarter of an hour of UTC.
    QuarterHour,
    /// A calendar day in the time zone of the installation.
    Day,
}

impl Interval {
    /// Both.
    pub const ALL: [Self; 2] = [Self::QuarterHour, Self::Day];
}

/// Returns the start of the quarter of an hour that `moment` lies in.
#[must_use]
pub fn quarter_hour(moment: Timestamp) -> Timestamp {
    moment.plus_micros(-moment.unix_micros().rem_euclid(QUARTER_HOUR_MICROS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_hours_begin_at_full_quarters() {
        for (text, start) in [
            ("2026-11-22T18:00:00Z", "2026-11-22T18:00:00Z"),
            ("2026-11-22T18:14:59.999999Z", "2026-11-22T18:00:00Z"),
            ("2026-11-22T18:45:00.000001Z", "2026-11-22T18:45:00Z"),
            ("1969-12-31T23:59:59Z", "1969-12-31T23:45:00Z"),
        ] {
            let start = Timestamp::parse(start).unwrap();
            assert_eq!(quarter_hour(Timestamp::parse(text).unwrap()), start);
        }
    }
}
