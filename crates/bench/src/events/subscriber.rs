//! A subscriber: takes events as fast as they come, notes which came when, and
//! can be told to be in a bad way.

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

use super::request::Requests;
use super::{Event, read};
use crate::receiver::free_address;

/// How a subscriber meets events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It takes them.
    Takes,
    /// It takes them after a while, of up to this length, and so in another
    /// order; but not if the caller is gone by then.
    TakesLate(Duration),
    /// It answers 500 to one in so many, and takes the others.
    FailsOneIn(u64),
    /// It reads them and answers nothing.
    Hangs,
    /// Nobody listens.
    Away,
}

/// An event that came.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The event.
    pub event: Event,
    /// When its request was read.
    pub at: Instant,
    /// Whether it was taken, by an answer of 204.
    pub taken: bool,
}

/// A subscriber with a thread of its own. It is gone when it is dropped.
pub struct Subscriber {
    address: SocketAddr,
    manner: Option<watch::Sender<Manner>>,
    noted: Arc<Noted>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Noted {
    /// Whether arrivals are kept, or only counted.
    keeps: bool,
    requests: AtomicU64,
    taken: AtomicU64,
    /// Requests that were no event, or whose `webhook-id` was not the event's.
    strange: AtomicU64,
    arrivals: Mutex<Vec<Arrival>>,
}

impl Subscriber {
    /// One that keeps what came.
    pub fn start() -> Result<Self> {
        Self::with(true)
    }

    /// One that only counts, for a third of the cost.
    pub fn counting() -> Result<Self> {
        Self::with(false)
    }

    fn with(keeps: bool) -> Result<Self> {
        // Below the ports of outgoing connections: it stays free while nobody listens.
        let address = free_address()?;
        let (manner, current) = watch::channel(Manner::Takes);
        let noted = Arc::new(Noted {
            keeps,
            ..Noted::default()
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let thread = thread::spawn({
            let noted = Arc::clone(&noted);
            move || {
                // One that fails shows as events that were not told.
                let _ = runtime.block_on(serve(listener, address, current, &noted));
            }
        });
        Ok(Self {
            address,
            manner: Some(manner),
            noted,
            thread: Some(thread),
        })
    }

    /// The URL that events are sent to.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// From now on it meets events in this manner.
    pub fn set(&self, manner: Manner) {
        if let Some(current) = &self.manner {
            current.send_replace(manner);
        }
    }

    /// How many events it has taken, repetitions too.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.noted.taken.load(Ordering::Relaxed)
    }

    /// How many requests came that were no event, or another than they said.
    #[must_use]
    pub fn strange(&self) -> u64 {
        self.noted.strange.load(Ordering::Relaxed)
    }

    /// What came so far, in this order.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.noted.lock().clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.manner = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    mut manner: watch::Receiver<Manner>,
    noted: &Arc<Noted>,
) -> io::Result<()> {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if *manner.borrow_and_update() == Manner::Away {
            listener = None;
            connections.shutdown().await;
            if manner.changed().await.is_err() {
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
                connections.spawn(connection(stream, manner.clone(), Arc::clone(noted)));
            }
            changed = manner.changed() => {
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
    mut manner: watch::Receiver<Manner>,
    noted: Arc<Noted>,
) -> io::Result<()> {
    let mut requests = Requests::new();
    while let Some(request) = requests.next(&mut stream).await? {
        let number = noted.requests.fetch_add(1, Ordering::Relaxed);
        let place = noted.keep(request.id, request.body);
        let mut more = [0; 64];
        let current = *manner.borrow_and_update();
        match current {
            Manner::TakesLate(longest) => {
                let thousandths = number.wrapping_mul(2_654_435_761) % 1_000;
                let pause = longest * u32::try_from(thousandths).unwrap_or_default() / 1_000;
                // One request at a time: what is read is the end.
                if timeout(pause, stream.read(&mut more)).await.is_ok() {
                    return Ok(());
                }
            }
            Manner::FailsOneIn(many) if number.is_multiple_of(many) => {
                stream.write_all(FAILED).await?;
                continue;
            }
            Manner::FailsOneIn(_) | Manner::Takes => {}
            Manner::Hangs | Manner::Away => {
                // Until the caller has waited enough, or we have.
                tokio::select! {
                    read = stream.read(&mut more) => drop(read),
                    _ = manner.changed() => {}
                }
                return Ok(());
            }
        }
        noted.take(place);
        stream.write_all(TAKEN).await?;
    }
    Ok(())
}

const TAKEN: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const FAILED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";

impl Noted {
    /// Notes that an event has come, and where that stands.
    fn keep(&self, id: &str, body: &[u8]) -> Option<usize> {
        if !self.keeps {
            return None;
        }
        let at = Instant::now();
        let event = read(body).ok();
        let Some(event) = event.filter(|event| event.id.to_string() == id) else {
            self.strange.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let mut arrivals = self.lock();
        arrivals.push(Arrival {
            event,
            at,
            taken: false,
        });
        Some(arrivals.len() - 1)
    }

    /// Notes that it is taken.
    fn take(&self, place: Option<usize>) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        if let Some(place) = place
            && let Some(arrival) = self.lock().get_mut(place)
        {
            arrival.taken = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arrival>> {
        let arrivals = self.arrivals.lock();
        arrivals.unwrap_or_else(PoisonError::into_inner)
    }
}
