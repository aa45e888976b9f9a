//! The calendar of the installation's time zone.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, anyhow};
use domain::Timestamp;
use jiff::tz::TimeZone;
use ports::Calendar;

/// A time zone of the IANA database, like `Europe/Berlin`. The database is part of the program, so
/// that every replica has the same.
#[derive(Clone, Debug)]
pub struct ZonedCalendar {
    name: String,
    zone: TimeZone,
}

impl FromStr for ZonedCalendar {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let zone = TimeZone::get(name).map_err(|_| {
            anyhow!("it is not a time zone; a valid one is written like Europe/Berlin or UTC")
        })?;
        Ok(Self {
            name: zone.iana_name().unwrap_or(name).to_owned(),
            zone,
        })
    }
}

impl fmt::Display for ZonedCalendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Calendar for ZonedCalendar {
    fn day_start(&self, moment: Timestamp) -> Timestamp {
        let start = jiff::Timestamp::from_microsecond(moment.unix_micros())
            .and_then(|moment| moment.to_zoned_datetime(self.zone.clone()).start_of_day())
            .ok()
            .and_then(|start| Timestamp::from_unix_micros(start.timestamp().as_microsecond()).ok());
        // Only the first and the last days of the calendar have no start or no end.
        start.unwrap_or(moment)
    }

    fn zone(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day_start(zone: &str, moment: &str) -> String {
        let zone: ZonedCalendar = zone.parse().unwrap();
        let moment = Timestamp::parse(moment).unwrap();
        zone.day_start(moment).to_string()
    }

    #[test]
    fn days_begin_at_midnight_of_the_zone() {
        for (zone, moment, start) in [
            ("UTC", "2026-11-22T18:00:00Z", "2026-11-22T00:00:00.000000Z"),
            (
                "Asia/Kolkata",
                "2026-11-22T18:29:59Z",
                "2026-11-21T18:30:00.000000Z",
            ),
            (
                "Asia/Kolkata",
                "2026-11-22T18:30:00Z",
                "2026-11-22T18:30:00.000000Z",
            ),
            // The day on which clocks are set back has 25 hours.
            (
                "Europe/Berlin",
                "2026-10-25T22:59:59Z",
                "2026-10-24T22:00:00.000000Z",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T23:00:00Z",
                "2026-10-25T23:00:00.000000Z",
            ),
        ] {
            assert_eq!(day_start(zone, moment), start, "{zone}");
        }
    }

    #[test]
    fn unknown_zone_is_refused() {
        for name in ["", "Berlin", "Europe/berlin/x", "+02:00"] {
            let refused = name.parse::<ZonedCalendar>().unwrap_err().to_string();
            assert!(refused.contains("Europe/Berlin"), "{refused}");
        }
    }
}
