//! Events of messages, as sent to subscribers.
//!
//! An event is derived from one report and the state before it, and from nothing else. Deriving
//! it again, after a retry, a replay or a restore, gives the same event with the same id.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::log::{LogEntry, LogPosition};
use crate::message::{MessageError, Timeline};
use crate::trouble::{OperatorEvent, OperatorEventType};
use crate::{
    Address, ChannelId, DeliveryStatus, Effect, MessageKey, MessageState, Provenance, Timestamp,
};

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The message has a new status.
    Moved(DeliveryStatus),
    /// The message is now reported both as arrived and as failed.
    Contradicted,
}

/// The text is not an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event type is message. and a status, like message.delivered, or message.contradicted")]
pub struct InvalidEventType;

impl EventType {
    /// All types.
    pub const ALL: [Self; 12] = [
        Self::Moved(DeliveryStatus::Accepted),
        Self::Moved(DeliveryStatus::Scheduled),
        Self::Moved(DeliveryStatus::Queued),
        Self::Moved(DeliveryStatus::Sending),
        Self::Moved(DeliveryStatus::Sent),
        Self::Moved(DeliveryStatus::PartiallyDelivered),
        Self::Moved(DeliveryStatus::Canceled),
        Self::Moved(DeliveryStatus::Failed),
        Self::Moved(DeliveryStatus::Undelivered),
        Self::Moved(DeliveryStatus::Delivered),
        Self::Moved(DeliveryStatus::Read),
        Self::Contradicted,
    ];

    /// Returns the name used in the API and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved(DeliveryStatus::Accepted) => "message.accepted",
            Self::Moved(DeliveryStatus::Scheduled) => "message.scheduled",
            Self::Moved(DeliveryStatus::Queued) => "message.queued",
            Self::Moved(DeliveryStatus::Sending) => "message.sending",
            Self::Moved(DeliveryStatus::Sent) => "message.sent",
            Self::Moved(DeliveryStatus::PartiallyDelivered) => "message.partially_delivered",
            Self::Moved(DeliveryStatus::Canceled) => "message.canceled",
            Self::Moved(DeliveryStatus::Failed) => "message.failed",
            Self::Moved(DeliveryStatus::Undelivered) => "message.undelivered",
            Self::Moved(DeliveryStatus::Delivered) => "message.delivered",
            Self::Moved(DeliveryStatus::Read) => "message.read",
            Self::Contradicted => "message.contradicted",
        }
    }
}

impl FromStr for EventType {
    type Err = InvalidEventType;

