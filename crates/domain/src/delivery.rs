//! Deliveries: what became of one event at one subscription.

mod attempt;
mod open;

pub use attempt::{Attempt, AttemptError, Attempts, InvalidAttempts, LAST_ATTEMPTS_MAX};
pub use open::PendingDelivery;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::subscription::SubscriptionId;
use crate::{EventId, EventType, LogPosition, MessageKey, Timestamp};

/// Names a delivery: the event that one report made, at one subscription.
/// Those of a subscription sort nearly as the log hands their events out;
/// [`Delivery::place`] is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// Who is told.
    pub subscription: SubscriptionId,
    /// The report that made the event.
    pub report_id: i64,
    /// Which of the report's events: 0 the move, 1 the contradiction.
    pub part: u8,
}

/// Where a delivery stands among those of its subscription: the place of its event in the log.
pub type DeliveryOrder = (LogPosition, i64, u8);

/// The text is no key of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery is named by the id of its subscription and two numbers, with - between them")]
pub struct InvalidDeliveryKey;

impl DeliveryKey {
    /// The key of the event of this type that a report made.
    #[must_use]
    pub const fn new(subscription: SubscriptionId, report_id: i64, event_type: EventType) -> Self {
        let part = match event_type {
            EventType::Moved(_) => 0,
            EventType::Contradicted => 1,
        };
        Self {
            subscription,
            report_id,
            part,
        }
    }
}

/// `01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c-4711-0`, for URLs.
impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.subscription, self.report_id, self.part)
    }
}

impl FromStr for DeliveryKey {
    type Err = InvalidDeliveryKey;

    fn from_str(text: &str) -> Result<Self, InvalidDeliveryKey> {
        let mut parts = text.rsplitn(3, '-');
        let mut next = || parts.next().ok_or(InvalidDeliveryKey);
        let part = next()?.parse().map_err(|_| InvalidDeliveryKey)?;
        let report_id = next()?.parse().map_err(|_| InvalidDeliveryKey)?;
        let id = Uuid::try_parse(next()?).map_err(|_| InvalidDeliveryKey)?;
        let key = Self {
            subscription: SubscriptionId(id),
            report_id,
            part,
        };
        // One spelling for each key.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(InvalidDeliveryKey)
        }
    }
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// The subscriber has taken the event.
    Delivered,
    /// It did not take it, or was not asked yet, and will be asked again.
    Retrying,
    /// An earlier event of the same message is still to be delivered.
    Waiting,
    /// Given up. Only somebody who asks for it has it tried again.
    Dead,
}

/// The text is no state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery is delivered, retrying, waiting or dead")]
pub struct InvalidDeliveryState;

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Retrying, Self::Waiting, Self::Dead];

    /// The word on the wire and in the stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Dead => "dead",
        }
    }

    /// Whether something is still to be done.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Retrying | Self::Waiting => true,
            Self::Delivered | Self::Dead => false,
        }
    }
}

impl FromStr for DeliveryState {
    type Err = InvalidDeliveryState;

    fn from_str(text: &str) -> Result<Self, InvalidDeliveryState> {
        let mut all = Self::ALL.into_iter();
        all.find(|each| each.as_str() == text)
            .ok_or(InvalidDeliveryState)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of one event at one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Names it.
    pub key: DeliveryKey,
    /// Where the log hands the event out.
    pub position: LogPosition,
    /// What happened.
    pub event_type: EventType,
    /// To which message.
    pub message: MessageKey,
    /// Which change of the message it was.
    pub revision: i64,
    /// How far it has come.
    pub state: DeliveryState,
    /// How often it was tried, and what came of it lately.
    pub attempts: Attempts,
    /// When it was first dealt with.
    pub created_at: Timestamp,
    /// From when on it counts for how long it has been tried: it was first dealt
    /// with then, or somebody asked for it again.
    pub retrying_since: Timestamp,
    /// When it is tried next, if it is retrying.
    pub next_attempt_at: Option<Timestamp>,
    /// Until when its target asked to be left alone when it was last tried, if
    /// it did.
    pub rests_until: Option<Timestamp>,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
    /// The JSON to send, while it is not delivered.
    pub body: Option<String>,
}

impl Delivery {
    /// The id of its event.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        EventId::new(&self.message, self.revision, self.event_type)
    }

