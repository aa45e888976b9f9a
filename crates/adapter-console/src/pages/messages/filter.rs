//! The filter of a list of messages, in the URL.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::page::{MessageCursor, MessageFilter};
use domain::{ChannelId, ErrorCode, MessageKey, MessageSid, Recipient, StatusSet, Timestamp};
use usecases::RecipientLinks;

use super::outcome::OutcomeFilter;
use crate::error::PageError;
use crate::fields::Fields;
use crate::time::Times;

const HOUR_MICROS: i64 = 3_600_000_000;

/// How far back a list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    All,
}

impl Range {
    /// All ranges.
    pub(crate) const ALL: [Self; 6] = [
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Quarter,
        Self::All,
    ];

    /// Returns the name in URLs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::Quarter => "90d",
            Self::All => "all",
        }
    }

    /// Returns the words for people.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Hour => "Last hour",
            Self::Day => "Last 24 hours",
            Self::Week => "Last 7 days",
            Self::Month => "Last 30 days",
            Self::Quarter => "Last 90 days",
            Self::All => "All time",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.as_str() == word)
    }

    fn since(self, now: Timestamp) -> Option<Timestamp> {
        let hours = match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 7 * 24,
            Self::Month => 30 * 24,
            Self::Quarter => 90 * 24,
            Self::All => return None,
        };
        Some(now.plus_micros(-hours * HOUR_MICROS))
    }
}

/// The filter of a list of messages.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// What the store looks for.
    pub(crate) messages: MessageFilter,
    /// The outcome that it looks for.
    pub(crate) outcome: Option<OutcomeFilter>,
    /// How far back; `None` if the URL has times instead.
    pub(crate) range: Option<Range>,
    /// The last message of the page before.
    pub(crate) after: Option<MessageCursor>,
}

impl Filter {
    /// Reads a filter from a URL.
    pub(crate) fn parse(
        query: &Fields,
        recipients: &RecipientLinks,
        times: &Times,
    ) -> Result<Self, PageError> {
        let now = times.now();
        let since = typed_time(query, "since", times)?;
        let until = typed_time(query, "until", times)?;
        let range = match query.get("range").map(Range::from_word) {
            // A range that was chosen replaces the times of a link.
            Some(range) => {
                let words = Range::ALL.map(Range::as_str).join(", ");
                Some(
                    range
                        .ok_or_else(|| PageError::Invalid(format!("a range is one of {words}")))?,
                )
            }
            None if since.is_some() || until.is_some() => None,
            None => Some(Range::Week),
        };
        let times = (range.is_none()).then_some((since, until));
        let (since, until) = times.unwrap_or_default();
        let after = query.get("after").map(cursor_from_text);
        let stale = || PageError::Invalid("this page of the list is not valid".to_owned());
        let status = query.get("status").map(str::parse::<StatusSet>);
        let outcome = outcome(query)?;
        let channel = query.get("channel").map(ChannelId::parse).transpose();
        let code = query.get("code").map(ErrorCode::parse).transpose();
        let messages = MessageFilter {
            channel: valid(channel)?,
            status: valid(status.transpose())?,
            contradicted: query.ticked("contradicted").then_some(true),
            recipient: recipient(query, recipients)?,
            error_code: valid(code)?,
            since: since.or_else(|| range.and_then(|range| range.since(now))),
            until,
        };
        Ok(Self {
            messages: match outcome {
                Some(outcome) => outcome.restrict(messages),
                None => messages,
            },
            outcome,
            range,
            after: after.map(|after| after.ok_or_else(stale)).transpose()?,
        })
    }

    /// Returns whether it looks for anything but recent messages.
    pub(crate) fn is_narrow(&self) -> bool {
        let MessageFilter {
            channel,
            status,
            contradicted,
            recipient,
            error_code,
            since: _,
            until: _,
        } = &self.messages;
        let chosen = [
            channel.is_some(),
            status.is_some(),
            contradicted.is_some(),
            recipient.is_some(),
            error_code.is_some(),
            self.range.is_none_or(|range| range != Range::Week),
        ];
        chosen.contains(&true)
    }
}

