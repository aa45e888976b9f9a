//! How subscriptions and deliveries are shown.

use domain::crypto::SigningSecret;
use domain::delivery::{Attempt, AttemptError};
use domain::subscription::PauseReason;
use domain::webhook::AnswerExcerpt;
use domain::{Delivery, Subscription, Timestamp};
use ports::error::error_chain;
use ports::subscriptions::{RecentAttempts, SubscriptionStatus};
use ports::webhook_sender::{Delivered, SendError};
use serde::{Deserialize, Serialize};
use usecases::Lag;
use usecases::subscriptions::{OperatorEventProgress, Rates};
use utoipa::ToSchema;

use crate::api::lag::LagView;
use crate::api::position::position_text;

/// A subscription. Its secret is never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionView {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// The URL events are sent to; its query is hidden, since it may contain a token.
    #[schema(example = "https://workbench.example.com/hooks/whatsapp")]
    pub url: String,
    /// The channels whose events are sent; empty for all.
    pub channels: Vec<String>,
    /// The types of events that are sent; empty for all.
    pub types: Vec<&'static str>,
    /// Whether addresses in events are unmasked.
    pub reveal: bool,
    /// A description for people.
    pub description: String,
    /// `active`, `failing` (its endpoint is failing), `paused` or `ended` (its endpoint answered
    /// 410).
    #[schema(example = "active")]
    pub state: &'static str,
    /// Why it is paused: `operator`, `failing` or `pruned`.
    pub paused_for: Option<&'static str>,
    /// Since when it is paused or ended.
    pub inactive_since: Option<String>,
    /// Until when the previous secret also signs.
    pub previous_secret_expires: Option<String>,
    /// When it was created.
    pub created: String,
    /// When it was last changed.
    pub updated: String,
    /// Incremented by each change.
    pub version: i64,
}

impl SubscriptionView {
    /// Shows a subscription.
    #[must_use]
    pub fn new(subscription: &Subscription) -> Self {
        let Subscription {
            id,
            url,
            filter,
            reveal,
            description,
            state,
            secrets,
            created_at,
            updated_at,
            version,
        } = subscription;
        let channels = filter.channels.iter().flatten();
        Self {
            id: id.to_string(),
            url: url.to_string(),
            channels: channels.map(ToString::to_string).collect(),
            types: filter.type_names().unwrap_or_default(),
            reveal: *reveal,
            description: description.to_string(),
            state: state.as_str(),
            paused_for: state.reason().map(PauseReason::as_str),
            inactive_since: state.since().map(|since| since.to_string()),
            previous_secret_expires: secrets
                .previous
                .as_ref()
                .map(|previous| previous.expires_at.to_string()),
            created: created_at.to_string(),
            updated: updated_at.to_string(),
            version: *version,
        }
    }

    /// Shows the subscription of a status.
    #[must_use]
    pub fn of_status(status: &SubscriptionStatus) -> Self {
        let view = Self::new(&status.subscription);
        if status.is_failing() {
            let state = "failing";
            return Self { state, ..view };
        }
        view
    }
}

/// A subscription with a new secret.
#[derive(Serialize, ToSchema)]
pub struct IssuedSubscriptionView {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    /// The secret that signs its events, shown this once.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
}

impl IssuedSubscriptionView {
    /// Shows a subscription that was created or whose secret was replaced.
    #[must_use]
    pub fn new(subscription: &Subscription, secret: &SigningSecret) -> Self {
        Self {
            subscription: SubscriptionView::new(subscription),
            secret: secret.reveal().to_string(),
        }
    }
}

/// A subscription with its progress and statistics.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionDetailView {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    /// The position up to which its events are processed: an `after` of the pulled events.
    pub position: String,
    /// Its lag.
    pub lag: LagView,
    /// Outcomes of recent delivery attempts.
    pub rates: RatesView,
    /// Pending deliveries.
    pub open: u64,
    /// Dead letters: deliveries that were given up.
    pub dead: u64,
    /// When an event was last delivered.
    pub last_delivered: Option<String>,
    /// The last failed attempt.
    pub last_error: Option<AttemptView>,
    /// Since when its endpoint is failing.
    pub failing_since: Option<String>,
    /// The worker that holds its lease.
    pub leased_by: Option<String>,
    /// The operator events that it has not received; `null` if it asks for none.
    pub operator_events: Option<OperatorEventsView>,
}

impl SubscriptionDetailView {
    /// Shows a subscription with its progress and statistics.
    #[must_use]
    pub fn new(
        status: &SubscriptionStatus,
        lag: &Lag,
        rates: &Rates,
        operator_events: Option<&OperatorEventProgress>,
    ) -> Self {
        Self {
            subscription: SubscriptionView::of_status(status),
            position: position_text(status.position),
            lag: LagView::new(lag),
            rates: RatesView {
                minute: RateView::new(&rates.minute),
                hour: RateView::new(&rates.hour),
            },
            open: status.pending,
            dead: status.dead,
            last_delivered: status.last_delivered_at.map(|time| time.to_string()),
            last_error: status.last_error.as_ref().map(AttemptView::new),
            failing_since: status.failing_since.map(|time| time.to_string()),
            leased_by: status.leased_by.clone(),
            operator_events: operator_events.map(OperatorEventsView::new),
        }
    }
}

