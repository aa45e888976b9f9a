//! Pending deliveries.

use super::{Delivery, DeliveryKey, DeliveryOrder};
use crate::{LogPosition, MessageKey, Timestamp};

/// The fields of a pending delivery that are needed to choose the next one. There may be tens of
/// thousands in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingDelivery {
    /// Its key.
    pub key: DeliveryKey,
    /// The log position of the event.
    pub position: LogPosition,
    /// The message of the event.
    pub message: MessageKey,
    /// The revision of the message.
    pub revision: i64,
    /// [`Delivery::next_attempt_at`].
    pub next_attempt_at: Option<Timestamp>,
    /// [`Delivery::cooldown_until`].
    pub cooldown_until: Option<Timestamp>,
}

impl PendingDelivery {
    /// [`Delivery::order`].
    #[must_use]
    pub const fn order(&self) -> DeliveryOrder {
        (self.position, self.revision, self.key.event_index)
    }
}

impl From<&Delivery> for PendingDelivery {
    fn from(delivery: &Delivery) -> Self {
        Self {
            key: delivery.key,
            position: delivery.position,
            message: delivery.message.clone(),
            revision: delivery.revision,
            next_attempt_at: delivery.next_attempt_at,
            cooldown_until: delivery.cooldown_until,
        }
    }
}
