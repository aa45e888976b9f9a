//! What can be reported of a message, and the order in which a message moves.

use std::fmt;

use crate::masking::mask_numbers;

/// How far a message has come. A message only ever moves up this order: a
/// failure is final against everything before it, and a delivery that did
/// happen corrects a failure reported by another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DeliveryStatus {
    /// The integrator has taken the message.
    Accepted,
    /// It waits for its time.
    Scheduled,
    /// It waits for its turn.
    Queued,
    /// It is on its way to WhatsApp.
    Sending,
    /// WhatsApp has taken it.
    Sent,
    /// Some recipients have it. Deprecated by Twilio, still seen.
    PartiallyDelivered,
    /// It was taken back before it was sent.
    Canceled,
    /// It could not be sent.
    Failed,
    /// It was sent and did not reach the recipient.
    Undelivered,
    /// The recipient's device has it.
    Delivered,
    /// The recipient has seen it.
    Read,
}

impl DeliveryStatus {
    /// All of them, from the lowest to the highest.
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

    /// Its place in the order, from 0.
    #[must_use]
    pub const fn rank(self) -> u8 {
        self as u8
    }

    /// The status at a place in the order.
    #[must_use]
    pub fn from_rank(rank: u8) -> Option<Self> {
        Self::ALL.get(usize::from(rank)).copied()
    }

    /// The word on the wire and in the stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::PartiallyDelivered => "partially_delivered",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
            Self::Undelivered => "undelivered",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }

    /// The status of a word, if it is one of the eleven.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether it says that the message did not arrive, so that an error code
    /// reported with it is the message's error.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Undelivered)
    }

    /// Whether it says that the message did arrive.
    #[must_use]
    pub const fn is_arrival(self) -> bool {
        matches!(self, Self::Delivered | Self::Read)
    }
}

impl fmt::Display for DeliveryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The two words for messages that come in. They say nothing about a message
/// that was sent, so they move no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InboundStatus {
    /// A message is coming in.
    Receiving,
    /// A message has come in.
    Received,
}

impl InboundStatus {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Received => "received",
        }
    }
}

/// A word nobody knows yet; integrators add some without notice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnknownStatus(String);

/// The status as it was reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReportedStatus {
    /// A step in the life of a message that was sent.
    Delivery(DeliveryStatus),
    /// A word about a message that came in.
    Inbound(InboundStatus),
    /// A word nobody knows: kept, and moves no state.
    Unknown(UnknownStatus),
}

/// The text is no status word, not even an unknown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a status is 1 to 64 characters without control characters, like delivered")]
pub struct InvalidStatus;

impl ReportedStatus {
    /// Takes a status word; one that nobody knows is as good as any other.
    pub fn parse(word: &str) -> Result<Self, InvalidStatus> {
        if let Some(status) = DeliveryStatus::from_word(word) {
            return Ok(Self::Delivery(status));
        }
        match word {
            "receiving" => Ok(Self::Inbound(InboundStatus::Receiving)),
            "received" => Ok(Self::Inbound(InboundStatus::Received)),
            _ if crate::text::is_plain_line(word, 64) => {
                Ok(Self::Unknown(UnknownStatus(word.to_owned())))
            }
            _ => Err(InvalidStatus),
        }
    }

    /// The word as it was reported.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Delivery(status) => status.as_str(),
            Self::Inbound(status) => status.as_str(),
            Self::Unknown(word) => &word.0,
        }
    }

    /// The step it reports, if it reports one.
    #[must_use]
    pub const fn delivery(&self) -> Option<DeliveryStatus> {
        match self {
            Self::Delivery(status) => Some(*status),
            Self::Inbound(_) | Self::Unknown(_) => None,
        }
    }
}

/// The word; phone numbers in one that nobody knows are masked.
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
    fn a_word_nobody_knows_is_kept_as_it_came() {
        let status = ReportedStatus::parse("Teleported").unwrap();
        assert_eq!(status.as_str(), "Teleported");
        assert_eq!(status.delivery(), None);
        assert_eq!(ReportedStatus::parse(" "), Err(InvalidStatus));
        assert_eq!(ReportedStatus::parse("a\0"), Err(InvalidStatus));
    }
}
