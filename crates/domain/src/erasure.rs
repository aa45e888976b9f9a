//! Forgetting a person: what remains to be told of it.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::Timestamp;

/// Tells an erasure from all others. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErasureId(pub Uuid);

impl fmt::Display for ErasureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ErasureId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

/// Why somebody is forgotten, in the operator's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureReason(String);

/// The text is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason is 1 to 200 characters without control characters")]
pub struct InvalidErasureReason;

impl ErasureReason {
    /// Takes a reason as people write it.
    pub fn parse(text: &str) -> Result<Self, InvalidErasureReason> {
        if crate::text::is_plain_line(text, 200) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidErasureReason)
        }
    }

    /// The reason as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an erasure was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestedVia {
    /// The operator's API.
    Api,
    /// The command line.
    CommandLine,
}

/// The text is no place where an erasure is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an erasure is asked for through api or command_line")]
pub struct InvalidRequestedVia;

impl RequestedVia {
    /// The word on the wire and in the stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::CommandLine => "command_line",
        }
    }
}

impl FromStr for RequestedVia {
    type Err = InvalidRequestedVia;

    fn from_str(text: &str) -> Result<Self, InvalidRequestedVia> {
        let mut all = [Self::Api, Self::CommandLine].into_iter();
        all.find(|each| each.as_str() == text)
            .ok_or(InvalidRequestedVia)
    }
}

/// What remains of an erasure: that it was done, and not of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Names it.
    pub id: ErasureId,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Where.
    pub asked_through: RequestedVia,
    /// Why.
    pub reason: Option<ErasureReason>,
    /// The mask of the address, as [`Recipient`](crate::Recipient) shows it.
    pub masked: String,
    /// How many reports and messages were looked at.
    pub looked_at: u64,
    /// How many messages had their recipient erased.
    pub messages: u64,
    /// How many reports of theirs had their fields erased.
    pub reports: u64,
    /// How many deliveries that were not made were given up.
    pub deliveries: u64,
    /// When it was done; `None` while it goes on.
    pub finished_at: Option<Timestamp>,
}
