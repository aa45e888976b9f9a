//! Times as pages show them: relative where it matters how long ago, exact on evidence, always
//! with the zone.

use domain::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ZonedDateTime};

use crate::html::Html;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Formats times in a zone, as seen from a moment.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    zone: TimeZone,
    now: Timestamp,
}

impl Times {
    /// Formats times in a zone of the IANA database; in UTC if there is no such zone.
    pub(crate) fn new(zone: &str, now: Timestamp) -> Self {
        Self {
            zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC),
            now,
        }
    }

    /// Returns the moment from which times are seen.
    pub(crate) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the name of the zone with its present difference to UTC: `Europe/Berlin, UTC+1`.
    pub(crate) fn zone_name(&self) -> String {
        let name = self.zone.iana_name().unwrap_or("UTC");
        let seconds = self.zoned(self.now).offset().seconds();
        if name == "UTC" || seconds == 0 {
            return name.to_owned();
        }
        let sign = if seconds < 0 { '−' } else { '+' };
        let minutes = seconds.abs() / 60;
        match minutes % 60 {
            0 => format!("{name}, UTC{sign}{}", minutes / 60),
            rest => format!("{name}, UTC{sign}{}:{rest:02}", minutes / 60),
        }
    }

    /// Parses a time that was typed: the date and the time of day in the zone, like
    /// `2026-11-27T19:00`, or a time with its difference to UTC.
    pub(crate) fn parse(&self, text: &str) -> Option<Timestamp> {
        if let Ok(at) = Timestamp::parse(text) {
            return Some(at);
        }
        let local: DateTime = text.parse().ok()?;
        let zoned = local.to_zoned_datetime(self.zone.clone()).ok()?;
        Timestamp::from_unix_micros(zoned.timestamp().as_microsecond()).ok()
    }

    /// Returns a time as an input for a date and a time of day has it.
    pub(crate) fn input(&self, at: Timestamp) -> String {
        self.zoned(at).strftime("%Y-%m-%dT%H:%M").to_string()
    }

    fn zoned(&self, at: Timestamp) -> ZonedDateTime {
        let instant = Instant::from_microsecond(at.unix_micros()).unwrap_or(Instant::UNIX_EPOCH);
        instant.to_zoned_datetime(self.zone.clone())
    }

    /// Returns date and time to the millisecond.
    pub(crate) fn exact_text(&self, at: Timestamp) -> String {
        self.zoned(at)
            .strftime("%-d %b %Y, %H:%M:%S%.3f")
            .to_string()
    }

    /// Shows date and time to the millisecond.
    pub(crate) fn exact(&self, at: Timestamp) -> Html {
        element(at, "exact", &self.exact_text(at), None)
    }

    /// Returns the date, and the time to the minute.
    pub(crate) fn minute_text(&self, at: Timestamp) -> String {
        self.zoned(at).strftime("%-d %b %Y, %H:%M").to_string()
    }

    /// Shows the date, and the time to the minute.
    pub(crate) fn minute(&self, at: Timestamp) -> Html {
        element(at, "exact", &self.minute_text(at), None)
    }

    /// Returns the label of an interval on the axis of a plot, if it begins at a round time: a day
    /// or, in a plot of at most a day, three hours.
    pub(crate) fn axis(&self, at: Timestamp, hours: bool) -> Option<String> {
        let zoned = self.zoned(at);
        match (zoned.minute(), zoned.hour()) {
            (0, 0) => Some(zoned.strftime("%-d %b").to_string()),
            (0, hour) if hours && hour % 3 == 0 => Some(zoned.strftime("%H:%M").to_string()),
            _ => None,
        }
    }

    /// Returns the time of day to the minute.
    pub(crate) fn time_of_day(&self, at: Timestamp) -> String {
        self.zoned(at).strftime("%H:%M").to_string()
    }

    /// Returns the same zone, as seen from another moment.
    pub(crate) fn at(&self, now: Timestamp) -> Self {
        Self {
            zone: self.zone.clone(),
            now,
        }
    }

    /// Shows the time of day to the second; the date too if it is another day than today.
    pub(crate) fn clock(&self, at: Timestamp) -> Html {
        let text = self.clock_text(at);
        element(at, "clock", &text, Some(&self.exact_text(at)))
    }

    /// Returns the text of [`Times::clock`].
    pub(crate) fn clock_text(&self, at: Timestamp) -> String {
        let (then, now) = (self.zoned(at), self.zoned(self.now));
        if then.date() == now.date() {
            then.strftime("%H:%M:%S").to_string()
        } else if then.year() == now.year() {
            then.strftime("%-d %b, %H:%M:%S").to_string()
        } else {
            then.strftime("%-d %b %Y, %H:%M:%S").to_string()
        }
    }

    /// Shows how long ago it was, or in how long it will be.
    pub(crate) fn relative(&self, at: Timestamp) -> Html {
        let text = self.relative_text(at);
        element(at, "relative", &text, Some(&self.exact_text(at)))
    }

    /// Shows how long something has lasted, after a week since when: "for 14 min", "since 1 Nov".
    pub(crate) fn lasting(&self, since: Timestamp) -> Html {
        let text = self.lasting_text(since);
        element(since, "relative", &text, Some(&self.exact_text(since)))
    }

    /// Returns the text of [`Times::lasting`].
    fn lasting_text(&self, since: Timestamp) -> String {
        let text = self.relative_text(since);
        match text.strip_suffix(" ago") {
            Some(amount) => format!("for {amount}"),
            None if text == "just now" => "since just now".to_owned(),
            None => format!("since {text}"),
        }
    }

    /// Returns how long ago it was, or in how long it will be. After a week it is the date.
    pub(crate) fn relative_text(&self, at: Timestamp) -> String {
        let micros = self.now.unix_micros().saturating_sub(at.unix_micros());
        let away = micros.saturating_abs();
        if away >= 7 * DAY {
            let (then, now) = (self.zoned(at), self.zoned(self.now));
            let format = if then.year() == now.year() {
                "%-d %b"
            } else {
                "%-d %b %Y"
            };
            return then.strftime(format).to_string();
        }
        let amount = match away {
            away if away < 2 * SECOND => return "just now".to_owned(),
            away if away < MINUTE => format!("{} s", away / SECOND),
            away if away < HOUR => format!("{} min", away / MINUTE),
            away if away < DAY => format!("{} h", away / HOUR),
            away => format!("{} d", away / DAY),
        };
        if micros < 0 {
            format!("in {amount}")
        } else {
            format!("{amount} ago")
        }
    }
}