    fn from_str(text: &str) -> Result<Self, InvalidEventType> {
        let mut all = Self::ALL.into_iter();
        all.find(|each| each.as_str() == text)
            .ok_or(InvalidEventType)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id of an event, the same whenever it is derived: 128 bits of the SHA-256 of channel, message
/// id, revision and type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

/// The text is not an event id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event id is evt_ and 32 lower-case hex digits")]
pub struct InvalidEventId;

impl EventId {
    /// Returns the id of the event that the report of this revision caused.
    #[must_use]
    pub fn new(key: &MessageKey, revision: i64, event_type: EventType) -> Self {
        let mut hash = Sha256::new();
        // Neither a channel id nor a message id contains a line break.
        hash.update(key.channel.as_str());
        hash.update("\n");
        hash.update(key.sid.as_str());
        hash.update("\n");
        hash.update(revision.to_string());
        hash.update("\n");
        hash.update(event_type.as_str());
        let mut id = [0; 16];
        for (byte, hashed) in id.iter_mut().zip(hash.finalize()) {
            *byte = hashed;
        }
        Self(id)
    }
}

/// `evt_` and 32 hex digits.
impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "evt_{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = InvalidEventId;

    fn from_str(text: &str) -> Result<Self, InvalidEventId> {
        let digits = text.strip_prefix("evt_").ok_or(InvalidEventId)?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 32 || !digits.bytes().all(is_digit) {
            return Err(InvalidEventId);
        }
        let number = u128::from_str_radix(digits, 16).map_err(|_| InvalidEventId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// An event of a message and the state of the message then. A later event of the message has a
/// greater revision, or the same revision if it comes from the same report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageEvent {
    /// The same whenever the event is derived.
    pub id: EventId,
    /// The log position of its report.
    pub position: LogPosition,
    /// The type.
    pub event_type: EventType,
    /// The message.
    pub key: MessageKey,
    /// The revision of the message, from 1; reports without events count too.
    pub revision: i64,
    /// The new status of the message.
    pub status: DeliveryStatus,
    /// The status before the report; `None` if it had none.
    pub previous: Option<DeliveryStatus>,
    /// Whether the message was reported both as arrived and as failed by then.
    pub contradicted: bool,
    /// The recipient in this report.
    pub recipient: Address,
    /// The sender in this report.
    pub sender: Option<Address>,
    /// Where this report comes from.
    pub provenance: Provenance,
    /// When the report arrived.
    pub reported_at: Timestamp,
    /// The error of the message at that time.
    pub error: Option<MessageError>,
    /// The timeline of the message at that time.
    pub timeline: Timeline,
}

/// Returns the events of a report, at most two, in this order: the new status, and the
/// contradiction. Late reports, unknown statuses, reports of incoming messages and reports of test
/// messages cause none.
pub fn events_of(entry: &LogEntry) -> impl Iterator<Item = MessageEvent> {
    let after = entry.after();
    let moved = entry
        .report
        .report
        .status
        .delivery()
        .filter(|_| entry.report.effect == Effect::Advanced)
        .map(EventType::Moved);
    let contradicted =
        (after.contradicted() && !entry.before.contradicted()).then_some(EventType::Contradicted);
    let types = [moved, contradicted].into_iter().flatten();
    let types = types.filter(|_| !entry.report.report.key.sid.is_test());
    types.filter_map(move |event_type| event(entry, event_type, &after))
}

/// Returns `None` if the message has no status, so that there is no event.
fn event(entry: &LogEntry, event_type: EventType, after: &MessageState) -> Option<MessageEvent> {
    let logged = &entry.report;
    let report = &logged.report;
    Some(MessageEvent {
        id: EventId::new(&report.key, logged.revision, event_type),
        position: entry.position,
        event_type,
        key: report.key.clone(),
        revision: logged.revision,
        status: after.status()?,
        previous: entry.before.status(),
        contradicted: after.contradicted(),
        recipient: report.recipient.clone(),
        sender: report.sender.clone(),
        provenance: report.provenance(),
        reported_at: report.arrived_at,
        error: after.error().cloned(),
        timeline: *after.timeline(),
    })
}

/// Which events to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The channels; `None`: all.
    pub channels: Option<BTreeSet<ChannelId>>,
    /// The types of message events; `None`: all, including types of later releases.
    pub types: Option<BTreeSet<EventType>>,
    /// The types of operator events, which are sent only on request.
    pub operator_types: BTreeSet<OperatorEventType>,
}

/// A word is not the type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event type is message. and a status, like message.delivered, or message.contradicted, \
     receiptd.trouble.opened or receiptd.trouble.resolved"
)]
pub struct InvalidFilterType;

impl EventFilter {
    /// Returns the names of all types that a filter can have.
    #[must_use]
    pub fn all_type_names() -> Vec<&'static str> {
        let messages = EventType::ALL.map(EventType::as_str);
        let operators = OperatorEventType::ALL.map(OperatorEventType::as_str);
        messages.into_iter().chain(operators).collect()
    }

    /// Sets the types by their names. Without names of message events, none are sent.
    pub fn set_types<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), InvalidFilterType> {
        let mut types = BTreeSet::new();
        let mut operator_types = BTreeSet::new();
        for name in names {
            if let Ok(event_type) = name.parse::<EventType>() {
                types.insert(event_type);
            } else {
                let operator = name.parse::<OperatorEventType>();
                operator_types.insert(operator.map_err(|_| InvalidFilterType)?);
            }
        }
        self.types = Some(types);
        self.operator_types = operator_types;
        Ok(())
    }

    /// Sets the types to all message events.
    pub fn clear_types(&mut self) {
        self.types = None;
        self.operator_types.clear();
    }

    /// Returns the names of the types; `None`: all message events and no operator events.
    #[must_use]
    pub fn type_names(&self) -> Option<Vec<&'static str>> {
        let types = self.types.as_ref()?.iter().copied().map(EventType::as_str);
        let operators = self.operator_types.iter().copied();
        let operators = operators.map(OperatorEventType::as_str);
        Some(types.chain(operators).collect())
    }

    /// Returns whether an event matches.
    #[must_use]
    pub fn passes(&self, event: &MessageEvent) -> bool {
        let types = self.types.as_ref();
        self.has_channel(&event.key.channel)
            && types.is_none_or(|types| types.contains(&event.event_type))
    }

    /// Returns whether an operator event matches. With a choice of channels, events that are not
    /// about a channel do not.
    #[must_use]
    pub fn passes_operator_event(&self, event: &OperatorEvent) -> bool {
        let channel = event.channel.as_ref();
        let of_channel = channel.map_or(self.channels.is_none(), |it| self.has_channel(it));
        of_channel && self.operator_types.contains(&event.event_type)
    }

    fn has_channel(&self, channel: &ChannelId) -> bool {
        let channels = self.channels.as_ref();
        channels.is_none_or(|channels| channels.contains(channel))
    }
}

#[cfg(test)]
mod tests;
