//! Compares messages in the API with the state that their reports should lead to.

use std::collections::{BTreeMap, BTreeSet};

use domain::{DeliveryStatus, Message};
use serde::{Deserialize, Serialize};

/// The number of differences that are listed.
const MAX_LISTED: usize = 20;

/// A message in the API, as far as it is compared.
#[derive(Clone, Debug, Deserialize)]
pub struct ShownMessage {
    status: Option<String>,
    contradicted: bool,
    error: Option<ShownError>,
    timeline: Vec<ShownStep>,
    counters: ShownCounters,
}

#[derive(Clone, Debug, Deserialize)]
struct ShownError {
    code: String,
}

#[derive(Clone, Debug, Deserialize)]
struct ShownStep {
    status: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct ShownCounters {
    reports: u64,
    duplicates: u64,
}

/// How many messages should be shown so, and how many are.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ShownCount {
    pub expected: u64,
    pub shown: u64,
}

/// A value that differs from the expected one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub message_sid: String,
    pub what: &'static str,
    pub expected: String,
    pub shown: String,
}

#[derive(Debug, Default)]
pub struct Comparison {
    /// Messages by status; `None` for those without a known status.
    pub statuses: BTreeMap<Option<String>, ShownCount>,
    pub contradicted: ShownCount,
    /// The number of messages with a difference.
    pub differing: u64,
    pub differences: Vec<Difference>,
}

impl Comparison {
    pub fn add(&mut self, expected: &Message, shown: Option<&ShownMessage>, maybe_recorded: u64) {
        let state = &expected.state;
        let word = state.status().map(|status| status.as_str().to_owned());
        self.statuses.entry(word).or_default().expected += 1;
        self.contradicted.expected += u64::from(state.contradicted());
        if let Some(shown) = shown {
            self.statuses.entry(shown.status.clone()).or_default().shown += 1;
            self.contradicted.shown += u64::from(shown.contradicted);
        }
        let differences = differences(expected, shown, maybe_recorded);
        self.differing += u64::from(!differences.is_empty());
        let room = MAX_LISTED.saturating_sub(self.differences.len());
        self.differences.extend(differences.into_iter().take(room));
    }
}

impl Comparison {
    /// Adds the comparison of other messages.
    pub fn merge(&mut self, other: Self) {
        for (status, count) in other.statuses {
            self.statuses.entry(status).or_default().merge(count);
        }
        self.contradicted.merge(other.contradicted);
        self.differing += other.differing;
        let room = MAX_LISTED.saturating_sub(self.differences.len());
        self.differences
            .extend(other.differences.into_iter().take(room));
    }
}

impl ShownCount {
    const fn merge(&mut self, other: Self) {
        self.expected += other.expected;
        self.shown += other.shown;
    }
}

/// Returns all differences of a message. Up to `maybe_recorded` more duplicates than planned are
/// allowed.
pub fn differences(
    expected: &Message,
    shown: Option<&ShownMessage>,
    maybe_recorded: u64,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut differ = |what, expected_text: String, shown: String| {
        if expected_text != shown {
            let message_sid = expected.key.sid.to_string();
            differences.push(Difference {
                message_sid,
                what,
                expected: expected_text,
                shown,
            });
        }
    };
    let Some(shown) = shown else {
        differ("message", "known".to_owned(), "unknown".to_owned());
        return differences;
    };
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    let state = &expected.state;
    differ(
        "status",
        or_none(state.status().map(DeliveryStatus::as_str)),
        or_none(shown.status.as_deref()),
    );
    differ(
        "contradicted",
        state.contradicted().to_string(),
        shown.contradicted.to_string(),
    );
    let code = state.error().map(|error| error.error.code.as_str());
    differ(
        "error",
        or_none(code),
        or_none(shown.error.as_ref().map(|error| error.code.as_str())),
    );
    let steps: BTreeSet<_> = state
        .timeline()
        .steps()
        .map(|(status, _)| status.as_str())
        .collect();
    let shown_steps: BTreeSet<_> = shown
        .timeline
        .iter()
        .map(|step| step.status.as_str())
        .collect();
    let list = |steps: BTreeSet<&str>| steps.into_iter().collect::<Vec<_>>().join(", ");
    differ("timeline", list(steps), list(shown_steps));
    differ(
        "reports",
        expected.revision().to_string(),
        shown.counters.reports.to_string(),
    );
    let (least, counted) = (expected.duplicates, shown.counters.duplicates);
    if !(least..=least + maybe_recorded).contains(&counted) {
        differ("duplicates", least.to_string(), counted.to_string());
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Message {
        let report = |word: &str, at| testkit::builders::report("SM1").status(word).at(at);
        let (mut message, _) = Message::begin(&report("sent", 1).build());
        message.absorb(&report("failed", 2).error("63016").build());
        message.absorb(&report("read", 3).build());
        message.absorb(&report("read", 4).build());
        message
    }

    fn shown() -> ShownMessage {
        let json = r#"{
            "channel_id": "1", "message_sid": "SM1", "status": "read", "contradicted": true,
            "error": {"code": "63016", "text": null},
            "timeline": [
                {"status": "sent", "first_reported_at": "2026-11-22T18:06:17Z"},
                {"status": "failed", "first_reported_at": "2026-11-22T18:06:18Z"},
                {"status": "read", "first_reported_at": "2026-11-22T18:06:19Z"}
            ],
            "counters": {"reports": 3, "duplicates": 1}
        }"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn message_as_reported_does_not_differ() {
        assert_eq!(differences(&expected(), Some(&shown()), 0), []);
    }

    #[test]
    fn everything_that_is_compared_can_differ() {
        let other = ShownMessage {
            status: None,
            contradicted: false,
            error: None,
            timeline: Vec::new(),
            counters: ShownCounters {
                reports: 4,
                duplicates: 0,
            },
        };
        let differences = differences(&expected(), Some(&other), 0);
        let what: Vec<_> = differences.iter().map(|each| each.what).collect();
        assert_eq!(
            what,
            [
                "status",
                "contradicted",
                "error",
                "timeline",
                "reports",
                "duplicates"
            ]
        );
    }

    #[test]
    fn unknown_message_differs() {
        assert_eq!(differences(&expected(), None, 0).len(), 1);
    }

    #[test]
    fn lost_response_allows_one_more_duplicate() {
        let mut twice = shown();
        twice.counters.duplicates = 2;
        assert_eq!(differences(&expected(), Some(&twice), 0).len(), 1);
        assert_eq!(differences(&expected(), Some(&twice), 1), []);
    }

    #[test]
    fn at_most_twenty_differences_are_listed_but_all_are_counted() {
        let mut comparison = Comparison::default();
        for _ in 0..30 {
            comparison.add(&expected(), None, 0);
        }
        assert_eq!(
            (comparison.differing, comparison.differences.len()),
            (30, MAX_LISTED)
        );
    }
}
