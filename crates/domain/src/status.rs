//! Statuses of messages and their order.

use std::fmt;
use std::str::FromStr as _;

use crate::masking::mask_numbers;

/// The status of a message. A message only advances in this order: a failure overrides everything
/// before it, and a delivery overrides a failure reported by another device.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[repr(u8)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryStatus {
    /// The integrator has accepted the message.
    Accepted,
    /// It is scheduled for later.
    Scheduled,
    /// It is queued.
    Queued,
    /// It is being sent to WhatsApp.
    Sending,
    /// WhatsApp has accepted it.
    Sent,
    /// Some recipients have received it. Deprecated by Twilio, still sent.
    PartiallyDelivered,
    /// It was canceled before it was sent.
    Canceled,
    /// It could not be sent.
    Failed,
    /// It was sent and did not reach the recipient.
    Undelivered,
    /// The recipient's device has received it.
    Delivered,
    /// The recipient has read it.
    Read,
}

impl DeliveryStatus {
    /// All statuses, from the lowest to the highest.
    pub const ALL: [Self; 11] = [
        Self::Accepted,
        Self::Scheduled,
        Self::Queued,
        Self::Sending,
        Self::Sent,
        Self::PartiallyDelivered,
        Self::Canceled,
        Self::Failed,
        Self::Undelivered,
        Self::Delivered,
        Self::Read,
    ];

    /// The lowest final status; see [`DeliveryStatus::is_final`].
    pub const FIRST_FINAL: Self = Self::Canceled;

    /// Returns its position in the order, from 0.
    #[must_use]
    pub const fn rank(self) -> u8 {
        self as u8
    }

    /// Returns the status at a position in the order.
    #[must_use]
    pub fn from_rank(rank: u8) -> Option<Self> {
        Self::ALL.get(usize::from(rank)).copied()
    }

    /// Returns the name used in reports, the API and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether it reports a failure, so that an error code reported with it is the
    /// message's error.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Undelivered)
    }

    /// Returns whether it ends the waiting for reports: most messages have no later one, except
    /// that a delivered message may be read.
    #[must_use]
    pub const fn is_final(self) -> bool {
        self.rank() >= Self::FIRST_FINAL.rank()
    }

    /// Returns whether it reports the arrival.
    #[must_use]
    pub const fn is_arrival(self) -> bool {
        matches!(self, Self::Delivered | Self::Read)
    }
}

/// The two statuses of incoming messages. They do not concern the messages that were sent, so they
/// change no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum InboundStatus {
    /// A message is being received.
    Receiving,
    /// A message was received.
    Received,
}

impl InboundStatus {
    /// Returns the name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// An unknown status; integrators add some without notice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnknownStatus(String);

/// A reported status.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReportedStatus {
    /// The status of a message that was sent.
    Delivery(DeliveryStatus),
    /// The status of an incoming message.
    Inbound(InboundStatus),
    /// An unknown status: stored, and changes no state.
    Unknown(UnknownStatus),
}

/// The text is not even an unknown status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a status is 1 to 64 characters without control characters, like delivered")]
pub struct InvalidStatus;

impl From<DeliveryStatus> for ReportedStatus {
    fn from(status: DeliveryStatus) -> Self {
        Self::Delivery(status)
    }
}

impl ReportedStatus {
    /// Parses a status, known or unknown.
    pub fn parse(word: &str) -> Result<Self, InvalidStatus> {
        if let Ok(status) = DeliveryStatus::from_str(word) {
            Ok(Self::Delivery(status))
        } else if let Ok(status) = InboundStatus::from_str(word) {
            Ok(Self::Inbound(status))
        } else if crate::text::is_plain_line(word, 64) {
            Ok(Self::Unknown(UnknownStatus(word.to_owned())))
        } else {
            Err(InvalidStatus)
        }
    }

    /// Returns the text as reported.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Delivery(status) => status.as_str(),
            Self::Inbound(status) => status.as_str(),
            Self::Unknown(word) => &word.0,
        }
    }

    /// Returns the status of a message that was sent.
    #[must_use]
    pub const fn delivery(&self) -> Option<DeliveryStatus> {
        match self {
            Self::Delivery(status) => Some(*status),
            Self::Inbound(_) | Self::Unknown(_) => None,
        }
    }
}

/// Shows the text; phone numbers in an unknown one are masked.
impl fmt::Display for ReportedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(_) | Self::Inbound(_) => f.write_str(self.as_str()),
            Self::Unknown(word) => f.write_str(&mask_numbers(&word.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_the_one_of_the_specification() {
        let words: Vec<_> = DeliveryStatus::ALL
            .iter()
            .map(|status| status.as_str())
            .collect();
        assert_eq!(
            words.join(" < "),
            "accepted < scheduled < queued < sending < sent < partially_delivered < canceled < \
             failed < undelivered < delivered < read"
        );
        assert!(DeliveryStatus::ALL.is_sorted());
    }

    #[test]
    fn rank_and_word_lead_back_to_the_status() {
        for status in DeliveryStatus::ALL {
            assert_eq!(DeliveryStatus::from_rank(status.rank()), Some(status));
            assert_eq!(
                ReportedStatus::parse(status.as_str()),
                Ok(ReportedStatus::Delivery(status))
            );
        }
        assert_eq!(DeliveryStatus::from_rank(11), None);
    }

    #[test]
    fn numbers_in_an_unknown_word_are_masked_when_shown() {
        let status = ReportedStatus::parse("sent to +15550100001").unwrap();
        assert_eq!(status.to_string(), "sent to +***0001");
    }

    #[test]
    fn an_unknown_status_is_stored_unchanged() {
        let status = ReportedStatus::parse("Teleported").unwrap();
        assert_eq!(status.as_str(), "Teleported");
        assert_eq!(status.delivery(), None);
        assert_eq!(ReportedStatus::parse(" "), Err(InvalidStatus));
        assert_eq!(ReportedStatus::parse("a\0"), Err(InvalidStatus));
    }
}
