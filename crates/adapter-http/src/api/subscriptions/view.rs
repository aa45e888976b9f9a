//! Subscriptions and deliveries as they are shown.

use domain::delivery::{Attempt, AttemptError};
use domain::subscription::PauseReason;
use domain::webhook::{AnswerExcerpt, SigningSecret};
use domain::{Delivery, EventType, Subscription, Timestamp};
use ports::subscriptions::{RecentAttempts, SubscriptionStatus};
use ports::webhook_sender::{Delivered, SendError};
use serde::{Deserialize, Serialize};
use usecases::Lag;
use usecases::ingest::group_commit::chain;
use usecases::subscriptions::Rates;
use utoipa::ToSchema;

use crate::api::events::position_text;

/// A subscription. Its secret is never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionView {
    /// Names it.
    #[schema(format = "uuid")]
    pub id: String,
    /// Where events are sent; its query is hidden, since it may hold a token.
    #[schema(example = "https://workbench.example.com/hooks/whatsapp")]
    pub url: String,
    /// The channels whose events are sent; empty: all.
    pub channels: Vec<String>,
    /// The types that are sent; empty: all.
    pub types: Vec<&'static str>,
    /// Whether addresses stand in them in the clear.
    pub reveal: bool,
    /// What it is for.
    pub description: String,
    /// `active`, `failing` (its target takes nothing at the moment), `paused` or
    /// `ended` (its target has answered 410).
    #[schema(example = "active")]
    pub state: &'static str,
    /// Why it is paused: `operator`, `failing` or `pruned`.
    pub paused_for: Option<&'static str>,
    /// Since when nothing is sent.
    pub inactive_since: Option<String>,
    /// Until when the secret before the current one signs as well.
    pub previous_secret_expires: Option<String>,
    /// When it was made.
    pub created: String,
    /// When it was last changed.
    pub updated: String,
    /// Counts its changes.
    pub version: i64,
}

impl SubscriptionView {
    /// A subscription as it is shown.
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
        let types = filter.types.iter().flatten();
        Self {
            id: id.to_string(),
            url: url.to_string(),
            channels: channels.map(ToString::to_string).collect(),
            types: types.copied().map(EventType::as_str).collect(),
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

    /// The subscription of a status.
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

/// A subscription with a new secret, shown this once.
#[derive(Serialize, ToSchema)]
pub struct IssuedSubscriptionView {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    /// What its events are signed with, shown this once.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    pub secret: String,
}

impl IssuedSubscriptionView {
    /// A subscription just made, or whose secret was just replaced.
    #[must_use]
    pub fn new(subscription: &Subscription, secret: &SigningSecret) -> Self {
        Self {
            subscription: SubscriptionView::new(subscription),
            secret: secret.reveal().to_string(),
        }
    }
}

/// A subscription and how it is getting on.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionDetailView {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    /// Up to where in the log its events are dealt with: an `after` of the
    /// pulled events.
    pub position: String,
    /// How far it is behind.
    pub lag: LagView,
    /// How attempts to deliver have ended lately.
    pub rates: RatesView,
    /// How many deliveries are still to be made.
    pub open: u64,
    /// How many were given up: dead letters.
    pub dead: u64,
    /// When its target last took an event.
    pub last_delivered: Option<String>,
    /// The last attempt that failed.
    pub last_error: Option<AttemptView>,
    /// Since when its target takes nothing.
    pub failing_since: Option<String>,
    /// The worker that serves it now.
    pub leased_by: Option<String>,
}

impl SubscriptionDetailView {
    /// A subscription and how it is getting on.
    #[must_use]
    pub fn new(status: &SubscriptionStatus, lag: &Lag, rates: &Rates) -> Self {
        Self {
            subscription: SubscriptionView::of_status(status),
            position: position_text(status.position),
            lag: LagView::new(lag),
            rates: RatesView {
                minute: RateView::new(&rates.minute),
                hour: RateView::new(&rates.hour),
            },
            open: status.open,
            dead: status.dead,
            last_delivered: status.last_delivered_at.map(|time| time.to_string()),
            last_error: status.last_error.as_ref().map(AttemptView::new),
            failing_since: status.failing_since.map(|time| time.to_string()),
            leased_by: status.leased_by.clone(),
        }
    }
}

/// How far a reader is behind the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct LagView {
    /// How many reports of the log it has not dealt with.
    pub reports: u64,
    /// How many events for it follow from these.
    pub events: u64,
    /// Whether there are more than these.
    pub more: bool,
    /// When the oldest of them arrived.
    pub since: Option<String>,
    /// For how many seconds that has waited; 0 if there is none.
    pub seconds: u64,
    /// Whether some of them are gone: retention has removed them.
    pub pruned: bool,
}

impl LagView {
    pub(crate) fn new(lag: &Lag) -> Self {
        Self {
            reports: lag.reports,
            events: lag.events,
            more: lag.more,
            since: lag.since.map(|since| since.to_string()),
            seconds: lag.seconds,
            pruned: lag.pruned,
        }
    }
}

/// How attempts to deliver have ended lately, whichever workers made them.
#[derive(Debug, Serialize, ToSchema)]
pub struct RatesView {
    /// Those of the last minute.
    pub minute: RateView,
    /// Those of the last hour.
    pub hour: RateView,
}

/// How attempts have ended since a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct RateView {
    /// How many delivered their event.
    pub delivered: u64,
    /// How many failed.
    pub failed: u64,
    /// Those that began at this time or later are counted: less than a minute or
    /// an hour ago where so much was delivered to all subscribers that not
    /// everything was looked at.
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
    /// When it began.
    pub at: String,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// The HTTP status of the answer; `null` if there was none.
    pub status: Option<u16>,
    /// What went wrong; `null`: the event was taken.
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

/// What became of one event at one subscription.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Names it.
    pub id: String,
    /// The event's id.
    #[schema(example = "evt_4b0c0301be13f9d2ea214ab5b0910b19")]
    pub event_id: String,
    /// What happened.
    #[schema(example = "message.delivered")]
    pub event_type: &'static str,
    /// The channel of the message.
    pub channel_id: String,
    /// The integrator's message id.
    pub message_sid: String,
    /// Which change of the message it was.
    pub revision: i64,
    /// `delivered`, `retrying`, `waiting` (behind an earlier event of the same
    /// message) or `dead`.
    #[schema(example = "delivered")]
    pub state: &'static str,
    /// How often it was tried.
    pub attempt_count: u32,
    /// The last ten attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// When it was first dealt with.
    pub created: String,
    /// When it is tried next.
    pub next_attempt: Option<String>,
    /// When it was delivered or given up.
    pub finished: Option<String>,
}

impl DeliveryView {
    /// A delivery as it is shown.
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

/// What a target did with a test.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TestView {
    /// Whether it took it.
    pub delivered: bool,
    /// The HTTP status of its answer; `null` if there was none.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// The beginning of its answer.
    pub answer: Option<String>,
}

impl TestView {
    /// What came of a test.
    #[must_use]
    pub fn new(outcome: &Result<Delivered, SendError>) -> Self {
        let answer = match outcome {
            Ok(delivered) => Some(&delivered.answer),
            Err(error) => error.answer(),
        };
        Self {
            delivered: outcome.is_ok(),
            status: answer.map(|answer| answer.status),
            error: outcome.as_ref().err().map(|error| chain(error)),
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
    fn a_subscription_whose_target_takes_nothing_is_shown_as_failing() {
        let mut status = SubscriptionStatus {
            subscription: subscription(1),
            position: LogPosition::START,
            open: 0,
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