    /// Its place among the deliveries of a subscription: that of its event in
    /// the log.
    #[must_use]
    pub const fn place(&self) -> DeliveryOrder {
        (self.position, self.revision, self.key.part)
    }

    /// What of its body a store keeps: nothing when it is delivered.
    #[must_use]
    pub fn kept_body(&self) -> Option<&str> {
        let body = self.body.as_deref();
        body.filter(|_| self.state != DeliveryState::Delivered)
    }

    /// When it was taken, if it was.
    #[must_use]
    pub fn delivered_at(&self) -> Option<Timestamp> {
        self.finished_at
            .filter(|_| self.state == DeliveryState::Delivered)
    }

    /// Has it tried again at `now` and as long as a new one, if it was given up or
    /// is to be tried later. `false`, and nothing is changed, if it was delivered, waits for another
    /// one, is due already, or has nothing that could be sent.
    pub fn retry(&mut self, now: Timestamp) -> bool {
        let later = match self.state {
            DeliveryState::Dead => true,
            DeliveryState::Retrying => self.next_attempt_at.is_none_or(|next| now < next),
            DeliveryState::Delivered | DeliveryState::Waiting => false,
        };
        if !later || self.body.is_none() {
            return false;
        }
        self.state = DeliveryState::Retrying;
        self.retrying_since = now;
        self.next_attempt_at = Some(now);
        self.rests_until = None;
        self.finished_at = None;
        true
    }

    /// Forgets what was to be sent, and what was answered. If it was not
    /// delivered, it never will be.
    pub fn erase(&mut self, now: Timestamp) {
        self.body = None;
        self.attempts.erase(now);
        if self.state != DeliveryState::Delivered {
            self.state = DeliveryState::Dead;
            self.next_attempt_at = None;
            self.finished_at = Some(now);
        }
    }
}

/// Deliveries by their keys; of those with the same key the last one counts.
#[must_use]
pub fn by_key(deliveries: &[Delivery]) -> BTreeMap<DeliveryKey, &Delivery> {
    deliveries.iter().map(|each| (each.key, each)).collect()
}

/// Which deliveries of a subscription; a field that is `None` lets all through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Those of this subscription.
    pub subscription: SubscriptionId,
    /// Those in one state.
    pub state: Option<DeliveryState>,
    /// Those of one message.
    pub message: Option<MessageKey>,
    /// Those of one type of event.
    pub event_type: Option<EventType>,
    /// Those first dealt with at this time or later.
    pub since: Option<Timestamp>,
    /// Those first dealt with before this time.
    pub until: Option<Timestamp>,
}

impl DeliveryFilter {
    /// All deliveries of a subscription.
    #[must_use]
    pub const fn of(subscription: SubscriptionId) -> Self {
        Self {
            subscription,
            state: None,
            message: None,
            event_type: None,
            since: None,
            until: None,
        }
    }

    /// Whether it lets a delivery through.
    #[must_use]
    pub fn passes(&self, delivery: &Delivery) -> bool {
        let Self {
            subscription,
            state,
            message,
            event_type,
            since,
            until,
        } = self;
        delivery.key.subscription == *subscription
            && state.is_none_or(|state| delivery.state == state)
            && message.as_ref().is_none_or(|it| delivery.message == *it)
            && event_type.is_none_or(|it| delivery.event_type == it)
            && since.is_none_or(|since| delivery.created_at >= since)
            && until.is_none_or(|until| delivery.created_at < until)
    }
}

#[cfg(test)]
mod tests;
