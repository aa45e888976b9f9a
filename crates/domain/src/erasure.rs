//! Erasures: the record that a recipient was erased.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::Timestamp;

/// The id of an erasure. Later ones are greater.
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

/// The reason of an erasure, written by an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureReason(String);

/// The text is not a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason is 1 to 200 characters without control characters")]
pub struct InvalidErasureReason;

impl ErasureReason {
    /// Parses a reason.
    pub fn parse(text: &str) -> Result<Self, InvalidErasureReason> {
        if crate::text::is_plain_line(text, 200) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidErasureReason)
        }
    }

    /// Returns the reason.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The interface through which an erasure was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", parse_err_ty = InvalidRequestedVia, parse_err_fn = invalid_requested_via)]
pub enum RequestedVia {
    /// The operator's API.
    Api,
    /// The command line.
    CommandLine,
}

/// The text is not such an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an erasure is asked for through api or command_line")]
pub struct InvalidRequestedVia;

impl RequestedVia {
    /// Returns the name used in the API and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

const fn invalid_requested_via(_: &str) -> InvalidRequestedVia {
    InvalidRequestedVia
}

/// The record of an erasure, which does not identify the recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// When it was requested.
    pub asked_at: Timestamp,
    /// The interface used.
    pub asked_through: RequestedVia,
    /// The reason.
    pub reason: Option<ErasureReason>,
    /// The masked address, as [`Recipient`](crate::Recipient) shows it.
    pub masked: String,
    /// How many reports and messages were examined.
    pub looked_at: u64,
    /// How many messages were erased.
    pub messages: u64,
    /// How many of their reports were erased.
    pub reports: u64,
    /// How many pending deliveries were given up.
    pub deliveries: u64,
    /// When it was finished; `None` while it is running.
    pub finished_at: Option<Timestamp>,
}