/// Returns the outcome of a query. It replaces a status.
fn outcome(query: &Fields) -> Result<Option<OutcomeFilter>, PageError> {
    let words = OutcomeFilter::ALL.map(OutcomeFilter::as_str).join(", ");
    let outcome = query.get("outcome").map(|word| {
        let found = OutcomeFilter::from_word(word);
        found.ok_or_else(|| format!("an outcome is one of {words}"))
    });
    valid(outcome.transpose())
}

/// Returns a time that was typed or is part of a link.
pub(crate) fn typed_time(
    query: &Fields,
    name: &str,
    times: &Times,
) -> Result<Option<Timestamp>, PageError> {
    let time = query.get(name).map(|text| {
        let expected = "a time is written like 2026-11-27T19:00";
        times.parse(text).ok_or(expected)
    });
    valid(time.transpose())
}

fn valid<T, E: ToString>(parsed: Result<T, E>) -> Result<T, PageError> {
    parsed.map_err(|error| PageError::Invalid(error.to_string()))
}

/// Opens the sealed recipient of the URL.
fn recipient(query: &Fields, links: &RecipientLinks) -> Result<Option<Recipient>, PageError> {
    let stale = || {
        PageError::Invalid(
            "the link to the messages of this recipient is from another server; search for the \
             number again"
                .to_owned(),
        )
    };
    let sealed = query.get("to");
    let opened = sealed.map(|text| links.open(text).ok_or_else(stale));
    opened.transpose()
}

/// Returns the text of a cursor in URLs.
pub(crate) fn cursor_text(cursor: &MessageCursor) -> String {
    let MessageCursor {
        first_reported_at,
        key,
    } = cursor;
    let micros = first_reported_at.unix_micros();
    URL_SAFE_NO_PAD.encode(format!("{micros} {} {}", key.channel, key.sid))
}

fn cursor_from_text(text: &str) -> Option<MessageCursor> {
    let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut parts = plain.splitn(3, ' ');
    Some(MessageCursor {
        first_reported_at: Timestamp::from_unix_micros(parts.next()?.parse().ok()?).ok()?,
        key: MessageKey {
            channel: ChannelId::parse(parts.next()?).ok()?,
            sid: MessageSid::parse(parts.next()?).ok()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use testkit::builders::{key, server_secret, time};
    use testkit::clock::FixedClock;

    use super::*;

    fn parse(query: &str) -> Result<Filter, PageError> {
        let links = RecipientLinks::new(server_secret(), Arc::new(FixedClock::default()));
        let times = Times::new("Europe/Berlin", time(0));
        Filter::parse(&Fields::parse(query.as_bytes()), &links, &times)
    }

    #[test]
    fn a_list_goes_back_a_week_unless_the_url_says_otherwise() {
        let filter = parse("").unwrap();
        assert_eq!(filter.messages.since, Some(time(-7 * 24 * HOUR_MICROS)));
        assert!(!filter.is_narrow());
        assert_eq!(parse("range=all").unwrap().messages.since, None);
        let exact = parse("since=1970-01-01T00:00:00Z").unwrap();
        assert_eq!((exact.messages.since, exact.range), (Some(time(0)), None));
        let typed = parse("since=1970-01-01T01%3A00&until=1970-01-01T02%3A00").unwrap();
        assert_eq!(typed.messages.since, Some(time(0)));
        assert_eq!(typed.messages.until, Some(time(HOUR_MICROS)));
    }

    #[test]
    fn values_that_mean_nothing_are_refused() {
        for query in [
            "status=Read",
            "outcome=lost",
            "range=2h",
            "since=yesterday",
            "code=a%20b",
            "channel=a%2Fb",
            "after=AAAA",
            "to=15550100001",
        ] {
            assert!(
                matches!(parse(query), Err(PageError::Invalid(_))),
                "{query}"
            );
        }
    }

    #[test]
    fn a_cursor_survives_a_round_trip() {
        let cursor = MessageCursor {
            first_reported_at: time(1_795_370_777_000_001),
            key: key("a:message"),
        };
        assert_eq!(cursor_from_text(&cursor_text(&cursor)), Some(cursor));
    }
}
