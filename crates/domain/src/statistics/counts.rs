//! The counts of one channel and interval: messages by status, reports, error codes, requests.

use std::collections::BTreeMap;

use crate::{DeliveryStatus, ErrorCode, RejectionReason, ReportedStatus, StatusSet};

use super::Histogram;

/// Where a message is counted: in exactly one cell of the interval of its first report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageCell {
    /// The highest reported status; `None` if no report had one that changes the state.
    pub status: Option<DeliveryStatus>,
    /// Whether the message was reported both as arrived and as failed.
    pub contradicted: bool,
}

/// Outcomes of messages, in the groups that are shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// Neither arrived nor failed yet.
    Open,
    /// Canceled before it was sent.
    Canceled,
    /// Failed or undelivered.
    Failed,
    /// Delivered, and not known to be read.
    Delivered,
    /// Read.
    Read,
    /// Reported both as arrived and as failed.
    Contradicted,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Canceled,
        Self::Failed,
        Self::Delivered,
        Self::Read,
        Self::Contradicted,
    ];

    /// Returns the name used in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the statuses of messages with one of these outcomes that are not contradicted.
    #[must_use]
    pub fn statuses(outcomes: &[Self]) -> StatusSet {
        let cell = |status| MessageCell {
            status,
            contradicted: false,
        };
        let known = DeliveryStatus::ALL.into_iter().map(Some);
        let all = known.chain([None]);
        all.filter(|status| outcomes.contains(&cell(*status).outcome()))
            .collect()
    }
}

impl MessageCell {
    /// Returns the group of messages that it belongs to.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        if self.contradicted {
            return Outcome::Contradicted;
        }
        match self.status {
            Some(DeliveryStatus::Canceled) => Outcome::Canceled,
            Some(DeliveryStatus::Failed | DeliveryStatus::Undelivered) => Outcome::Failed,
            Some(DeliveryStatus::Delivered) => Outcome::Delivered,
            Some(DeliveryStatus::Read) => Outcome::Read,
            None
            | Some(
                DeliveryStatus::Accepted
                | DeliveryStatus::Scheduled
                | DeliveryStatus::Queued
                | DeliveryStatus::Sending
                | DeliveryStatus::Sent
                | DeliveryStatus::PartiallyDelivered,
            ) => Outcome::Open,
        }
    }
}

/// The status of a report, with one label for all unknown ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusLabel {
    /// The status of a message that was sent.
    Delivery(DeliveryStatus),
    /// The status of an incoming message.
    Inbound,
    /// An unknown status.
    Unknown,
}

impl StatusLabel {
    /// Returns the label of a reported status.
    #[must_use]
    pub const fn of(status: &ReportedStatus) -> Self {
        match status {
            ReportedStatus::Delivery(status) => Self::Delivery(*status),
            ReportedStatus::Inbound(_) => Self::Inbound,
            ReportedStatus::Unknown(_) => Self::Unknown,
        }
    }

    /// Returns the name used in output and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivery(status) => status.as_str(),
            Self::Inbound => "inbound",
            Self::Unknown => "unknown",
        }
    }

    /// Parses a name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "inbound" => Some(Self::Inbound),
            "unknown" => Some(Self::Unknown),
            _ => word.parse().ok().map(Self::Delivery),
        }
    }
}

/// What happened to a request of an integrator. The report log does not have these counts: the
/// receiver adds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestOutcome {
    /// It had valid credentials. Those whose report was rejected are counted here, too.
    Authenticated,
    /// It had no credentials, and got a challenge.
    Challenged,
    /// It had wrong credentials.
    Refused,
    /// It had valid credentials, and its report was rejected.
    Rejected(RejectionReason),
}

impl RequestOutcome {
    /// All outcomes.
    pub const ALL: [Self; 3 + RejectionReason::ALL.len()] = [
        Self::Authenticated,
        Self::Challenged,
        Self::Refused,
        Self::Rejected(RejectionReason::SignatureMismatch),
        Self::Rejected(RejectionReason::ChannelDisabled),
        Self::Rejected(RejectionReason::InvalidReport),
        Self::Rejected(RejectionReason::SenderNotAllowed),
        Self::Rejected(RejectionReason::RefusedByStore),
    ];

    /// Returns the reason if the report was rejected.
    #[must_use]
    pub const fn rejection(self) -> Option<RejectionReason> {
        match self {
            Self::Rejected(reason) => Some(reason),
            Self::Authenticated | Self::Challenged | Self::Refused => None,
        }
    }
}

