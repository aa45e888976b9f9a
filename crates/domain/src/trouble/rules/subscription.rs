//! Subscriptions that receive no events, or receive them late.

use crate::Timestamp;
use crate::subscription::{PauseReason, SubscriptionState};
use crate::trouble::Finding;

/// How long an operator may pause a subscription before it is found: an hour.
const PAUSE_MICROS: i64 = 3_600 * 1_000_000;

/// How late events may be, and how long an endpoint may fail: 5 minutes.
const LAG_MICROS: i64 = 5 * 60 * 1_000_000;

/// How late an active subscription is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionLag {
    /// When the oldest report arrived whose events were not sent; `None` if there is none.
    pub oldest_at: Option<Timestamp>,
    /// Since when its endpoint is failing.
    pub failing_since: Option<Timestamp>,
}

/// Finds a subscription that is paused or has ended.
#[must_use]
pub fn stopped(state: SubscriptionState, now: Timestamp) -> Option<Finding> {
    let (since, seen) = match state {
        SubscriptionState::Active => return None,
        SubscriptionState::Ended { since } => {
            (since, "Its endpoint answered that it is gone, so it ended.")
        }
        SubscriptionState::Paused { reason, since } => match reason {
            PauseReason::Operator if now < since.plus_micros(PAUSE_MICROS) => return None,
            PauseReason::Operator => (since, "An operator paused it more than an hour ago."),
            PauseReason::Failing => (since, "It was paused because its endpoint kept failing."),
            PauseReason::Pruned => (
                since,
                "It was paused because retention removed events that it had not received.",
            ),
        },
    };
    Some(Finding {
        since,
        seen: seen.to_owned(),
    })
}

/// Finds an active subscription that is late.
#[must_use]
pub fn lagging(lag: &SubscriptionLag, now: Timestamp) -> Option<Finding> {
    let long_ago = now.plus_micros(-LAG_MICROS);
    if let Some(since) = lag.failing_since.filter(|since| *since <= long_ago) {
        return Some(Finding {
            since,
            seen: "Its endpoint has been failing for more than five minutes.".to_owned(),
        });
    }
    let since = lag.oldest_at.filter(|oldest| *oldest <= long_ago)?;
    Some(Finding {
        since,
        seen: "Its events are more than five minutes late.".to_owned(),
    })
}
