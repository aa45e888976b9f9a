//! Messages, and how their state follows from their reports.

mod key;
mod state;
#[cfg(test)]
mod tests;

pub use key::{InvalidMessageSid, MESSAGE_SID_LENGTH_MAX, MessageKey, MessageSid};
pub use state::{MessageError, MessageState, Timeline};

use crate::seen_reports::{ReportIdentity, SeenReports};
use crate::{Address, Report, ReportedStatus, Timestamp};

/// The effect of a report on its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Effect {
    /// It advanced the status.
    Advanced,
    /// Its status is not higher than that of the message. It may have added to the timeline.
    Late,
    /// A report with the same status and error code came before, or the message has more different
    /// ones than are kept ([`MAX_FINGERPRINTS`](crate::seen_reports::MAX_FINGERPRINTS)). It was
    /// only counted.
    Duplicate,
    /// Its status is unknown. It was stored and changed no state.
    UnknownStatus,
    /// It reports an incoming message. It was stored and changed no state.
    Inbound,
}

impl Effect {
    /// All variants.
    pub const ALL: [Self; 5] = [
        Self::Advanced,
        Self::Late,
        Self::Duplicate,
        Self::UnknownStatus,
        Self::Inbound,
    ];

    /// Returns the name used in output, metrics and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the effect of a report that is not a duplicate on a message whose status has `rank`
    /// (`None`: it has no status yet).
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

/// Sender and recipient of a message, by its earliest report. All reports of a message should
/// agree; if they do not, the result does not depend on their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parties {
    /// When the earliest report arrived.
    pub first_reported_at: Timestamp,
    /// The recipient.
    pub recipient: Address,
    /// The sender; `None` if that report has none.
    pub sender: Option<Address>,
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

/// A message: a pure function of the set of its reports, except for `duplicates`, which counts
/// them, and for erasure. Of more different reports than are kept, `seen` has those that came
/// first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Channel and message id.
    pub key: MessageKey,
    /// Its status, timeline and error.
    pub state: MessageState,
    /// Sender, recipient and time of the first report.
    pub parties: Parties,
    /// When the last report arrived, including duplicates.
    pub last_reported_at: Timestamp,
    /// The reports that were seen.
    pub seen: SeenReports,
    /// How many duplicate reports arrived.
    pub duplicates: u64,
}

impl Message {
    /// Creates a message from its first report.
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

    /// Returns whether its recipient was erased. Later reports of it are erased before they are
    /// stored.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.parties.recipient.is_erased()
    }

    /// Erases the recipient and the text of the error.
    pub fn erase(&mut self) {
        self.parties.recipient = Address::erased();
        self.state.erase_words();
    }

    /// Applies one more report of this message and returns its effect.
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

    /// Returns how many different reports it has, which is the revision of the newest one.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.seen.count()
    }
}
