//! Hours of the day without notices.

use std::fmt;
use std::str::FromStr;

const MINUTES_PER_DAY: u16 = 24 * 60;

/// The hours of each day in which no notices are sent, in the time zone of the installation. They
/// may include midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight.
    until: u16,
}

/// The text is not valid quiet hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quiet hours are two different times of day, like 22:00-06:30")]
pub struct InvalidQuietHours;

impl QuietHours {
    /// Returns whether a time of day is one of them, given in minutes since midnight.
    #[must_use]
    pub fn contain(&self, minute_of_day: u16) -> bool {
        let minute = minute_of_day % MINUTES_PER_DAY;
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

/// `22:00-06:30`.
impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from, self.until);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            until / 60,
            until % 60
        )
    }
}

impl FromStr for QuietHours {
    type Err = InvalidQuietHours;

    fn from_str(text: &str) -> Result<Self, InvalidQuietHours> {
        let (from, until) = text.split_once('-').ok_or(InvalidQuietHours)?;
        let (from, until) = (minute_of_day(from)?, minute_of_day(until)?);
        if from == until {
            return Err(InvalidQuietHours);
        }
        Ok(Self { from, until })
    }
}

fn minute_of_day(text: &str) -> Result<u16, InvalidQuietHours> {
    let (hour, minute) = text.trim().split_once(':').ok_or(InvalidQuietHours)?;
    let number = |text: &str, limit: u16| -> Result<u16, InvalidQuietHours> {
        let is_short = matches!(text.len(), 1..=2);
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number: &u16| *number < limit);
        number
            .filter(|_| is_short && is_digits)
            .ok_or(InvalidQuietHours)
    };
    Ok(number(hour, 24)? * 60 + number(minute, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_may_include_midnight() {
        let night: QuietHours = "22:00-06:30".parse().unwrap();
        let quiet = [0, 389, 390, 720, 1_319, 1_320, 1_439].map(|minute| night.contain(minute));
        assert_eq!(quiet, [true, true, false, false, false, true, true]);
        let noon: QuietHours = "12:00-13:00".parse().unwrap();
        let quiet = [719, 720, 779, 780].map(|minute| noon.contain(minute));
        assert_eq!(quiet, [false, true, true, false]);
        assert_eq!(night.to_string(), "22:00-06:30");
    }

    #[test]
    fn times_of_day_are_checked() {
        for text in [
            "",
            "22:00",
            "22:00-22:00",
            "24:00-06:00",
            "22:60-06:00",
            "22-06",
            "+1:00-2:00",
            "022:00-06:00",
        ] {
            assert_eq!(text.parse::<QuietHours>(), Err(InvalidQuietHours), "{text}");
        }
    }
}
