//! The time that the overview is about.

use domain::statistics::{QUARTER_HOUR_MICROS, quarter_hour};
use domain::{ChannelId, Timestamp};
use usecases::statistics::StatisticsQuery;

use crate::error::PageError;
use crate::fields::Fields;

const HOUR_MICROS: i64 = 3_600_000_000;

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
    pub(super) range: Range,
    pub(super) query: StatisticsQuery,
    /// The same length of time before.
    pub(super) before: StatisticsQuery,
}

impl Selection {
    /// Reads the query of a page.
    pub(super) fn parse(fields: &Fields, now: Timestamp) -> Result<Self, PageError> {
        let range = match fields.get("range") {
            None => Range::Day,
            Some(word) => {
                let found = Range::ALL.into_iter().find(|range| range.as_str() == word);
                let words = Range::ALL.map(Range::as_str).join(", ");
                let expected = || PageError::Invalid(format!("a range is one of {words}"));
                found.ok_or_else(expected)?
            }
        };
        let channel = fields.get("channel").map(ChannelId::parse).transpose();
        let channel = channel.map_err(|error| PageError::Invalid(error.to_string()))?;
        // The running quarter of an hour is the last one.
        let until = quarter_hour(now).plus_micros(QUARTER_HOUR_MICROS);
        let from = until.plus_micros(-range.micros());
        let query = |from, until| StatisticsQuery {
            from,
            until,
            channel: channel.clone(),
        };
        Ok(Self {
            range,
            before: query(from.plus_micros(-range.micros()), from),
            query: query(from, until),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ends_with_the_running_quarter_of_an_hour() {
        let now = Timestamp::parse("2026-11-27T19:07:00Z").unwrap();
        let selection = Selection::parse(&Fields::default(), now).unwrap();
        assert_eq!(
            selection.query.from.to_string(),
            "2026-11-26T19:15:00.000000Z"
        );
        assert_eq!(
            selection.query.until.to_string(),
            "2026-11-27T19:15:00.000000Z"
        );
        assert_eq!(selection.before.until, selection.query.from);
        let wrong = Selection::parse(&Fields::parse(b"range=2h"), now);
        assert!(matches!(wrong, Err(PageError::Invalid(_))));
    }
}
