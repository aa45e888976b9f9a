//! An error code that is much more frequent than usual.

use crate::trouble::{Finding, Thresholds};
use crate::{ErrorCode, Timestamp};

use super::{MIN_COUNT, percent, share};

/// How many times its usual share a code must have.
const TIMES_USUAL: f64 = 3.0;

/// The share of an error code in the messages of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeShare {
    /// The code.
    pub code: ErrorCode,
    /// Start of the time in which the messages were first reported.
    pub since: Timestamp,
    /// How many messages have the code.
    pub messages: i64,
    /// How many messages there are.
    pub all_messages: i64,
    /// How many messages of the seven days before have the code.
    pub usual_messages: i64,
    /// How many messages of the seven days before there are.
    pub usual_all_messages: i64,
}

/// Finds a code with a great share that is three times the usual one.
#[must_use]
pub fn error_code(shares: &CodeShare, thresholds: Thresholds) -> Option<Finding> {
    let now = share(shares.messages, shares.all_messages);
    let usual = share(shares.usual_messages, shares.usual_all_messages);
    let least = f64::from(thresholds.code_share_percent()) / 100.0;
    if shares.messages < MIN_COUNT || now < least || now < TIMES_USUAL * usual {
        return None;
    }
    let code = shares.code.as_str();
    let (messages, all) = (shares.messages, shares.all_messages);
    let seen = format!(
        "{messages} of {all} messages ({}) have error {code}; {} in the seven days before.",
        percent(messages, all),
        percent(shares.usual_messages, shares.usual_all_messages),
    );
    Some(Finding {
        since: shares.since,
        seen,
    })
}
