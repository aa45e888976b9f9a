//! One attempt to deliver an event.

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{Attempt, AttemptError, PendingDelivery};
use domain::event::EventId;
use domain::webhook::WebhookId;
use domain::{Delivery, Timestamp};
use ports::StoreError;
use ports::error::error_chain;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target};

use super::context::WorkerContext;
use super::limits::AttemptSlot;
use super::message_queue::QueuedDelivery;
use crate::events::cloud_event::CloudEvent;

/// A completed attempt.
pub(super) enum Completed {
    /// The event was sent, or sending it failed.
    Sent {
        delivery: Delivery,
        began: Timestamp,
        outcome: Result<Delivered, SendError>,
    },
    /// The delivery was not read from the store. `error` is `None` if it is no longer there.
    NotRead {
        delivery: PendingDelivery,
        error: Option<StoreError>,
    },
}

/// Waits for `slot` and sends an event once. A delivery that is only in the store is read first.
/// Unless `reveal` is set, addresses in a stored body are masked.
pub(super) async fn send(
    context: Arc<WorkerContext>,
    target: Target,
    delivery: QueuedDelivery,
    reveal: bool,
    slot: AttemptSlot,
) -> Completed {
    let _permit = slot.begin().await;
    let dependencies = &context.dependencies;
    let mut delivery = match delivery {
        QueuedDelivery::InMemory(delivery) => *delivery,
        QueuedDelivery::Stored(pending) => {
            match dependencies.queue.pending_delivery(pending.key).await {
                Ok(Some(delivery)) => delivery,
                missing => {
                    return Completed::NotRead {
                        delivery: pending,
                        error: missing.err(),
                    };
                }
            }
        }
    };
    if !reveal && let Some(masked) = delivery.body.as_deref().and_then(CloudEvent::mask) {
        delivery.body = Some(masked);
    }
    let body = delivery.body.as_deref().unwrap_or_default();
    let event = OutgoingEvent {
        id: webhook_id(delivery.event_id()),
        body: body.as_bytes().into(),
    };
    let began = dependencies.environment.now();
    let outcome = dependencies.sender.deliver(&target, &event).await;
    Completed::Sent {
        delivery,
        began,
        outcome,
    }
}

#[expect(clippy::expect_used, reason = "an event id is letters, digits and `_`")]
fn webhook_id(id: EventId) -> WebhookId {
    WebhookId::parse(&id.to_string()).expect("an event id is a webhook id")
}

/// Returns what is stored of an attempt. The answer's body is stored of failed attempts only.
pub(super) fn record(at: Timestamp, outcome: &Result<Delivered, SendError>) -> Attempt {
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
        answer: answer
            .filter(|_| failed)
            .map(|answer| answer.excerpt.clone()),
    }
}
