//! How long messages are stored.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// A day of 24 hours, in microseconds.
pub const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// How many days of 24 hours a message is stored after its last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetentionDays(u16);

/// The number or text is not a valid retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("messages are kept for 1 to 36500 days")]
pub struct InvalidRetentionDays;

impl RetentionDays {
    /// The maximum: a hundred years.
    const MAX: u16 = 36_500;

    /// Checks a number of days.
    pub fn new(days: i64) -> Result<Self, InvalidRetentionDays> {
        match u16::try_from(days) {
            Ok(days @ 1..=Self::MAX) => Ok(Self(days)),
            Ok(_) | Err(_) => Err(InvalidRetentionDays),
        }
    }

    /// Returns the number of days.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the time before which the last report of an expired message arrived.
    #[must_use]
    pub fn cut(self, now: Timestamp) -> Timestamp {
        now.plus_micros(-i64::from(self.0) * DAY_MICROS)
    }
}

impl FromStr for RetentionDays {
    type Err = InvalidRetentionDays;

    fn from_str(text: &str) -> Result<Self, InvalidRetentionDays> {
        Self::new(text.parse().map_err(|_| InvalidRetentionDays)?)
    }
}

impl fmt::Display for RetentionDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1", Ok(1))]
    #[case("36500", Ok(36_500))]
    #[case("0", Err(InvalidRetentionDays))]
    #[case("36501", Err(InvalidRetentionDays))]
    #[case("65537", Err(InvalidRetentionDays))]
    #[case("-1", Err(InvalidRetentionDays))]
    #[case("1.5", Err(InvalidRetentionDays))]
    #[case("", Err(InvalidRetentionDays))]
    fn messages_are_kept_for_a_day_to_a_hundred_years(
        #[case] text: &str,
        #[case] days: Result<u16, InvalidRetentionDays>,
    ) {
        assert_eq!(text.parse().map(RetentionDays::get), days);
    }

    #[test]
    fn a_day_has_24_hours() {
        let now = Timestamp::parse("2026-03-30T06:00:00Z").unwrap();
        let cut = RetentionDays::new(2).unwrap().cut(now);
        assert_eq!(cut.to_string(), "2026-03-28T06:00:00.000000Z");
    }
}
