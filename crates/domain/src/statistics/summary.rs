//! The part of a message's history that statistics count.

use crate::{
    Address, DeliveryStatus, ErrorCode, LogPosition, LoggedReport, Message, MessageKey,
    MessageState, ReportedStatus, Timestamp,
};

use super::counts::add_count;
use super::{Counts, Histogram, MessageCell};

/// A report of the log, reduced to what statistics need of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// Its place in the log. Reports of a message may be out of the order of their revisions.
    pub position: LogPosition,
    /// Its message.
    pub key: MessageKey,
    /// The number of its change of the message, from 1.
    pub revision: i64,
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// When it happened, by the integrator's clock.
    pub happened_at: Option<Timestamp>,
    /// The recipient.
    pub recipient: Address,
    /// The reported status.
    pub status: ReportedStatus,
    /// The reported error code.
    pub error: Option<ErrorCode>,
}

impl From<&LoggedReport> for StatusChange {
    fn from(logged: &LoggedReport) -> Self {
        let report = &logged.report;
        Self {
            position: LogPosition(logged.id),
            key: report.key.clone(),
            revision: logged.revision,
            arrived_at: report.arrived_at,
            happened_at: report.happened_at,
            recipient: report.recipient.clone(),
            status: report.status.clone(),
            error: report.error.as_ref().map(|error| error.code.clone()),
        }
    }
}

/// How long before its arrival a report can have happened; integrators repeat a report for a week.
const MAX_TRANSPORT_MICROS: i64 = 30 * 86_400 * 1_000_000;

impl StatusChange {
    /// Returns when it happened: by the integrator's clock, or when it arrived if the integrator
    /// says nothing, or a time that cannot be.
    #[must_use]
    pub fn occurred_at(&self) -> Timestamp {
        let arrived = self.arrived_at;
        let possible = arrived.plus_micros(-MAX_TRANSPORT_MICROS)..=arrived;
        self.happened_at
            .filter(|at| possible.contains(at))
            .unwrap_or(arrived)
    }
}

/// What statistics need to know of a message. It depends only on the set of its reports, so it does
/// not matter in which order they are absorbed. Duplicates are not logged: one that arrived before
/// the report it repeats, at another receiver, makes the times of the message earlier, not these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSummary {
    first_reported_at: Timestamp,
    /// When the first report happened. The times to delivered and to read begin here.
    began_at: Timestamp,
    status: Option<DeliveryStatus>,
    arrived: bool,
    failed: bool,
    delivered_at: Option<Timestamp>,
    read_at: Option<Timestamp>,
    /// Boxed, because few messages have one and readers remember many messages.
    error: Option<Box<(Timestamp, ErrorCode)>>,
}

impl MessageSummary {
    /// Summarises a message by its first report.
    #[must_use]
    pub fn begin(change: &StatusChange) -> Self {
        let mut summary = Self {
            first_reported_at: change.arrived_at,
            began_at: change.occurred_at(),
            status: None,
            arrived: false,
            failed: false,
            delivered_at: None,
            read_at: None,
            error: None,
        };
        summary.absorb(change);
        summary
    }

