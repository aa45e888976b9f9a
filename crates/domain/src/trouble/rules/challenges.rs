//! Challenges without an authenticated request.

use crate::Timestamp;
use crate::trouble::{Finding, Thresholds};

/// The time in which challenges are counted: 10 minutes.
pub const CHALLENGE_WINDOW_MICROS: i64 = 10 * 60 * 1_000_000;

/// The requests of a channel in the last [`CHALLENGE_WINDOW_MICROS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenges {
    /// How many requests had no credentials.
    pub challenged: u64,
    /// When a request last had valid credentials.
    pub last_authenticated_at: Option<Timestamp>,
}

impl Challenges {
    /// Returns whether a request had valid credentials in the window.
    #[must_use]
    pub fn is_authenticated(&self, now: Timestamp) -> bool {
        let from = now.plus_micros(-CHALLENGE_WINDOW_MICROS);
        self.last_authenticated_at.is_some_and(|last| last >= from)
    }
}

/// Finds a channel that is called without credentials only.
#[must_use]
pub fn challenged_only(
    requests: &Challenges,
    thresholds: Thresholds,
    now: Timestamp,
) -> Option<Finding> {
    let Challenges { challenged, .. } = *requests;
    if challenged < u64::from(thresholds.challenges()) || requests.is_authenticated(now) {
        return None;
    }
    let seen = format!(
        "{challenged} requests without credentials in 10 minutes, and none with valid ones."
    );
    let begin = now.plus_micros(-CHALLENGE_WINDOW_MICROS);
    Some(Finding { since: begin, seen })
}
