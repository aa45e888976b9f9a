//! The limits of a listener.

use std::time::Duration;

/// The limits of a listener; the defaults are those of the public one.
#[derive(Clone, Copy, Debug)]
pub struct ListenerSettings {
    /// Threads that answer requests; `None` starts one for each processor.
    pub threads: Option<usize>,
    /// Open connections; no more are accepted beyond that.
    pub max_connections: usize,
    /// Bytes of a request's head; a longer one is answered 431.
    pub max_head: usize,
    /// How long an idle connection is kept. Longer than load balancers keep theirs (60 s for most),
    /// so that they never reuse one that is being closed.
    pub keep_alive: Duration,
    /// How long the head of a request may take to arrive, and its body from then on.
    pub request_timeout: Duration,
    /// How long an answer may wait for a client that does not read it.
    pub send_timeout: Duration,
    /// How long to wait for the rest of a small body that the answer does not depend on. Once it
    /// has arrived, the connection can be reused.
    pub drain_timeout: Duration,
    /// How long the answer to wrong credentials is delayed: without it a few clients that guess
    /// passwords could occupy all processors.
    pub refusal_delay: Duration,
    /// How long a connection may take to close.
    pub disconnect_timeout: Duration,
    /// How long requests may take to complete when the listener is stopped.
    pub shutdown_timeout: Duration,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            threads: None,
            max_connections: 25_000,
            max_head: 16_384,
            keep_alive: Duration::from_secs(75),
            request_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(1),
            refusal_delay: Duration::from_millis(200),
            disconnect_timeout: Duration::from_secs(3),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl ListenerSettings {
    /// Returns the limits of the operator's listener, which has few clients.
    #[must_use]
    pub fn operator() -> Self {
        Self {
            threads: Some(1),
            max_connections: 1_000,
            shutdown_timeout: Duration::from_secs(5),
            ..Self::default()
        }
    }
}
