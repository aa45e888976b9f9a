//! One try to deliver an event.

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{Attempt, AttemptError, PendingDelivery};
use domain::event::EventId;
use domain::webhook::WebhookId;
use domain::{Delivery, Timestamp};
use ports::StoreError;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target};

use super::PushParts;
use super::lanes::Entry;
use super::limits::Slot;
use crate::CloudEvent;
use ports::error::error_chain;

/// A try that has ended.
pub(super) enum Landed {
    /// The target was asked.
    Tried {
        delivery: Delivery,
        began: Timestamp,
        outcome: Result<Delivered, SendError>,
    },
    /// What was to be sent was not read.
    Unread {
        delivery: PendingDelivery,
        /// `None`: it is not there any more.
        error: Option<StoreError>,
    },
}

/// Waits for its turn and tries once. What only the store has of a delivery is read
/// first. Without `reveal` no address goes out plainly, whatever was kept.
pub(super) async fn fly(
    parts: Arc<PushParts>,
    target: Target,
    entry: Entry,
    reveal: bool,
    slot: Slot,
) -> Landed {
    let _under_way = slot.begin().await;
    let mut delivery = match entry {
        Entry::Here(delivery) => *delivery,
        Entry::Stored(open) => match parts.queue.pending_delivery(open.key).await {
            Ok(Some(delivery)) => delivery,
            Ok(None) => {
                return Landed::Unread {
                    delivery: open,
                    error: None,
                };
            }
            Err(error) => {
                return Landed::Unread {
                    delivery: open,
                    error: Some(error),
                };
            }
        },
    };
    if !reveal && let Some(masked) = delivery.body.as_deref().and_then(CloudEvent::mask) {
        delivery.body = Some(masked);
    }
    let body = delivery.body.as_deref().unwrap_or_default();
    let event = OutgoingEvent {
        id: webhook_id(delivery.event_id()),
        body: body.as_bytes().into(),
    };
    let began = parts.clock.now();
    let outcome = parts.sink.deliver(&target, &event).await;
    Landed::Tried {
        delivery,
        began,
        outcome,
    }
}

#[expect(clippy::expect_used, reason = "an event id is letters, digits and `_`")]
fn webhook_id(id: EventId) -> WebhookId {
    WebhookId::parse(&id.to_string()).expect("an event id is a webhook id")
}

/// What is kept of a try.
pub(super) fn attempt(at: Timestamp, outcome: &Result<Delivered, SendError>) -> Attempt {
    let (took, answer, error): (Duration, Option<&Answer>, Option<String>) = match outcome {
        Ok(delivered) => (delivered.took, Some(&delivered.answer), None),
        Err(error) => {
            let took = match error {
                SendError::Retry { took, .. } | SendError::Gone { took, .. } => *took,
                SendError::Refused { .. } => Duration::ZERO,
            };
            (took, error.answer(), Some(error_chain(error)))
        }
    };
    let failed = error.is_some();
    Attempt {
        at,
        took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
        status: answer.map(|answer| answer.status),
        error: error.map(|error| AttemptError::new(&error)),
        // What is said to a delivered event nobody reads.
        answer: answer
            .filter(|_| failed)
            .map(|answer| answer.excerpt.clone()),
    }
}
