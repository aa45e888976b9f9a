//! The connections of the public listener: their number, and how they are drained at shutdown.

use std::net::{Shutdown, TcpListener, TcpStream as Socket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;

/// How long the accepting thread may take to see that it is paused.
const PAUSE_DELAY: Duration = Duration::from_millis(5);

/// How often draining checks for open connections. Longer than it takes to count a new one.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// The connections of a listener.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    open: AtomicUsize,
    limit: AtomicUsize,
    draining: AtomicBool,
}

/// A connection counts as open until this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionGuard(Arc<Connections>);

impl Connections {
    /// Sets the greatest number of open connections.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Counts a new connection.
    pub(crate) fn add(self: &Arc<Self>) -> ConnectionGuard {
        self.open.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard(Arc::clone(self))
    }

    /// Returns the number of open connections and its limit.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let open = self.open.load(Ordering::Relaxed);
        (open, self.limit.load(Ordering::Relaxed))
    }

    /// Returns whether each connection is to be closed after its next answer, because the listener
    /// is shutting down.
    pub(crate) fn are_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns whether 90 % of the limit is in use: then idle connections are closed when new ones
    /// arrive, and unauthenticated ones after each answer.
    pub(crate) fn are_scarce(&self) -> bool {
        self.excess().is_some()
    }

    /// Returns how many are open above 90 % of the limit; `None` below that.
    pub(crate) fn excess(&self) -> Option<usize> {
        let (open, limit) = self.usage();
        open.checked_sub(limit - limit / 10)
    }

    /// Returns whether 95 % of the limit is in use: then every connection is closed after its
    /// answer. Unauthenticated connections alone do not get that far.
    pub(crate) fn are_exhausted(&self) -> bool {
        let (open, limit) = self.usage();
        open >= limit - limit / 20
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Drains the connections of the public listener before its server is stopped.
///
/// A stopping server closes connections on which it sees no request, and drops those that it has
/// accepted but not read from: a request that was just sent there would never be answered. So all
/// connections must be closed before the server is stopped.
#[derive(Debug)]
pub struct GracefulShutdown {
    listener: TcpListener,
    handle: ServerHandle,
    connections: Arc<Connections>,
}

impl GracefulShutdown {
    pub(crate) const fn new(
        listener: TcpListener,
        handle: ServerHandle,
        connections: Arc<Connections>,
    ) -> Self {
        Self {
            listener,
            handle,
            connections,
        }
    }

    /// Stops accepting connections and closes each open one after its next answer. Returns when all
    /// are closed, or after `timeout`.
    ///
    /// A challenge does not close the connection: the client repeats its request with credentials.
    pub async fn drain(self, timeout: Duration) {
        // The accepting thread would report the closed listener as an error.
        self.handle.pause().await;
        tokio::time::sleep(PAUSE_DELAY).await;
        // The server holds the socket too, so closing it here has no effect. If the shutdown fails,
        // connections are accepted until the server stops.
        let _ = Socket::from(OwnedFd::from(self.listener)).shutdown(Shutdown::Both);
        self.connections.draining.store(true, Ordering::Relaxed);
        let all_closed = async {
            loop {
                tokio::time::sleep(DRAIN_CHECK_INTERVAL).await;
                if self.connections.usage().0 == 0 {
                    return;
                }
            }
        };
        // Connections that stay idle are closed by the server.
        let _ = tokio::time::timeout(timeout, all_closed).await;
    }
}
