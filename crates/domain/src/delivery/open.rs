//! Deliveries that wait for their turn.

use super::{Delivery, DeliveryKey, DeliveryOrder};
use crate::{LogPosition, MessageKey, Timestamp};

/// What has to be known of an open delivery to choose the next one: all but what is sent,
/// and what came of it before. There may be tens of thousands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingDelivery {
    /// Names it.
    pub key: DeliveryKey,
    /// Where the log hands the event out.
    pub position: LogPosition,
    /// The message it is about.
    pub message: MessageKey,
    /// Which change of the message it was.
    pub revision: i64,
    /// [`Delivery::next_attempt_at`].
    pub next_attempt_at: Option<Timestamp>,
    /// [`Delivery::rests_until`].
    pub rests_until: Option<Timestamp>,
}

impl PendingDelivery {
    /// [`Delivery::place`].
    #[must_use]
    pub const fn place(&self) -> DeliveryOrder {
        (self.position, self.revision, self.key.part)
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
            rests_until: delivery.rests_until,
        }
    }
}
