//! The connections of the public listener: how many there are, and how they are let go.

use std::net::{Shutdown, TcpListener, TcpStream as Socket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;

/// How soon the thread that accepts connections hears that it should not.
const HEARS: Duration = Duration::from_millis(5);

/// How often it is looked whether there are connections left. Longer than a new one takes to be
/// counted.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(20);

/// How many connections a listener has.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    held: AtomicUsize,
    allowed: AtomicUsize,
    leaving: AtomicBool,
}

/// A connection counts as held until this is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<Connections>);

impl Connections {
    /// Sets how many are held at most.
    pub(crate) fn allow(&self, at_most: usize) {
        self.allowed.store(at_most, Ordering::Relaxed);
    }

    /// Counts a connection.
    pub(crate) fn count(self: &Arc<Self>) -> Counted {
        self.held.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(self))
    }

    /// How many are held, and how many may be.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let held = self.held.load(Ordering::Relaxed);
        (held, self.allowed.load(Ordering::Relaxed))
    }

    /// Whether each answer is the last on its connection, since the listener is about to end.
    pub(crate) fn are_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Whether 90 % are used: idle connections are closed when new ones arrive, and those
    /// without valid credentials after each answer.
    pub(crate) fn are_scarce(&self) -> bool {
        self.surplus().is_some()
    }

    /// How many there are above 90 % of those allowed; `None` below.
    pub(crate) fn surplus(&self) -> Option<usize> {
        let (held, allowed) = self.usage();
        held.checked_sub(allowed - allowed / 10)
    }

    /// Whether 95 % are used: every connection is closed after its answer. Connections without
    /// valid credentials alone do not get so far.
    pub(crate) fn are_used_up(&self) -> bool {
        let (held, allowed) = self.usage();
        held >= allowed - allowed / 20
    }

    /// Whether none is held.
    fn are_gone(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Prepares the public listener for its end.
///
/// A server that is told to stop closes the connections on which it sees nothing under way, and
/// drops those that it has accepted and not looked at: a request that has just been sent there
/// would never be answered. So nobody may send one any more when it is told.
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

    /// Takes no connection any more, and closes those there are after their next answer. Returns
    /// when they are gone, or after `patience`.
    ///
    /// Whoever is only asked for credentials repeats the request, so that is no last answer.
    pub async fn say(self, patience: Duration) {
        // The thread that accepts would take the end of the listener for an error.
        self.handle.pause().await;
        tokio::time::sleep(HEARS).await;
        // Others hold the socket too, so closing it would not do. Where it cannot be done this
        // way, connections are taken until the server stops.
        let _ = Socket::from(OwnedFd::from(self.listener)).shutdown(Shutdown::Both);
        self.connections.leaving.store(true, Ordering::Relaxed);
        let gone = async {
            loop {
                tokio::time::sleep(LOOKED_AT_EVERY).await;
                if self.connections.are_gone() {
                    return;
                }
            }
        };
        // Those that are idle are closed by the server.
        let _ = tokio::time::timeout(patience, gone).await;
    }
}
