//! Messages, and how their reports join into a state.

mod key;
mod state;
#[cfg(test)]
mod tests;

pub use key::{InvalidMessageSid, MessageKey, MessageSid};
pub use state::{MessageError, MessageState, Timeline};

use crate::seen_reports::{ReportIdentity, SeenReports};
use crate::{Address, Report, ReportedStatus, Timestamp};

/// What a report did to its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It moved the message up.
    Advanced,
    /// It reported a step below, or another account of the step, where the
    /// message already stood. It may still have filled in the timeline.
    Late,
    /// A report with the same status and error code came before. It was counted.
    Duplicate,
    /// Nobody knows its status. It was kept and moved nothing.
    UnknownStatus,
    /// It spoke of an incoming message. It was kept and moved nothing.
    Inbound,
}

impl Effect {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Advanced,
        Self::Late,
        Self::Duplicate,
        Self::UnknownStatus,
        Self::Inbound,
    ];

    /// The word for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Advanced => "advanced",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::UnknownStatus => "unknown_status",
            Self::Inbound => "inbound",
        }
    }

    /// What a report that is no duplicate does to a message that stands at
    /// `rank` (`None`: nothing has moved it yet).
    #[must_use]
    pub fn of_new(status: &ReportedStatus, rank: Option<u8>) -> Self {
        match status {
            ReportedStatus::Delivery(status) if Some(status.rank()) > rank => Self::Advanced,
            ReportedStatus::Delivery(_) => Self::Late,
            ReportedStatus::Inbound(_) => Self::Inbound,
            ReportedStatus::Unknown(_) => Self::UnknownStatus,
        }
    }
}

/// Who a message is from and to, by its earliest report. All reports of a
/// message should agree; if they do not, this choice does not depend on their
/// order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parties {
    /// When the earliest report arrived.
    pub first_reported_at: Timestamp,
    /// Who the message goes to.
    pub recipient: Address,
    /// Who sent it.
    pub sender: Address,
}

impl Parties {
    fn of(report: &Report) -> Self {
        Self {
            first_reported_at: report.arrived_at,
            recipient: report.recipient.clone(),
            sender: report.sender.clone(),
        }
    }
}

/// A message as its reports tell it: a pure function of the set of its
/// reports, but for `duplicates`, which counts them, and for what was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Channel and message id.
    pub key: MessageKey,
    /// Where it stands.
    pub state: MessageState,
    /// Who it is from and to, and when it was first heard of.
    pub parties: Parties,
    /// When it was last heard of, duplicates included.
    pub last_reported_at: Timestamp,
    /// The reports that are in the log.
    pub seen: SeenReports,
    /// How many reports said again what one before them had said.
    pub duplicates: u64,
}

impl Message {
    /// A message of which `report` is the first that is heard.
    #[must_use]
    pub fn begin(report: &Report) -> (Self, Effect) {
        let mut seen = SeenReports::default();
        seen.insert(ReportIdentity::of(report));
        let message = Self {
            key: report.key.clone(),
            state: MessageState::of(report),
            parties: Parties::of(report),
            last_reported_at: report.arrived_at,
            seen,
            duplicates: 0,
        };
        (message, Effect::of_new(&report.status, None))
    }

    /// Whether its recipient was erased. Whatever is reported of it from then on
    /// is erased as well, before it is kept.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.parties.recipient.is_erased()
    }

    /// Forgets who it goes to, and the integrator's words about its error.
    pub fn erase(&mut self) {
        self.parties.recipient = Address::erased();
        self.state.erase_words();
    }

    /// Takes in one more report of this message.
    pub fn absorb(&mut self, report: &Report) -> Effect {
        if self.is_erased() {
            self.take_in(&report.erased())
        } else {
            self.take_in(report)
        }
    }

    fn take_in(&mut self, report: &Report) -> Effect {
        let rank = self.state.status().map(crate::DeliveryStatus::rank);
        let parties = Parties::of(report);
        if parties < self.parties {
            self.parties = parties;
        }
        self.last_reported_at = self.last_reported_at.max(report.arrived_at);
        self.state.absorb(report);
        if self.seen.insert(ReportIdentity::of(report)) {
            Effect::of_new(&report.status, rank)
        } else {
            self.duplicates = self.duplicates.saturating_add(1);
            Effect::Duplicate
        }
    }

    /// How many different reports it has; the newest one's revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.seen.count()
    }
}
