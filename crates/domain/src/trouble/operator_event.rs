//! Events for operators: trouble that opens and is resolved.

use std::fmt;

use uuid::Uuid;

use crate::{ChannelId, Timestamp};

/// The type of an operator event.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
pub enum OperatorEventType {
    /// A trouble has opened, or lasts and is remembered once a day.
    #[strum(serialize = "receiptd.trouble.opened")]
    TroubleOpened,
    /// A trouble of which a subscriber was told is over.
    #[strum(serialize = "receiptd.trouble.resolved")]
    TroubleResolved,
}

impl OperatorEventType {
    /// All types.
    pub const ALL: [Self; 2] = [Self::TroubleOpened, Self::TroubleResolved];

    /// Returns the name used in the API and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The id of an operator event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorEventId(pub Uuid);

/// `op_` and 32 hex digits.
impl fmt::Display for OperatorEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op_{}", self.0.simple())
    }
}

/// An event for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorEvent {
    /// Its id.
    pub id: OperatorEventId,
    /// Its type.
    pub event_type: OperatorEventType,
    /// The channel that it is about, if it is about one.
    pub channel: Option<ChannelId>,
    /// When it happened.
    pub at: Timestamp,
    /// What is sent: JSON.
    pub body: String,
}

/// An operator event and its place in the sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOperatorEvent {
    /// Later events have greater numbers.
    pub sequence: i64,
    /// The event.
    pub event: OperatorEvent,
}
