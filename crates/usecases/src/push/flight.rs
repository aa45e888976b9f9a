//! One try to deliver an event.

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{Attempt, AttemptError};
use domain::event::EventId;
use domain::webhook::WebhookId;
use domain::{Delivery, Timestamp};
use ports::EventSink;
use ports::events::{Answer, Delivered, OutgoingEvent, SinkError, Target};

use crate::intake::chain;

/// A try that has ended.
pub(super) struct Landed {
    pub(super) delivery: Delivery,
    pub(super) began: Timestamp,
    pub(super) outcome: Result<Delivered, SinkError>,
}

/// Tries once.
pub(super) async fn fly(
    sink: Arc<dyn EventSink>,
    target: Target,
    delivery: Delivery,
    began: Timestamp,
) -> Landed {
    let body = delivery.body.as_deref().unwrap_or_default();
    let event = OutgoingEvent {
        id: webhook_id(delivery.event_id()),
        body: body.as_bytes().into(),
    };
    let outcome = sink.deliver(&target, &event).await;
    Landed {
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
pub(super) fn attempt(at: Timestamp, outcome: &Result<Delivered, SinkError>) -> Attempt {
    let (took, answer, error): (Duration, Option<&Answer>, Option<String>) = match outcome {
        Ok(delivered) => (delivered.took, Some(&delivered.answer), None),
        Err(error) => {
            let took = match error {
                SinkError::Retry { took, .. } | SinkError::Gone { took, .. } => *took,
                SinkError::Refused { .. } => Duration::ZERO,
            };
            (took, error.answer(), Some(chain(error)))
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
