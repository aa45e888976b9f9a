//! What waits to be forwarded.

use domain::forwarding::WaitingRequests;
use serde::Serialize;
use utoipa::ToSchema;

/// The requests of a channel that wait to be forwarded.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ForwardingView {
    /// How many requests wait.
    pub waiting: u64,
    /// Their size in bytes, as stored.
    pub waiting_bytes: u64,
    /// When the oldest of them arrived; `null` if none waits.
    pub oldest_at: Option<String>,
    /// Why the last failed attempt to forward one of them failed; `null` if none of them failed.
    pub last_error: Option<String>,
    /// When it failed.
    pub last_error_at: Option<String>,
}

impl ForwardingView {
    /// Shows what waits; `None` if nothing does.
    #[must_use]
    pub fn new(waiting: Option<WaitingRequests>) -> Self {
        let Some(waiting) = waiting else {
            return Self::default();
        };
        let failure = waiting.last_failure;
        Self {
            waiting: waiting.requests,
            waiting_bytes: waiting.bytes,
            oldest_at: Some(waiting.oldest_at.to_string()),
            last_error_at: failure.as_ref().map(|failure| failure.at.to_string()),
            last_error: failure.map(|failure| failure.error),
        }
    }
}
