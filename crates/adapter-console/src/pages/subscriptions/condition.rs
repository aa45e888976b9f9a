//! Whether the events of a subscription are sent, and why not.

use domain::subscription::{PauseReason, SubscriptionState};
use ports::subscriptions::SubscriptionStatus;

use crate::html::Html;
use crate::status::StatusLook;
use crate::time::Times;

/// Returns how the condition of a subscription looks.
pub(crate) fn look(status: &SubscriptionStatus) -> StatusLook {
    let (tone, shape, word) = match status.subscription.state {
        SubscriptionState::Active if status.is_failing() => ("failed", "failed", "Failing"),
        SubscriptionState::Active => ("delivered", "on", "Active"),
        SubscriptionState::Paused { reason, .. } => match reason {
            PauseReason::Operator => ("waiting", "off", "Paused"),
            PauseReason::Failing => ("failed", "failed", "Paused: failing"),
            PauseReason::Pruned => ("failed", "failed", "Paused: events lost"),
        },
        SubscriptionState::Ended { .. } => ("failed", "canceled", "Ended"),
    };
    StatusLook { tone, shape, word }
}

/// Says what the condition means, and since when it holds.
pub(crate) fn evidence(status: &SubscriptionStatus, times: &Times) -> Html {
    let text = match (status.subscription.state, status.failing_since) {
        (SubscriptionState::Active, Some(since)) => format!(
            "The endpoint has been failing since {}. It is probed about once a minute; its events \
             wait in the log.",
            times.minute(since)
        ),
        (SubscriptionState::Active, None) => match status.last_delivered_at {
            Some(at) => format!("Last delivery {}.", times.relative(at)),
            None => "No event was delivered so far.".to_owned(),
        },
        (SubscriptionState::Paused { reason, since }, _) => {
            let since = times.minute(since);
            match reason {
                PauseReason::Operator => {
                    format!("Paused by an operator since {since}. Its events wait in the log.")
                }
                PauseReason::Failing => format!(
                    "Paused since {since}, because the endpoint failed for too long. Repair it, \
                     then resume."
                ),
                PauseReason::Pruned => format!(
                    "Paused since {since}, because retention removed events that it had not \
                     received. Resuming continues with the oldest report."
                ),
            }
        }
        (SubscriptionState::Ended { since }, _) => format!(
            "The endpoint answered 410 Gone at {}. Resume it if that was a mistake.",
            times.minute(since)
        ),
    };
    Html::trusted(text)
}
