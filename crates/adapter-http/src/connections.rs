//! The connections of the public listener: how many there are, and how they are let go.

use std::net::{Shutdown, TcpListener, TcpStream as Socket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::dev::{Extensions, ServerHandle};

/// How soon the thread that accepts connections hears that it should not.
const HEARS: Duration = Duration::from_millis(5);

/// How often it is looked whether there are connections left. Longer than a new one takes to be
/// counted.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(20);

/// What is known of the connections of a listener.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    held: AtomicUsize,
    allowed: AtomicUsize,
    leaving: AtomicBool,
}

/// A connection is held until this is dropped.
struct Held(Arc<Connections>);

impl Connections {
    /// No more than so many are held.
    pub(crate) fn allow(&self, at_most: usize) {
        self.allowed.store(at_most, Ordering::Relaxed);
    }

    /// Counts a connection, for as long as its data is kept.
    pub(crate) fn count(self: &Arc<Self>, data: &mut Extensions) {
        self.held.fetch_add(1, Ordering::Relaxed);
        data.insert(Held(Arc::clone(self)));
    }

    /// How many are held, and how many may be.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let held = self.held.load(Ordering::Relaxed);
        (held, self.allowed.load(Ordering::Relaxed))
    }

    /// Whether the next answer on a connection is its last one: there will be no listener any
    /// more, or others wait, who would wait for as long as this one is idle.
    pub(crate) fn are_leaving(&self) -> bool {
        let (held, allowed) = self.usage();
        let are_scarce = held >= allowed - allowed / 10;
        self.leaving.load(Ordering::Relaxed) || are_scarce
    }

    /// Whether none is held.
    fn are_gone(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Held {
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
pub struct Farewell {
    listener: TcpListener,
    handle: ServerHandle,
    connections: Arc<Connections>,
}

impl Farewell {
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
