//! The period that the overview shows, parsed from the query.

use domain::statistics::{QUARTER_HOUR_MICROS, quarter_hour};
use domain::{ChannelId, Timestamp};
use usecases::statistics::StatisticsQuery;

use crate::error::PageError;
use crate::fields::Fields;
use crate::pages::messages::filter::typed_time;
use crate::time::Times;

const HOUR_MICROS: i64 = 3_600_000_000;

/// The longest time that can be typed: as long as the longest range.
const MAX_TYPED_MICROS: i64 = 92 * 24 * HOUR_MICROS;

/// How long the time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
}

impl Range {
    /// All ranges.
    pub(super) const ALL: [Self; 5] = [
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Quarter,
    ];

    /// Returns the name in URLs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
        }
    }

    /// Returns the words for people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Hour => "1 hour",
            Self::Day => "24 hours",
            Self::Week => "7 days",
            Self::Month => "30 days",
            Self::Quarter => "90 days",
        }
    }

    const fn micros(self) -> i64 {
        let hours = match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 30 * 24,
            Self::Quarter => 90 * 24,
        };
        hours * HOUR_MICROS
    }
}

/// What the URL asks for.
pub(super) struct Selection {
    /// `None` if the times were typed.
    pub(super) range: Option<Range>,
    pub(super) query: StatisticsQuery,
}

impl Selection {
    /// Reads the query of a page.
    pub(super) fn parse(fields: &Fields, times: &Times) -> Result<Self, PageError> {
        let channel = fields.get("channel").map(ChannelId::parse).transpose();
        let channel = channel.map_err(|error| PageError::Invalid(error.to_string()))?;
        let range = range(fields)?;
        let (from, until) = match range {
            Some(range) => {
                // The running quarter of an hour is the last one.
                let until = quarter_hour(times.now()).plus_micros(QUARTER_HOUR_MICROS);
                (until.plus_micros(-range.micros()), until)
            }
            None => typed(fields, times)?,
        };
        Ok(Self {
            range,
            query: StatisticsQuery {
                from,
                until,
                channel,
            },
        })
    }

    /// Returns the words for the time and for the one before it.
    pub(super) fn words(&self) -> (String, String) {
        self.range.map_or_else(
            || {
                let length = "the same length of time".to_owned();
                ("in the chosen time".to_owned(), length)
            },
            |range| {
                let words = range.words();
                let last = if range == Range::Hour { "hour" } else { words };
                (format!("in the last {last}"), format!("the {last}"))
            },
        )
    }

    /// Returns the path of the list of the messages that a number of this page counts. `filter` is
    /// more of its query.
    pub(super) fn messages(&self, filter: &[(&str, &str)]) -> String {
        let StatisticsQuery {
            from,
            until,
            channel,
        } = &self.query;
        let mut fields = Fields::default()
            .with("since", Some(&from.to_string()))
            .with("until", Some(&until.to_string()))
            .with("channel", channel.as_ref().map(ChannelId::as_str));
        for (name, value) in filter {
            fields = fields.with(name, Some(value));
        }
        format!("/console/messages{}", fields.query())
    }
}

/// Returns the range of a query; `None` if it has times instead.
fn range(fields: &Fields) -> Result<Option<Range>, PageError> {
    let Some(word) = fields.get("range") else {
        let is_typed = fields.get("since").is_some() || fields.get("until").is_some();
        return Ok((!is_typed).then_some(Range::Day));
    };
    let found = Range::ALL.into_iter().find(|range| range.as_str() == word);
    let words = Range::ALL.map(Range::as_str).join(", ");
    let expected = || PageError::Invalid(format!("a range is one of {words}"));
    found.map(Some).ok_or_else(expected)
}

/// Returns the times of a query, widened to quarters of an hour.
fn typed(fields: &Fields, times: &Times) -> Result<(Timestamp, Timestamp), PageError> {
    let until = typed_time(fields, "until", times)?.unwrap_or(times.now());
    let since = typed_time(fields, "since", times)?;
    let from = quarter_hour(since.unwrap_or(until.plus_micros(-Range::Day.micros())));
    let last = quarter_hour(until.plus_micros(-1));
    let until = last.plus_micros(QUARTER_HOUR_MICROS);
    let length = until.unix_micros() - from.unix_micros();
    if (1..=MAX_TYPED_MICROS).contains(&length) {
        Ok((from, until))
    } else {
        let expected = "a time ends after it begins, and is at most 92 days long";
        Err(PageError::Invalid(expected.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Selection, PageError> {
        let now = Timestamp::parse("2026-11-27T19:07:00Z").unwrap();
        let times = Times::new("Europe/Berlin", now);
        Selection::parse(&Fields::parse(query.as_bytes()), &times)
    }

    #[test]
    fn time_ends_with_the_running_quarter_of_an_hour() {
        let selection = parse("").unwrap();
        assert_eq!(
            selection.query.from.to_string(),
            "2026-11-26T19:15:00.000000Z"
        );
        assert_eq!(
            selection.query.until.to_string(),
            "2026-11-27T19:15:00.000000Z"
        );
        let wrong = parse("range=2h");
        assert!(matches!(wrong, Err(PageError::Invalid(_))));
    }

    #[test]
    fn typed_time_is_widened_to_quarters_of_an_hour() {
        let selection = parse("since=2026-11-01T08%3A07&until=2026-11-01T10%3A15").unwrap();
        let StatisticsQuery { from, until, .. } = &selection.query;
        assert_eq!(from.to_string(), "2026-11-01T07:00:00.000000Z");
        assert_eq!(until.to_string(), "2026-11-01T09:15:00.000000Z");
        // A range replaces the times of a link.
        let range = parse("range=7d&since=2026-11-01T08%3A07").unwrap().range;
        assert_eq!(range, Some(Range::Week));
        for wrong in [
            "since=2026-11-02T00%3A00&until=2026-11-01T00%3A00",
            "since=2026-01-01T00%3A00&until=2026-11-01T00%3A00",
            "since=soon",
        ] {
            assert!(
                matches!(parse(wrong), Err(PageError::Invalid(_))),
                "{wrong}"
            );
        }
    }
}
