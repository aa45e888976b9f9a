//! Deliveries: the delivery of one event to one subscription.

mod attempt;
mod pending;

pub use attempt::{Attempt, AttemptError, Attempts, LAST_ATTEMPTS_MAX};
pub use pending::PendingDelivery;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::subscription::SubscriptionId;
use crate::{EventId, EventType, LogPosition, MessageKey, Timestamp};

/// The key of a delivery: an event of one report, at one subscription. The order of the keys of a
/// subscription is nearly that of the log; [`Delivery::order`] is exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The report of the event.
    pub report_id: i64,
    /// The event index: 0 for a new status, 1 for the contradiction.
    pub event_index: u8,
}

/// The order of deliveries of a subscription: that of their events in the log.
pub type DeliveryOrder = (LogPosition, i64, u8);

/// The text is not the key of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery is named by the id of its subscription and two numbers, with - between them")]
pub struct InvalidDeliveryKey;

impl DeliveryKey {
    /// Returns the key of the event of this type of a report.
    #[must_use]
    pub const fn new(subscription: SubscriptionId, report_id: i64, event_type: EventType) -> Self {
        let event_index = match event_type {
            EventType::Moved(_) => 0,
            EventType::Contradicted => 1,
        };
        Self {
            subscription,
            report_id,
            event_index,
        }
    }
}

/// `01997d3c-5b6e-7e63-8c5d-0f6d3a1f2b4c-4711-0`, for URLs.
impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}",
            self.subscription, self.report_id, self.event_index
        )
    }
}

impl FromStr for DeliveryKey {
    type Err = InvalidDeliveryKey;

    fn from_str(text: &str) -> Result<Self, InvalidDeliveryKey> {
        let mut parts = text.rsplitn(3, '-');
        let mut next = || parts.next().ok_or(InvalidDeliveryKey);
        let event_index = next()?.parse().map_err(|_| InvalidDeliveryKey)?;
        let report_id = next()?.parse().map_err(|_| InvalidDeliveryKey)?;
        let id = Uuid::try_parse(next()?).map_err(|_| InvalidDeliveryKey)?;
        let key = Self {
            subscription: SubscriptionId(id),
            report_id,
            event_index,
        };
        // Each key has one valid spelling.
        if key.to_string() == text {
            Ok(key)
        } else {
            Err(InvalidDeliveryKey)
        }
    }
}

/// The state of a delivery.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case", parse_err_ty = InvalidDeliveryState, parse_err_fn = invalid_delivery_state)]
pub enum DeliveryState {
    /// The event was delivered.
    Delivered,
    /// It will be attempted at a certain time.
    Retrying,
    /// An earlier event of the same message is pending.
    Waiting,
    /// A dead letter: retried only on request.
    Dead,
}

/// The text is not the state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery is delivered, retrying, waiting or dead")]
pub struct InvalidDeliveryState;

impl DeliveryState {
    /// All variants.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Retrying, Self::Waiting, Self::Dead];

    /// Returns the name used in the API and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether it is pending.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        match self {
            Self::Retrying | Self::Waiting => true,
            Self::Delivered | Self::Dead => false,
        }
    }
}

const fn invalid_delivery_state(_: &str) -> InvalidDeliveryState {
    InvalidDeliveryState
}

/// The delivery of one event to one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its key.
    pub key: DeliveryKey,
    /// The log position of the event.
    pub position: LogPosition,
    /// The type of the event.
    pub event_type: EventType,
    /// The message of the event.
    pub message: MessageKey,
    /// The revision of the message.
    pub revision: i64,
    /// Its state.
    pub state: DeliveryState,
    /// The number of attempts, and the last ones.
    pub attempts: Attempts,
    /// When it was first attempted or queued.
    pub created_at: Timestamp,
    /// The start of the retry period: its creation, or the last requested retry.
    pub retrying_since: Timestamp,
    /// When it is attempted next, if it is retrying.
    pub next_attempt_at: Option<Timestamp>,
    /// The end of the endpoint's `Retry-After` cooldown, if it sent one.
    pub cooldown_until: Option<Timestamp>,
    /// When it was delivered or became a dead letter.
    pub finished_at: Option<Timestamp>,
    /// The JSON to send, until it is delivered.
    pub body: Option<String>,
}

impl Delivery {
    /// Returns the id of its event.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        EventId::new(&self.message, self.revision, self.event_type)
    }

    /// Returns its order among the deliveries of a subscription: that of its event in the log.
    #[must_use]
    pub const fn order(&self) -> DeliveryOrder {
        (self.position, self.revision, self.key.event_index)
    }

    /// Returns the body to store: `None` once it is delivered.
    #[must_use]
    pub fn kept_body(&self) -> Option<&str> {
        let body = self.body.as_deref();
        body.filter(|_| self.state != DeliveryState::Delivered)
    }

    /// Returns when it was delivered.
    #[must_use]
    pub fn delivered_at(&self) -> Option<Timestamp> {
        self.finished_at
            .filter(|_| self.state == DeliveryState::Delivered)
    }

    /// Schedules a retry at `now` with a new retry period, if it is a dead letter or scheduled
    /// later. Returns `false` and changes nothing if it was delivered, waits for another one, is
    /// due already, or has no body.
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
        self.cooldown_until = None;
        self.finished_at = None;
        true
    }

    /// Removes the body and the responses. If it was not delivered, it becomes a dead letter.
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

/// Indexes deliveries by key; of those with the same key the last one wins.
#[must_use]
pub fn by_key(deliveries: &[Delivery]) -> BTreeMap<DeliveryKey, &Delivery> {
    deliveries.iter().map(|each| (each.key, each)).collect()
}

/// Which deliveries to list; `None` matches all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The state.
    pub state: Option<DeliveryState>,
    /// The message.
    pub message: Option<MessageKey>,
    /// The type of the event.
    pub event_type: Option<EventType>,
    /// Created at this time or later.
    pub since: Option<Timestamp>,
    /// Created before this time.
    pub until: Option<Timestamp>,
}

impl DeliveryFilter {
    /// Matches all deliveries of a subscription.
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

    /// Returns whether a delivery matches.
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
