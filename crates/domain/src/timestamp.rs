//! Points in time with the precision of the stores.

use std::fmt;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A point in time in UTC, truncated to microseconds, since PostgreSQL stores no more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text or number is not a valid time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-11-22T18:06:17Z and lies in the years 1 to 9999")]
pub struct InvalidTimestamp;

/// Microseconds from 1970 to the first and the last moment that RFC 3339 can write.
const EARLIEST: i64 = -62_135_596_800_000_000;
const LATEST: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// Converts microseconds since 1970-01-01T00:00:00Z.
    pub fn from_unix_micros(micros: i64) -> Result<Self, InvalidTimestamp> {
        if (EARLIEST..=LATEST).contains(&micros) {
            Ok(Self(micros))
        } else {
            Err(InvalidTimestamp)
        }
    }

    /// Returns the microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Parses RFC 3339, with any offset.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        Self::try_from(moment)
    }

    /// Returns it as a calendar date and time in UTC.
    #[must_use]
    pub fn to_date_time(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Adds `micros` microseconds, clamped to the years 1 to 9999.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros).clamp(EARLIEST, LATEST))
    }
}

impl TryFrom<OffsetDateTime> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(moment: OffsetDateTime) -> Result<Self, InvalidTimestamp> {
        let nanos = moment.to_offset(UtcOffset::UTC).unix_timestamp_nanos();
        let micros = i64::try_from(nanos.div_euclid(1_000)).map_err(|_| InvalidTimestamp)?;
        Self::from_unix_micros(micros)
    }
}

/// Shows RFC 3339 in UTC with six digits of the second, so that times sort as texts:
/// `2026-11-22T18:06:17.000000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.to_date_time();
        let (date, (hour, minute, second, micros)) = (moment.date(), moment.time().as_hms_micro());
        write!(
            f,
            "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_cut_to_microseconds() {
        let time = Timestamp::parse("2026-11-22T18:06:17.123456789Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T18:06:17.123456Z");
    }

    #[test]
    fn a_time_always_has_six_digits_of_the_second() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_795_370_777_120_000, "2026-11-22T18:06:17.120000Z"),
            (-62_135_596_799_999_999, "0001-01-01T00:00:00.000001Z"),
        ] {
            let time = Timestamp::from_unix_micros(micros).unwrap();
            assert_eq!(time.to_string(), text);
        }
    }

    #[test]
    fn an_offset_is_taken_into_account() {
        let east = Timestamp::parse("2026-11-22T20:06:17+02:00").unwrap();
        assert_eq!(east.to_string(), "2026-11-22T18:06:17.000000Z");
    }

    #[test]
    fn the_first_and_the_last_moment_can_be_written_and_read() {
        for micros in [EARLIEST, LATEST] {
            let time = Timestamp::from_unix_micros(micros).unwrap();
            assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }
        assert_eq!(
            Timestamp::from_unix_micros(LATEST + 1),
            Err(InvalidTimestamp)
        );
    }
}
