//! A subscriber that accepts events as fast as they arrive, records them, and can be made to fail.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::request::EventRequests;
use super::{Event, parse};
use crate::installation::free_address;
use crate::wait::runtime;

/// What a subscriber does with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    Accept,
    /// It accepts each after a different time of at most this length, unless the connection was
    /// closed by then.
    AcceptWithin(Duration),
    /// It answers 500 to one in so many and accepts the others.
    FailOneIn(u64),
    /// It reads requests and does not respond.
    Hang,
    /// It does not listen.
    Away,
}

#[derive(Clone, Debug)]
pub struct Arrival {
    pub event: Event,
    /// When its request was read.
    pub at: Instant,
    /// Whether it was answered 204.
    pub accepted: bool,
}

/// A subscriber on a thread of its own. It ends when it is dropped.
pub struct Subscriber {
    address: SocketAddr,
    behavior: Option<watch::Sender<Behavior>>,
    received: Arc<Received>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Received {
    /// Whether arrivals are recorded, or only counted.
    records: bool,
    requests: AtomicU64,
    accepted: AtomicU64,
    invalid: AtomicU64,
    arrivals: Mutex<Vec<Arrival>>,
}

impl Subscriber {
    /// Starts a subscriber that records all arrivals.
    pub fn start() -> Result<Self> {
        Self::with(true)
    }

    /// Starts a subscriber that only counts, for a third of the cost.
    pub fn counting() -> Result<Self> {
        Self::with(false)
    }

    fn with(records: bool) -> Result<Self> {
        // Below the ports of outgoing connections, so it stays free while the subscriber is away.
        let address = free_address()?;
        let (behavior, current) = watch::channel(Behavior::Accept);
        let received = Arc::new(Received {
            records,
            ..Received::default()
        });
        let runtime = runtime()?;
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let thread = thread::spawn({
            let received = Arc::clone(&received);
            move || {
                // If it fails, events appear as not delivered.
                let _ = runtime.block_on(serve(listener, address, current, &received));
            }
        });
        Ok(Self {
            address,
            behavior: Some(behavior),
            received,
            thread: Some(thread),
        })
    }

    /// Returns the URL that events are sent to.
    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub fn set(&self, behavior: Behavior) {
        if let Some(current) = &self.behavior {
            current.send_replace(behavior);
        }
    }

    /// Returns the number of events it has accepted, with repetitions.
    pub fn accepted(&self) -> u64 {
        self.received.accepted.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that were no event, or whose `webhook-id` was another
    /// event's.
    pub fn invalid(&self) -> u64 {
        self.received.invalid.load(Ordering::Relaxed)
    }

    /// Returns all arrivals so far, in order.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.received.lock().clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.behavior = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    mut behavior: watch::Receiver<Behavior>,
    received: &Arc<Received>,
) -> io::Result<()> {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if *behavior.borrow_and_update() == Behavior::Away {
            listener = None;
            connections.shutdown().await;
            if behavior.changed().await.is_err() {
                return Ok(());
            }
            continue;
        }
        let listening = match &listener {
            Some(listener) => listener,
            None => listener.insert(TcpListener::bind(address).await?),
        };
        tokio::select! {
            accepted = listening.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(connection(stream, behavior.clone(), Arc::clone(received)));
            }
            changed = behavior.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(
    mut stream: TcpStream,
    mut behavior: watch::Receiver<Behavior>,
    received: Arc<Received>,
) -> io::Result<()> {
    let mut requests = EventRequests::new();
    while let Some(request) = requests.next(&mut stream).await? {
        let number = received.requests.fetch_add(1, Ordering::Relaxed);
        let index = received.record(request.id, request.body);
        let mut more = [0; 64];
        let current = *behavior.borrow_and_update();
        match current {
            Behavior::AcceptWithin(longest) => {
                let thousandths = number.wrapping_mul(2_654_435_761) % 1_000;
                let pause = longest * u32::try_from(thousandths).unwrap_or_default() / 1_000;
                // The client sends one request at a time, so a read ends with the connection.
                if timeout(pause, stream.read(&mut more)).await.is_ok() {
                    return Ok(());
                }
            }
            Behavior::FailOneIn(many) if number.is_multiple_of(many) => {
                stream.write_all(FAILED).await?;
                continue;
            }
            Behavior::FailOneIn(_) | Behavior::Accept => {}
            Behavior::Hang | Behavior::Away => {
                // Until the client closes the connection or the behavior changes.
                tokio::select! {
                    read = stream.read(&mut more) => drop(read),
                    _ = behavior.changed() => {}
                }
                return Ok(());
            }
        }
        received.accept(index);
        stream.write_all(ACCEPTED).await?;
    }
    Ok(())
}

const ACCEPTED: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const FAILED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

impl Received {
    /// Records an arrival. Returns its index.
    fn record(&self, id: &str, body: &[u8]) -> Option<usize> {
        if !self.records {
            return None;
        }
        let at = Instant::now();
        let event = parse(body).ok();
        let Some(event) = event.filter(|event| event.id.to_string() == id) else {
            self.invalid.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let mut arrivals = self.lock();
        arrivals.push(Arrival {
            event,
            at,
            accepted: false,
        });
        Some(arrivals.len() - 1)
    }

    fn accept(&self, index: Option<usize>) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        if let Some(index) = index
            && let Some(arrival) = self.lock().get_mut(index)
        {
            arrival.accepted = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arrival>> {
        let arrivals = self.arrivals.lock();
        arrivals.unwrap_or_else(PoisonError::into_inner)
    }
}
