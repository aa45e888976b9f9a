//! Builders of subscriptions and deliveries. All fields are public: a test changes those it is
//! about.

use domain::delivery::{Attempt, AttemptError, Attempts};
use domain::subscription::{Description, SubscriptionSecret, SubscriptionState};
use domain::webhook::{AnswerExcerpt, TargetUrl};
use domain::{
    Delivery, DeliveryKey, DeliveryState, DeliveryStatus, EventFilter, EventType, LogPosition,
    Subscription, SubscriptionId,
};
use uuid::Uuid;

use super::{key, server_secret, time, twilio_sid};

/// The default time of creation.
const MADE_AT: i64 = 1_795_370_000_000_001;

/// Returns the id of a subscription.
#[must_use]
pub fn subscription_id(number: u128) -> SubscriptionId {
    SubscriptionId(Uuid::from_u128(number))
}

/// Returns an active, unchanged subscription to all events. Its number is its id.
#[must_use]
pub fn subscription(number: u128) -> Subscription {
    let id = subscription_id(number);
    let sealed = server_secret().seal(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        &Subscription::secret_context(id),
        [7; 24],
    );
    Subscription {
        id,
        url: TargetUrl::parse("https://example.com/events").expect("a target"),
        filter: EventFilter::default(),
        reveal: false,
        description: Description::default(),
        state: SubscriptionState::Active,
        secrets: SubscriptionSecret {
            sealed,
            created_at: time(MADE_AT),
        }
        .into(),
        created_at: time(MADE_AT),
        updated_at: time(MADE_AT),
        version: 1,
    }
}

/// Returns the delivery of the event that a message was delivered, in a state, after one attempt,
/// or none if it waits.
#[must_use]
pub fn delivery(subscription: SubscriptionId, report_id: i64, state: DeliveryState) -> Delivery {
    let event_type = EventType::Moved(DeliveryStatus::Delivered);
    let finished_at = (!state.is_pending()).then(|| time(MADE_AT + 200_000));
    let mut attempts = Attempts::default();
    match state {
        DeliveryState::Delivered => attempts.push(Attempt {
            at: time(MADE_AT),
            took_ms: 200,
            status: Some(204),
            error: None,
            answer: None,
        }),
        DeliveryState::Retrying | DeliveryState::Dead => attempts.push(failed_attempt(MADE_AT)),
        DeliveryState::Waiting => {}
    }
    Delivery {
        key: DeliveryKey::new(subscription, report_id, event_type),
        position: LogPosition(report_id),
        event_type,
        message: key(&twilio_sid(report_id.unsigned_abs())),
        revision: 1,
        state,
        attempts,
        created_at: time(MADE_AT),
        retrying_since: time(MADE_AT),
        next_attempt_at: (state == DeliveryState::Retrying).then(|| time(MADE_AT + 5_000_000)),
        cooldown_until: None,
        finished_at,
        body: (state != DeliveryState::Delivered).then(|| format!(r#"{{"report":{report_id}}}"#)),
    }
}

/// Returns a failed attempt, at a time in microseconds since 1970.
#[must_use]
pub fn failed_attempt(at: i64) -> Attempt {
    Attempt {
        at: time(at),
        took_ms: 1_234,
        status: Some(503),
        error: Some(AttemptError::new("the target answered 503")),
        answer: Some(AnswerExcerpt::of(b"down for maintenance")),
    }
}