    /// Summarises a stored message.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        Self::from_state(message.parties.first_reported_at, &message.state)
    }

    /// Summarises a message by its state and the time of its first report. A stored message has
    /// times of arrival only.
    #[must_use]
    pub fn from_state(first_reported_at: Timestamp, state: &MessageState) -> Self {
        let any =
            |is: fn(DeliveryStatus) -> bool| state.timeline().steps().any(|(status, _)| is(status));
        let error = state.error();
        Self {
            first_reported_at,
            began_at: first_reported_at,
            status: state.status(),
            arrived: any(DeliveryStatus::is_arrival),
            failed: any(DeliveryStatus::is_failure),
            delivered_at: state.timeline().first(DeliveryStatus::Delivered),
            read_at: state.timeline().first(DeliveryStatus::Read),
            error: error.map(|error| Box::new((error.reported_at, error.error.code.clone()))),
        }
    }

    /// Applies one more report of the message.
    pub fn absorb(&mut self, change: &StatusChange) {
        let at = change.arrived_at;
        self.first_reported_at = self.first_reported_at.min(at);
        let occurred_at = change.occurred_at();
        self.began_at = self.began_at.min(occurred_at);
        let Some(status) = change.status.delivery() else {
            return;
        };
        self.status = self.status.max(Some(status));
        self.arrived |= status.is_arrival();
        self.failed |= status.is_failure();
        match status {
            DeliveryStatus::Delivered => note_first(&mut self.delivered_at, occurred_at),
            DeliveryStatus::Read => note_first(&mut self.read_at, occurred_at),
            _ => {}
        }
        if let Some(code) = change.error.as_ref().filter(|_| status.is_failure()) {
            let error = Box::new((at, code.clone()));
            if self.error.as_ref().is_none_or(|first| error < *first) {
                self.error = Some(error);
            }
        }
    }

    /// Returns the summary after one more report of the message.
    #[must_use]
    pub fn with(&self, change: &StatusChange) -> Self {
        let mut after = self.clone();
        after.absorb(change);
        after
    }

    /// Joins what is known of the same message from other reports.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.first_reported_at = self.first_reported_at.min(other.first_reported_at);
        self.began_at = self.began_at.min(other.began_at);
        self.status = self.status.max(other.status);
        self.arrived |= other.arrived;
        self.failed |= other.failed;
        if let Some(at) = other.delivered_at {
            note_first(&mut self.delivered_at, at);
        }
        if let Some(at) = other.read_at {
            note_first(&mut self.read_at, at);
        }
        if let Some(error) = other.error
            && self.error.as_ref().is_none_or(|first| error < *first)
        {
            self.error = Some(error);
        }
        self
    }

    /// Returns when its first report arrived: it counts in the interval of that time.
    #[must_use]
    pub const fn first_reported_at(&self) -> Timestamp {
        self.first_reported_at
    }

    /// Returns the cell that it counts in.
    #[must_use]
    pub const fn cell(&self) -> MessageCell {
        MessageCell {
            status: self.status,
            contradicted: self.arrived && self.failed,
        }
    }

    /// Returns the code of its error.
    #[must_use]
    pub fn error_code(&self) -> Option<&ErrorCode> {
        self.error.as_ref().map(|error| &error.1)
    }

    /// Returns whether it is listed as a problem: failed, undelivered or contradicted.
    #[must_use]
    pub const fn is_problem(&self) -> bool {
        self.failed
    }

    /// Returns what it counts in the interval of its first report.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.add_to(&mut counts, 1);
        counts
    }

    /// Adds what it counts, multiplied by `factor`, to the counts of the interval of its first
    /// report.
    pub fn add_to(&self, counts: &mut Counts, factor: i64) {
        add_count(&mut counts.messages, &self.cell(), factor);
        if let Some(code) = self.error_code() {
            add_count(&mut counts.errors, code, factor);
        }
        let bucket =
            |at: Timestamp| Histogram::bucket_of(at.unix_micros() - self.began_at.unix_micros());
        if let Some(at) = self.delivered_at {
            counts.time_to_delivered.add(bucket(at), factor);
        }
        if let Some(at) = self.read_at {
            counts.time_to_read.add(bucket(at), factor);
        }
    }
}

