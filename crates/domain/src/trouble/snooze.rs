//! Snoozing a trouble.

use crate::Timestamp;
use crate::access::OperatorName;

/// The longest snooze: 30 days.
const MAX_SNOOZE_MICROS: i64 = 30 * 86_400 * 1_000_000;

/// Why a trouble is snoozed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnoozeReason(String);

/// The snooze is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSnooze {
    /// The reason is not a short line.
    #[error("the reason of a snooze has 1 to 200 characters and no control characters")]
    Reason,
    /// The end is past or too far away.
    #[error("a snooze ends in the future, within 30 days")]
    End,
}

impl SnoozeReason {
    /// Parses a reason.
    pub fn parse(text: &str) -> Result<Self, InvalidSnooze> {
        if crate::text::is_plain_line(text, 200) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSnooze::Reason)
        }
    }

    /// Returns the reason.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Until when a trouble causes no notices, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snooze {
    /// Its end.
    pub until: Timestamp,
    /// Its reason.
    pub reason: SnoozeReason,
    /// Who snoozed it.
    pub by: OperatorName,
}

impl Snooze {
    /// Creates a snooze that ends after `now`.
    pub fn new(
        until: Timestamp,
        reason: SnoozeReason,
        by: OperatorName,
        now: Timestamp,
    ) -> Result<Self, InvalidSnooze> {
        if until > now && until <= now.plus_micros(MAX_SNOOZE_MICROS) {
            Ok(Self { until, reason, by })
        } else {
            Err(InvalidSnooze::End)
        }
    }

    /// Returns whether it lasts at `now`.
    #[must_use]
    pub fn lasts_at(&self, now: Timestamp) -> bool {
        now < self.until
    }
}
