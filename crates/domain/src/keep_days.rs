//! For how long messages are kept.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// A day of 24 hours, in microseconds.
pub const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// For how many days messages and their state are kept after their last report.
/// A day has 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeepDays(u16);

/// The number or text is no such time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("messages are kept for 1 to 36500 days")]
pub struct InvalidKeepDays;

impl KeepDays {
    /// The longest time: a hundred years.
    const MAX: u16 = 36_500;

    /// Takes a number of days.
    pub fn new(days: i64) -> Result<Self, InvalidKeepDays> {
        match u16::try_from(days) {
            Ok(days @ 1..=Self::MAX) => Ok(Self(days)),
            Ok(_) | Err(_) => Err(InvalidKeepDays),
        }
    }

    /// The number of days.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What was last reported on before this time has been kept for long enough.
    #[must_use]
    pub fn cut(self, now: Timestamp) -> Timestamp {
        now.plus_micros(-i64::from(self.0) * DAY_MICROS)
    }
}

impl FromStr for KeepDays {
    type Err = InvalidKeepDays;

    fn from_str(text: &str) -> Result<Self, InvalidKeepDays> {
        Self::new(text.parse().map_err(|_| InvalidKeepDays)?)
    }
}

impl fmt::Display for KeepDays {
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
    #[case("0", Err(InvalidKeepDays))]
    #[case("36501", Err(InvalidKeepDays))]
    #[case("65537", Err(InvalidKeepDays))]
    #[case("-1", Err(InvalidKeepDays))]
    #[case("1.5", Err(InvalidKeepDays))]
    #[case("", Err(InvalidKeepDays))]
    fn messages_are_kept_for_a_day_to_a_hundred_years(
        #[case] text: &str,
        #[case] days: Result<u16, InvalidKeepDays>,
    ) {
        assert_eq!(text.parse().map(KeepDays::get), days);
    }

    #[test]
    fn a_day_has_24_hours() {
        let now = Timestamp::parse("2026-03-30T06:00:00Z").unwrap();
        let cut = KeepDays::new(2).unwrap().cut(now);
        assert_eq!(cut.to_string(), "2026-03-28T06:00:00.000000Z");
    }
}
