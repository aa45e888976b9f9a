//! Subscriptions: who is told what happens to messages, and where.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::secret::SealedSecret;
use crate::webhook::TargetUrl;
use crate::{EventFilter, Timestamp};

/// The id of a subscription. One that was removed does not come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub Uuid);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What people say a subscription is for; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(String);

/// The text is no description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a description has at most 200 characters and no control characters")]
pub struct InvalidDescription;

impl Description {
    /// Takes a description as people write it.
    pub fn parse(text: &str) -> Result<Self, InvalidDescription> {
        if text.is_empty() || crate::text::is_plain_line(text, 200) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidDescription)
        }
    }

    /// The description as it was given.
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

/// A signing secret as it is kept: sealed, in the context of
/// [`Subscription::secret_context`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSecret {
    /// The secret in writing, sealed.
    pub sealed: SealedSecret,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A secret that another one has replaced. It still signs for a while, so that
/// the subscriber can change over at its own time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedSecret {
    /// The secret.
    pub secret: SubscriptionSecret,
    /// From when on it signs nothing.
    pub expires_at: Timestamp,
}

/// The secret that signs, and the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSecrets {
    /// The secret that stays.
    pub current: SubscriptionSecret,
    /// The one before it, whether or not it still signs.
    pub previous: Option<ReplacedSecret>,
}

impl SubscriptionSecrets {
    /// The secret before the current one, if it still signs at `now`.
    #[must_use]
    pub fn previous_at(&self, now: Timestamp) -> Option<&SubscriptionSecret> {
        let live = self.previous.as_ref().filter(|it| now < it.expires_at);
        live.map(|it| &it.secret)
    }

    /// Puts a new secret in the place of the current one, which signs until
    /// `expires_at`. The one before that is forgotten.
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

/// Why nothing is sent to a subscription for the time being.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PauseReason {
    /// Somebody wanted it so.
    Operator,
    /// Its target took nothing for too long.
    Failing,
    /// It fell behind so far that events it has not seen are gone. Somebody has
    /// to decide from where it goes on.
    Pruned,
}

/// The text is no reason of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subscription is paused for operator, failing or pruned")]
pub struct InvalidPauseReason;

impl PauseReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Failing, Self::Pruned];

    /// The word on the wire and in the stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Failing => "failing",
            Self::Pruned => "pruned",
        }
    }
}

impl FromStr for PauseReason {
    type Err = InvalidPauseReason;

    fn from_str(text: &str) -> Result<Self, InvalidPauseReason> {
        let mut all = Self::ALL.into_iter();
        all.find(|each| each.as_str() == text)
            .ok_or(InvalidPauseReason)
    }
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether events are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// They are.
    Active,
    /// Not now; the log keeps them.
    Paused {
        /// Why.
        reason: PauseReason,
        /// Since when.
        since: Timestamp,
    },
    /// Nevermore: the target has said that it is gone. Only somebody who knows
    /// better makes it active again.
    Ended {
        /// Since when.
        since: Timestamp,
    },
}

/// The words are those of no state of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subscription is active, paused for a reason since a time, or ended since a time")]
pub struct InvalidSubscriptionState;

impl SubscriptionState {
    /// The word on the wire and in the stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused { .. } => "paused",
            Self::Ended { .. } => "ended",
        }
    }

    /// Why it is paused, if it is.
    #[must_use]
    pub const fn reason(self) -> Option<PauseReason> {
        match self {
            Self::Paused { reason, .. } => Some(reason),
            Self::Active | Self::Ended { .. } => None,
        }
    }

    /// Since when nothing is sent.
    #[must_use]
    pub const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Active => None,
            Self::Paused { since, .. } | Self::Ended { since } => Some(since),
        }
    }

    /// Puts together what [`as_str`](Self::as_str), [`reason`](Self::reason)
    /// and [`since`](Self::since) took apart.
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

/// Somebody who wants to be told of events, by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Names it.
    pub id: SubscriptionId,
    /// Where events are sent.
    pub url: TargetUrl,
    /// Which events.
    pub filter: EventFilter,
    /// Whether addresses stand in them plainly instead of masked.
    pub reveal: bool,
    /// What it is for.
    pub description: Description,
    /// Whether events are sent.
    pub state: SubscriptionState,
    /// What they are signed with.
    pub secrets: SubscriptionSecrets,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts its changes, from 1. A change that was made to an older version
    /// is refused.
    pub version: i64,
}

impl Subscription {
    /// The text that its sealed secrets are bound to, so that they open for
    /// this subscription only.
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
    fn a_state_comes_back_from_its_parts() {
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
