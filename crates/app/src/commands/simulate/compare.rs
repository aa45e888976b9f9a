//! Compares what is shown of messages with what had to come of their reports.

use std::collections::{BTreeMap, BTreeSet};

use domain::{DeliveryStatus, Message};
use serde::{Deserialize, Serialize};

/// How many differences are listed.
const LISTED: usize = 20;

/// What the API says of a message, as far as it is compared.
#[derive(Clone, Debug, Deserialize)]
pub struct Shown {
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

/// How often something was to be shown, and how often it was.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Count {
    pub expected: u64,
    pub shown: u64,
}

/// One thing that is not shown as it was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub message_sid: String,
    pub what: &'static str,
    pub expected: String,
    pub shown: String,
}

/// How all messages compare.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Messages by status; `None` stands for those that nothing has moved.
    pub statuses: BTreeMap<Option<String>, Count>,
    pub contradicted: Count,
    /// How many messages differ in anything.
    pub differing: u64,
    /// The first differences.
    pub differences: Vec<Difference>,
}

impl Comparison {
    pub fn add(&mut self, expected: &Message, shown: Option<&Shown>, perhaps_taken: u64) {
        let state = &expected.state;
        let word = state.status().map(|status| status.as_str().to_owned());
        self.statuses.entry(word).or_default().expected += 1;
        self.contradicted.expected += u64::from(state.contradicted());
        if let Some(shown) = shown {
            self.statuses.entry(shown.status.clone()).or_default().shown += 1;
            self.contradicted.shown += u64::from(shown.contradicted);
        }
        let differences = differences(expected, shown, perhaps_taken);
        self.differing += u64::from(!differences.is_empty());
        let room = LISTED.saturating_sub(self.differences.len());
        self.differences.extend(differences.into_iter().take(room));
    }
}

/// What is not shown as it was reported. Of the duplicates `perhaps_taken`
/// more than were planned may be counted.
pub fn differences(
    expected: &Message,
    shown: Option<&Shown>,
    perhaps_taken: u64,
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
    if !(least..=least + perhaps_taken).contains(&counted) {
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

    fn shown() -> Shown {
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
    fn what_is_shown_as_it_was_reported_does_not_differ() {
        assert_eq!(differences(&expected(), Some(&shown()), 0), []);
    }

    #[test]
    fn everything_that_is_compared_can_differ() {
        let other = Shown {
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
    fn a_message_that_is_not_known_differs() {
        assert_eq!(differences(&expected(), None, 0).len(), 1);
    }

    #[test]
    fn a_lost_answer_allows_for_one_more_duplicate() {
        let mut twice = shown();
        twice.counters.duplicates = 2;
        assert_eq!(differences(&expected(), Some(&twice), 0).len(), 1);
        assert_eq!(differences(&expected(), Some(&twice), 1), []);
    }

    #[test]
    fn at_most_twenty_differences_are_listed_and_all_are_counted() {
        let mut comparison = Comparison::default();
        for _ in 0..30 {
            comparison.add(&expected(), None, 0);
        }
        assert_eq!(
            (comparison.differing, comparison.differences.len()),
            (30, LISTED)
        );
    }
}