/// What a subscription has not received of the operator events that it asks for.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperatorEventsView {
    /// How many wait, 500 at most.
    pub waiting: usize,
    /// Since when attempts to send the next one fail.
    pub failing_since: Option<String>,
    /// When it is sent again, if an attempt failed.
    pub next_attempt: Option<String>,
}

impl OperatorEventsView {
    fn new(progress: &OperatorEventProgress) -> Self {
        Self {
            waiting: progress.waiting,
            failing_since: progress.failing_since.map(|time| time.to_string()),
            next_attempt: progress.retry_at.map(|time| time.to_string()),
        }
    }
}

/// Outcomes of recent delivery attempts by all workers.
#[derive(Debug, Serialize, ToSchema)]
pub struct RatesView {
    /// The last minute.
    pub minute: RateView,
    /// The last hour.
    pub hour: RateView,
}

/// Outcomes of delivery attempts since a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct RateView {
    /// Successful attempts.
    pub delivered: u64,
    /// Failed attempts.
    pub failed: u64,
    /// Start of the counted window; later than requested if the window was truncated at 5,000
    /// deliveries.
    pub since: String,
}

impl RateView {
    fn new(attempts: &RecentAttempts) -> Self {
        Self {
            delivered: attempts.delivered,
            failed: attempts.failed,
            since: attempts.since.to_string(),
        }
    }
}

/// An attempt to deliver an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// When it started.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// The HTTP status of the answer; `null` without an answer.
    pub status: Option<u16>,
    /// What went wrong; `null` if the event was delivered.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

impl AttemptView {
    fn new(attempt: &Attempt) -> Self {
        Self {
            at: attempt.at.to_string(),
            took_ms: attempt.took_ms,
            status: attempt.status,
            error: attempt.error.as_ref().map(AttemptError::to_string),
            answer: attempt.answer.as_ref().map(AnswerExcerpt::to_string),
        }
    }
}

/// The delivery of one event to one subscription.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: String,
    /// The id of the event.
    #[schema(example = "evt_4b0c0301be13f9d2ea214ab5b0910b19")]
    pub event_id: String,
    /// The type of the event.
    #[schema(example = "message.delivered")]
    pub event_type: &'static str,
    /// The channel of the message.
    pub channel_id: String,
    /// The integrator's message id.
    pub message_sid: String,
    /// The number of the change of the message.
    pub revision: i64,
    /// `delivered`, `retrying`, `waiting` (for an earlier event of the same message) or `dead`.
    #[schema(example = "delivered")]
    pub state: &'static str,
    /// The number of attempts.
    pub attempt_count: u32,
    /// The last ten attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// When it was first attempted.
    pub created: String,
    /// When it is attempted next.
    pub next_attempt: Option<String>,
    /// When it was delivered or given up.
    pub finished: Option<String>,
}

impl DeliveryView {
    /// Shows a delivery.
    #[must_use]
    pub fn new(delivery: &Delivery) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            id: delivery.key.to_string(),
            event_id: delivery.event_id().to_string(),
            event_type: delivery.event_type.as_str(),
            channel_id: delivery.message.channel.to_string(),
            message_sid: delivery.message.sid.to_string(),
            revision: delivery.revision,
            state: delivery.state.as_str(),
            attempt_count: delivery.attempts.count(),
            attempts: delivery
                .attempts
                .last()
                .iter()
                .map(AttemptView::new)
                .collect(),
            created: delivery.created_at.to_string(),
            next_attempt: time(delivery.next_attempt_at),
            finished: time(delivery.finished_at),
        }
    }
}

/// The answer of an endpoint to a test event.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TestView {
    /// Whether the endpoint accepted it.
    pub delivered: bool,
    /// The HTTP status of the answer; `null` without an answer.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
}

impl TestView {
    /// Shows the outcome of a test.
    #[must_use]
    pub fn new(outcome: &Result<Delivered, SendError>) -> Self {
        let answer = match outcome {
            Ok(delivered) => Some(&delivered.answer),
            Err(error) => error.answer(),
        };
        Self {
            delivered: outcome.is_ok(),
            status: answer.map(|answer| answer.status),
            error: outcome.as_ref().err().map(|error| error_chain(error)),
            answer: answer.map(|answer| answer.excerpt.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::LogPosition;
    use domain::subscription::SubscriptionState;
    use testkit::builders::{subscription, time};

    use super::*;

    #[test]
    fn subscription_with_a_failing_endpoint_is_shown_as_failing() {
        let mut status = SubscriptionStatus {
            subscription: subscription(1),
            position: LogPosition::START,
            pending: 0,
            dead: 0,
            last_delivered_at: None,
            last_error: None,
            failing_since: None,
            leased_by: None,
        };
        let state = |status: &_| SubscriptionView::of_status(status).state;
        assert_eq!(state(&status), "active");
        status.failing_since = Some(time(1));
        assert_eq!(state(&status), "failing");
        let (reason, since) = (PauseReason::Failing, time(2));
        status.subscription.state = SubscriptionState::Paused { reason, since };
        assert_eq!(state(&status), "paused");
    }
}