/// Returns a duration of microseconds with two units at most: `2.1 s`, `3 min 12 s`, `4 d 2 h`.
pub(crate) fn duration(micros: i64) -> String {
    let (one, two) = match micros.max(0) {
        micros if micros < SECOND => return format!("{} ms", micros / 1_000),
        micros if micros < 10 * SECOND => {
            return format!("{}.{} s", micros / SECOND, micros % SECOND / 100_000);
        }
        micros if micros < MINUTE => return format!("{} s", micros / SECOND),
        micros if micros < HOUR => ((micros / MINUTE, "min"), (micros % MINUTE / SECOND, "s")),
        micros if micros < DAY => ((micros / HOUR, "h"), (micros % HOUR / MINUTE, "min")),
        micros => ((micros / DAY, "d"), (micros % DAY / HOUR, "h")),
    };
    match two {
        (0, _) => format!("{} {}", one.0, one.1),
        two => format!("{} {} {} {}", one.0, one.1, two.0, two.1),
    }
}

/// Returns a duration of seconds, like [`duration`].
pub(crate) fn seconds(seconds: f64) -> String {
    // Histograms end after some days, so this is exact to the microsecond and in range.
    let micros = std::time::Duration::try_from_secs_f64(seconds.max(0.0));
    let micros = micros.unwrap_or_default().as_micros();
    duration(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// Returns the `time` element. Its texts consist of digits, letters and signs without a meaning in
/// HTML.
fn element(at: Timestamp, class: &str, text: &str, title: Option<&str>) -> Html {
    let title = title.map(|title| format!(" title=\"{title}\""));
    let title = title.unwrap_or_default();
    Html::trusted(format!(
        "<time class=\"{class}\" datetime=\"{at}\"{title}>{text}</time>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn berlin() -> Times {
        Times::new("Europe/Berlin", at("2026-11-27T19:00:00Z"))
    }

    #[test]
    fn recent_times_are_relative_and_older_ones_are_dates() {
        let times = berlin();
        for (moment, text) in [
            ("2026-11-27T18:59:59Z", "just now"),
            ("2026-11-27T18:59:18Z", "42 s ago"),
            ("2026-11-27T18:46:00Z", "14 min ago"),
            ("2026-11-27T15:00:00Z", "4 h ago"),
            ("2026-11-25T18:00:00Z", "2 d ago"),
            ("2026-11-01T18:00:00Z", "1 Nov"),
            ("2025-12-31T23:30:00Z", "1 Jan"),
            ("2025-11-01T18:00:00Z", "1 Nov 2025"),
            ("2026-11-27T19:03:00Z", "in 3 min"),
        ] {
            assert_eq!(times.relative_text(at(moment)), text, "{moment}");
        }
    }

    #[test]
    fn lasting_is_a_length_and_later_a_date() {
        let times = berlin();
        for (moment, text) in [
            ("2026-11-27T18:46:00Z", "for 14 min"),
            ("2026-11-01T18:00:00Z", "since 1 Nov"),
            ("2026-11-27T18:59:59Z", "since just now"),
        ] {
            assert_eq!(times.lasting_text(at(moment)), text, "{moment}");
        }
    }

    #[test]
    fn exact_times_are_in_the_zone_and_machines_read_utc() {
        let shown = berlin()
            .exact(at("2026-07-01T10:00:00.123456Z"))
            .to_string();
        assert_eq!(
            shown,
            "<time class=\"exact\" datetime=\"2026-07-01T10:00:00.123456Z\">1 Jul 2026, \
             12:00:00.123</time>"
        );
    }

    #[test]
    fn typed_times_are_in_the_zone() {
        let times = berlin();
        let typed = times.parse("2026-07-01T12:30");
        assert_eq!(typed, Some(at("2026-07-01T10:30:00Z")));
        assert_eq!(times.input(at("2026-07-01T10:30:59Z")), "2026-07-01T12:30");
        let exact = "2026-07-01T12:30:00.5Z";
        assert_eq!(times.parse(exact), Some(at(exact)));
        for wrong in ["", "yesterday", "2026-13-01T00:00", "12:30"] {
            assert_eq!(times.parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_zone_is_named_with_its_difference_to_utc() {
        let now = at("2026-11-27T19:00:00Z");
        for (zone, name) in [
            ("Europe/Berlin", "Europe/Berlin, UTC+1"),
            ("Asia/Kolkata", "Asia/Kolkata, UTC+5:30"),
            ("America/New_York", "America/New_York, UTC−5"),
            ("UTC", "UTC"),
            ("Nowhere/At_All", "UTC"),
        ] {
            assert_eq!(Times::new(zone, now).zone_name(), name);
        }
    }

    #[test]
    fn axis_is_labelled_at_round_times_of_the_zone() {
        let times = berlin();
        for (moment, hours, label) in [
            ("2026-11-27T23:00:00Z", false, Some("28 Nov")),
            ("2026-11-27T23:15:00Z", false, None),
            ("2026-11-27T11:00:00Z", true, Some("12:00")),
            ("2026-11-27T11:00:00Z", false, None),
        ] {
            assert_eq!(times.axis(at(moment), hours).as_deref(), label, "{moment}");
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (micros, text) in [
            (340_000, "340 ms"),
            (2_140_000, "2.1 s"),
            (42_000_000, "42 s"),
            (192_000_000, "3 min 12 s"),
            (7_200_000_000, "2 h"),
            (352_800_000_000, "4 d 2 h"),
        ] {
            assert_eq!(duration(micros), text);
        }
    }
}