fn note_first(first: &mut Option<Timestamp>, at: Timestamp) {
    *first = Some(first.map_or(at, |first| first.min(at)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ChannelId, MessageSid};

    fn change(at: i64, word: &str, code: Option<&str>) -> StatusChange {
        StatusChange {
            position: LogPosition(at),
            key: MessageKey {
                channel: ChannelId::parse("c").unwrap(),
                sid: MessageSid::parse("SM1").unwrap(),
            },
            revision: 1,
            arrived_at: Timestamp::from_unix_micros(at).unwrap(),
            happened_at: None,
            recipient: Address::parse("+15550100001").unwrap(),
            status: ReportedStatus::parse(word).unwrap(),
            error: code.map(|code| ErrorCode::parse(code).unwrap()),
        }
    }

    fn summary(changes: &[StatusChange]) -> MessageSummary {
        let (first, rest) = changes.split_first().unwrap();
        let mut summary = MessageSummary::begin(first);
        for change in rest {
            summary.absorb(change);
        }
        summary
    }

    #[test]
    fn message_counts_once_with_its_times() {
        let read = summary(&[
            change(0, "sent", None),
            change(2_000_000, "delivered", None),
            change(9_000_000, "read", None),
        ]);
        let counts = read.counts();
        assert_eq!(counts.total_messages(), 1);
        assert_eq!(counts.time_to_delivered.total(), 1);
        assert_eq!(counts.time_to_read.total(), 1);
        assert!(!read.is_problem());
        let contradicted = summary(&[
            change(0, "failed", Some("63016")),
            change(1, "delivered", None),
        ]);
        assert!(contradicted.cell().contradicted);
        assert!(contradicted.is_problem());
        assert_eq!(contradicted.error_code().unwrap().as_str(), "63016");
    }

    #[test]
    fn times_are_those_of_the_integrator() {
        const SECOND: i64 = 1_000_000;
        let at = |seconds: i64| Timestamp::from_unix_micros(seconds * SECOND).unwrap();
        let report = |arrived: i64, happened: i64, word: &str| StatusChange {
            happened_at: Some(at(happened)),
            ..change(arrived * SECOND, word, None)
        };
        let bucket_of = |changes: &[StatusChange]| {
            let counts = summary(changes).counts();
            let buckets: Vec<_> = counts.time_to_delivered.buckets().collect();
            assert_eq!(buckets.len(), 1, "{buckets:?}");
            buckets[0].0
        };
        let seconds = |seconds: i64| Histogram::bucket_of(seconds * SECOND);
        let year = 365 * 86_400;
        // Repeated for an hour, until it was accepted.
        let late = [
            report(year, year - 1, "sent"),
            report(year + 3_600, year + 4, "delivered"),
        ];
        assert_eq!(bucket_of(&late), seconds(5));
        // The first report was one of arrival alone.
        let mixed = [
            change(year * SECOND, "sent", None),
            report(year + 9, year + 7, "delivered"),
        ];
        assert_eq!(bucket_of(&mixed), seconds(7));
        // Times in the future, and of 1970, are none.
        for wrong in [0, year + 10, 100 * year] {
            let wrong = [
                report(year, wrong, "sent"),
                report(year + 9, year + 7, "delivered"),
            ];
            assert_eq!(bucket_of(&wrong), seconds(7), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn order_and_grouping_do_not_matter(
            reports in prop::collection::vec((0..50_i64, 0..12_usize, 0..3_usize), 1..8),
            happened in prop::collection::vec(prop::option::of(0..50_i64), 8),
            cut in 0..8_usize,
        ) {
            let words = [
                "accepted", "scheduled", "queued", "sending", "sent", "canceled", "failed",
                "undelivered", "delivered", "read", "received", "new_word",
            ];
            let codes = [None, Some("1"), Some("2")];
            let mut changes: Vec<_> = reports
                .iter()
                .zip(&happened)
                .map(|((at, word, code), happened)| StatusChange {
                    happened_at: happened.map(|at| Timestamp::from_unix_micros(at).unwrap()),
                    ..change(*at, words[*word], codes[*code])
                })
                .collect();
            let all = summary(&changes);
            let (one, other) = changes.split_at(cut % changes.len());
            if !one.is_empty() {
                prop_assert_eq!(summary(one).join(summary(other)), all.clone());
            }
            changes.reverse();
            prop_assert_eq!(summary(&changes), all);
        }
    }
}
