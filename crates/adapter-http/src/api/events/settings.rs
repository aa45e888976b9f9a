//! The limits of event streams.

use std::time::Duration;

/// The limits of event streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// Streams that may be open at a time; further requests are answered 503.
    pub max_streams: usize,
    /// The longest silence; then a comment is sent.
    pub heartbeat: Duration,
    /// How long a client may let events wait before its stream is ended.
    pub send_timeout: Duration,
    /// How often the token of a stream is checked; nothing is sent with an older check.
    pub token_check: Duration,
    /// How long a client has to read the rest of its stream, with the reason, once it has ended.
    pub close_timeout: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            max_streams: 200,
            heartbeat: Duration::from_secs(15),
            send_timeout: Duration::from_secs(10),
            token_check: Duration::from_secs(5),
            close_timeout: Duration::from_secs(5),
        }
    }
}