/// The counts of one channel in one interval, or a change of them, in which numbers may be
/// negative. Zeros are not stored, so equal counts are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages whose first report arrived in the interval, by their current cell.
    pub messages: BTreeMap<MessageCell, i64>,
    /// Those of them that have an error, by its code.
    pub errors: BTreeMap<ErrorCode, i64>,
    /// How long those of them that were delivered took since their first report.
    pub time_to_delivered: Histogram,
    /// How long those of them that were read took since their first report.
    pub time_to_read: Histogram,
    /// Reports that arrived in the interval, without duplicates.
    pub reports: BTreeMap<StatusLabel, i64>,
    /// Time between consecutive reports of the channel, where it begins in the interval.
    pub gaps: Histogram,
    /// Requests in the interval.
    pub requests: BTreeMap<RequestOutcome, i64>,
}

impl Counts {
    /// Returns whether there is nothing but zeros.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds other counts, multiplied by `factor`.
    pub fn add(&mut self, other: &Self, factor: i64) {
        add_to(&mut self.messages, &other.messages, factor);
        add_to(&mut self.errors, &other.errors, factor);
        self.time_to_delivered
            .add_all(&other.time_to_delivered, factor);
        self.time_to_read.add_all(&other.time_to_read, factor);
        add_to(&mut self.reports, &other.reports, factor);
        self.gaps.add_all(&other.gaps, factor);
        add_to(&mut self.requests, &other.requests, factor);
    }

    /// Returns how many messages there are.
    #[must_use]
    pub fn total_messages(&self) -> i64 {
        self.messages.values().sum()
    }

    /// Returns how many messages had an outcome.
    #[must_use]
    pub fn messages_with(&self, outcome: Outcome) -> i64 {
        let cells = self.messages.iter();
        cells
            .filter(|(cell, _)| cell.outcome() == outcome)
            .map(|(_, count)| *count)
            .sum()
    }

    /// Returns how many requests had an outcome.
    #[must_use]
    pub fn requests_with(&self, outcome: RequestOutcome) -> i64 {
        self.requests.get(&outcome).copied().unwrap_or_default()
    }

    /// Returns how many requests had valid credentials and a report that was rejected.
    #[must_use]
    pub fn rejected_requests(&self) -> i64 {
        let rejected = self.requests.iter();
        rejected
            .filter(|(outcome, _)| outcome.rejection().is_some())
            .map(|(_, count)| *count)
            .sum()
    }

    /// Returns how many reports there are.
    #[must_use]
    pub fn total_reports(&self) -> i64 {
        self.reports.values().sum()
    }
}

fn add_to<K: Ord + Clone>(sums: &mut BTreeMap<K, i64>, other: &BTreeMap<K, i64>, factor: i64) {
    for (key, count) in other {
        add_count(sums, key, count.saturating_mul(factor));
    }
}

/// Adds to one number; a sum of zero is removed.
pub(super) fn add_count<K: Ord + Clone>(sums: &mut BTreeMap<K, i64>, key: &K, count: i64) {
    let Some(sum) = sums.get_mut(key) else {
        if count != 0 {
            sums.insert(key.clone(), count);
        }
        return;
    };
    *sum = sum.saturating_add(count);
    if *sum == 0 {
        sums.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_subtracted_leaves_nothing() {
        let mut counts = Counts::default();
        let cell = MessageCell::default();
        counts.messages.insert(cell, 2);
        counts.errors.insert(ErrorCode::parse("63016").unwrap(), 1);
        counts.reports.insert(StatusLabel::Unknown, 3);
        counts.requests.insert(RequestOutcome::Challenged, 4);
        counts.time_to_delivered.add(7, 5);
        counts.time_to_read.add(9, 6);
        counts.gaps.add(2, 7);
        let mut sum = counts.clone();
        sum.add(&counts, 1);
        assert_eq!(sum.total_messages(), 4);
        assert_eq!(sum.total_reports(), 6);
        sum.add(&counts, -2);
        assert!(sum.is_empty(), "{sum:?}");
    }

    #[test]
    fn outcome_is_that_of_its_statuses() {
        let failed = Outcome::statuses(&[Outcome::Failed]);
        assert_eq!(failed.to_string(), "failed,undelivered");
        assert!(!failed.contains_unknown());
        let open = Outcome::statuses(&[Outcome::Open]);
        let words = "accepted,scheduled,queued,sending,sent,partially_delivered";
        assert_eq!(open.to_string(), words);
        assert!(open.contains_unknown());
        let arrived = Outcome::statuses(&[Outcome::Delivered, Outcome::Read]);
        assert_eq!(arrived.to_string(), "delivered,read");
    }

    #[test]
    fn names_are_parsed() {
        for label in [StatusLabel::Inbound, StatusLabel::Unknown]
            .into_iter()
            .chain(DeliveryStatus::ALL.map(StatusLabel::Delivery))
        {
            assert_eq!(StatusLabel::from_word(label.as_str()), Some(label));
        }
    }

    #[test]
    fn every_rejection_is_an_outcome_of_requests() {
        let rejections = RequestOutcome::ALL.into_iter();
        let reasons = rejections.filter_map(RequestOutcome::rejection);
        assert!(reasons.eq(RejectionReason::ALL));
    }
}
