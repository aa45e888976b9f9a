//! Subscriptions: which events are sent to which endpoint.

use std::fmt;

use uuid::Uuid;

use crate::crypto::SealedSecret;
use crate::webhook::TargetUrl;
use crate::{EventFilter, Timestamp};

/// The id of a subscription. It is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub Uuid);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The purpose of a subscription, for people; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(String);

/// The text is not a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a description has at most 200 characters and no control characters")]
pub struct InvalidDescription;

impl Description {
    /// Parses a description.
    pub fn parse(text: &str) -> Result<Self, InvalidDescription> {
        if text.is_empty() || crate::text::is_plain_line(text, 200) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidDescription)
        }
    }

    /// Returns the description.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stored signing secret: sealed, in the context of [`Subscription::secret_context`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSecret {
    /// The sealed secret.
    pub sealed: SealedSecret,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A replaced secret. It signs for some more time, so that the subscriber can switch at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedSecret {
    /// The secret.
    pub secret: SubscriptionSecret,
    /// When it stops signing.
    pub expires_at: Timestamp,
}

/// The current secret and the previous one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSecrets {
    /// The current secret.
    pub current: SubscriptionSecret,
    /// The previous secret, live or expired.
    pub previous: Option<ReplacedSecret>,
}

impl SubscriptionSecrets {
    /// Returns the previous secret if it is live at `now`.
    #[must_use]
    pub fn previous_at(&self, now: Timestamp) -> Option<&SubscriptionSecret> {
        let live = self.previous.as_ref().filter(|it| now < it.expires_at);
        live.map(|it| &it.secret)
    }

    /// Replaces the current secret, which becomes the previous one until `expires_at`.
    #[must_use]
    pub fn replaced_by(self, new: SubscriptionSecret, expires_at: Timestamp) -> Self {
        let secret = self.current;
        Self {
            current: new,
            previous: Some(ReplacedSecret { secret, expires_at }),
        }
    }
}

impl From<SubscriptionSecret> for SubscriptionSecrets {
    fn from(current: SubscriptionSecret) -> Self {
        Self {
            current,
            previous: None,
        }
    }
}

/// Why a subscription is paused.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case", parse_err_ty = InvalidPauseReason, parse_err_fn = invalid_pause_reason)]
pub enum PauseReason {
    /// An operator paused it.
    Operator,
    /// Its endpoint was failing for too long.
    Failing,
    /// Retention removed events that it has not received. An operator decides where it continues.
    Pruned,
}

/// The text is not a pause reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subscription is paused for operator, failing or pruned")]
pub struct InvalidPauseReason;

impl PauseReason {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Failing, Self::Pruned];

    /// Returns the name used in the API and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

const fn invalid_pause_reason(_: &str) -> InvalidPauseReason {
    InvalidPauseReason
}

/// Whether events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Events are sent.
    Active,
    /// Events stay in the log.
    Paused {
        /// The reason.
        reason: PauseReason,
        /// The start of the state.
        since: Timestamp,
    },
    /// The endpoint answered 410. Only an operator can activate it again.
    Ended {
        /// The start of the state.
        since: Timestamp,
    },
}

/// The parts are not those of a valid state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subscription is active, paused for a reason since a time, or ended since a time")]
pub struct InvalidSubscriptionState;

impl SubscriptionState {
    /// Returns the name used in the API and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused { .. } => "paused",
            Self::Ended { .. } => "ended",
        }
    }

    /// Returns the reason of a pause.
    #[must_use]
    pub const fn reason(self) -> Option<PauseReason> {
        match self {
            Self::Paused { reason, .. } => Some(reason),
            Self::Active | Self::Ended { .. } => None,
        }
    }

    /// Returns since when nothing is sent.
    #[must_use]
    pub const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Active => None,
            Self::Paused { since, .. } | Self::Ended { since } => Some(since),
        }
    }

    /// Creates a state from the results of [`as_str`](Self::as_str), [`reason`](Self::reason) and
    /// [`since`](Self::since).
    pub fn from_parts(
        word: &str,
        reason: Option<PauseReason>,
        since: Option<Timestamp>,
    ) -> Result<Self, InvalidSubscriptionState> {
        match (word, reason, since) {
            ("active", None, None) => Ok(Self::Active),
            ("paused", Some(reason), Some(since)) => Ok(Self::Paused { reason, since }),
            ("ended", None, Some(since)) => Ok(Self::Ended { since }),
            _ => Err(InvalidSubscriptionState),
        }
    }
}

/// A subscription to events by webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// The endpoint.
    pub url: TargetUrl,
    /// The events to send.
    pub filter: EventFilter,
    /// Whether events contain plain addresses instead of masked ones.
    pub reveal: bool,
    /// Its purpose.
    pub description: Description,
    /// Whether events are sent.
    pub state: SubscriptionState,
    /// The signing secrets.
    pub secrets: SubscriptionSecrets,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Incremented by every change, from 1. A change to an older version is refused.
    pub version: i64,
}

impl Subscription {
    /// Returns the context that its sealed secrets are bound to, so that they open for this
    /// subscription only.
    #[must_use]
    pub fn secret_context(id: SubscriptionId) -> String {
        format!("subscription/{id}/signing-secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", true)]
    #[case("Service desk – 'zwei'", true)]
    #[case("  ", false)]
    #[case("a\nb", false)]
    #[case(&"ä".repeat(200), true)]
    #[case(&"ä".repeat(201), false)]
    fn a_description_is_one_short_line_or_none(#[case] text: &str, #[case] good: bool) {
        assert_eq!(Description::parse(text).is_ok(), good);
    }

    fn secret(number: u8) -> SubscriptionSecret {
        SubscriptionSecret {
            sealed: SealedSecret(vec![number]),
            created_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_replaced_secret_signs_until_it_expires() {
        let end = Timestamp::EPOCH.plus_micros(10);
        let secrets = SubscriptionSecrets::from(secret(1)).replaced_by(secret(2), end);
        assert_eq!(secrets.current, secret(2));
        assert_eq!(
            secrets.previous_at(end.plus_micros(-1)).cloned(),
            Some(secret(1))
        );
        assert_eq!(secrets.previous_at(end), None);
        let again = secrets.replaced_by(secret(3), end);
        assert_eq!(
            again.previous_at(Timestamp::EPOCH).cloned(),
            Some(secret(2))
        );
    }

    #[test]
    fn a_state_is_rebuilt_from_its_parts() {
        let since = Timestamp::EPOCH;
        let paused = PauseReason::ALL.map(|reason| SubscriptionState::Paused { reason, since });
        let others = [
            SubscriptionState::Active,
            SubscriptionState::Ended { since },
        ];
        for state in others.into_iter().chain(paused) {
            let parts = (state.as_str(), state.reason(), state.since());
            assert_eq!(
                SubscriptionState::from_parts(parts.0, parts.1, parts.2),
                Ok(state)
            );
        }
        for (word, since) in [("active", Some(since)), ("paused", None), ("gone", None)] {
            let state = SubscriptionState::from_parts(word, None, since);
            assert_eq!(state, Err(InvalidSubscriptionState));
        }
        for reason in PauseReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
    }
}
