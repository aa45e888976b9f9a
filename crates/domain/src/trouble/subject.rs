//! What a trouble is about.

use std::fmt;
use std::str::FromStr;

use crate::{ChannelId, CredentialId, ErrorCode, SubscriptionId};

use super::TroubleKind;

/// What a trouble is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TroubleSubject {
    /// The whole installation.
    Service,
    /// A channel.
    Channel(ChannelId),
    /// An error code of a channel.
    Code(ChannelId, ErrorCode),
    /// A credential of a channel.
    Credential(ChannelId, CredentialId),
    /// A subscription.
    Subscription(SubscriptionId),
}

/// The text is not the subject of a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subject is service, or a kind and ids, like channel/ID or subscription/ID")]
pub struct InvalidTroubleSubject;

impl TroubleSubject {
    /// Returns the channel, if it is about one.
    #[must_use]
    pub const fn channel(&self) -> Option<&ChannelId> {
        match self {
            Self::Channel(channel) | Self::Code(channel, _) | Self::Credential(channel, _) => {
                Some(channel)
            }
            Self::Service | Self::Subscription(_) => None,
        }
    }
}

/// `service`, `channel/ID`, `channel/ID/code/CODE`, `channel/ID/credential/ID` or
/// `subscription/ID`.
impl fmt::Display for TroubleSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("service"),
            Self::Channel(channel) => write!(f, "channel/{channel}"),
            Self::Code(channel, code) => write!(f, "channel/{channel}/code/{}", code.as_str()),
            Self::Credential(channel, id) => write!(f, "channel/{channel}/credential/{id}"),
            Self::Subscription(id) => write!(f, "subscription/{id}"),
        }
    }
}

impl FromStr for TroubleSubject {
    type Err = InvalidTroubleSubject;

    fn from_str(text: &str) -> Result<Self, InvalidTroubleSubject> {
        let channel = |id| ChannelId::parse(id).map_err(|_| InvalidTroubleSubject);
        let uuid = |id: &str| id.parse().map_err(|_| InvalidTroubleSubject);
        // A code may contain a slash.
        let mut parts = text.splitn(4, '/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("service"), None, None, None) => Ok(Self::Service),
            (Some("subscription"), Some(id), None, None) => {
                Ok(Self::Subscription(SubscriptionId(uuid(id)?)))
            }
            (Some("channel"), Some(id), None, None) => Ok(Self::Channel(channel(id)?)),
            (Some("channel"), Some(id), Some("code"), Some(code)) => {
                let code = ErrorCode::parse(code).map_err(|_| InvalidTroubleSubject)?;
                Ok(Self::Code(channel(id)?, code))
            }
            (Some("channel"), Some(id), Some("credential"), Some(credential)) => Ok(
                Self::Credential(channel(id)?, CredentialId(uuid(credential)?)),
            ),
            _ => Err(InvalidTroubleSubject),
        }
    }
}

/// Identifies a trouble while it lasts: there is one of a kind and subject at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TroubleKey {
    /// The kind.
    pub kind: TroubleKind,
    /// The subject.
    pub subject: TroubleSubject,
}
