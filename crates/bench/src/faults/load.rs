//! Load: some connections that send one report after the other and note for
//! each how it was answered.
//!
//! A connection that is lost is made anew and sends the *next* report: nobody
//! knows what became of the one that was not answered, so nothing is expected
//! of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bench::PASSWORD;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::ledger::{Entry, Ledger};
use crate::report::{body, head};

/// How long to wait before knocking again at a receiver that is away.
const KNOCK_AGAIN: Duration = Duration::from_millis(10);

/// How much load, on whom.
#[derive(Clone, Debug)]
pub struct Load {
    /// The receivers; connections are spread over them.
    pub receivers: Vec<SocketAddr>,
    /// How many connections.
    pub connections: usize,
    /// Reports a second at most, all connections together; `None` sends as
    /// fast as the answers come.
    pub rate: Option<u32>,
    /// How many reports are sent at most.
    pub reports: u64,
    /// Tells the messages of one load from those of another.
    pub stream: u64,
    /// The password that is shown.
    pub password: &'static str,
    /// The report that gets these fields besides its own.
    pub special: Option<(u64, String)>,
}

/// Load that is being made.
pub struct Running {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Ledger>>,
}

struct Shared {
    load: Load,
    began: Instant,
    stop: AtomicBool,
    next: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

impl Load {
    /// What one busy sender makes, and some more.
    pub fn on(receiver: SocketAddr) -> Self {
        Self {
            receivers: vec![receiver],
            connections: 32,
            rate: Some(2_000),
            reports: 1_000_000,
            stream: 1,
            password: PASSWORD,
            special: None,
        }
    }

    /// As fast as the answers come.
    pub fn flood(receiver: SocketAddr, connections: usize) -> Self {
        Self {
            connections,
            rate: None,
            ..Self::on(receiver)
        }
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let shared = Arc::new(Shared {
            load: self,
            began: Instant::now(),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || run(&shared)
        });
        Running { shared, thread }
    }
}

impl Running {
    /// How long it has been going on.
    pub fn elapsed(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// How often it was answered 204 so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Goes on until so many more were answered 204, a minute at most; whether
    /// they were.
    pub fn until_taken(&self, more: u64) -> bool {
        Self::until(&self.shared.acknowledged, more)
    }

    /// Goes on until one more was refused, a minute at most; whether one was.
    pub fn until_refused(&self) -> bool {
        Self::until(&self.shared.refused, 1)
    }

    fn until(counter: &AtomicU64, more: u64) -> bool {
        let (began, wanted) = (Instant::now(), counter.load(Ordering::Relaxed) + more);
        while counter.load(Ordering::Relaxed) < wanted {
            if began.elapsed() > Duration::from_mins(1) {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Ends it when what is under way is answered.
    pub fn stop(self) -> Result<Ledger> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until all reports were sent.
    pub fn finish(self) -> Result<Ledger> {
        let ended = self.thread.join().ok();
        ended.context("the thread of the load died")?
    }
}

fn run(shared: &Arc<Shared>) -> Result<Ledger> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connections = JoinSet::new();
        for place in 0..shared.load.connections {
            connections.spawn(connection(Arc::clone(shared), place));
        }
        let mut ledger = Ledger::default();
        while let Some(entries) = connections.join_next().await {
            ledger.entries.extend(entries?);
        }
        Ok(ledger)
    })
}

async fn connection(shared: Arc<Shared>, place: usize) -> Vec<Entry> {
    let Some(receiver) = shared.load.receivers.iter().cycle().nth(place).copied() else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    let mut open = None;
    let mut due = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        let Some(connection) = &mut open else {
            match Connection::open(receiver).await {
                Ok(connection) => open = Some(connection),
                Err(_) => tokio::time::sleep(KNOCK_AGAIN).await,
            }
            continue;
        };
        if let Some(interval) = shared.interval() {
            tokio::time::sleep_until(due.into()).await;
            // What was missed is not made up for.
            due = due.max(Instant::now()) + interval;
        }
        if connection.is_closed() {
            open = None;
            continue;
        }
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number >= shared.load.reports {
            break;
        }
        let request = shared.request(receiver, number);
        let sent = Instant::now();
        let answer = connection.exchange(&request).await.ok();
        entries.push(Entry {
            stream: shared.load.stream,
            number,
            sent: sent.duration_since(shared.began),
            took: sent.elapsed(),
            status: answer.map(|answer| answer.status),
        });
        match answer.map(|answer| answer.status) {
            Some(204) => shared.acknowledged.fetch_add(1, Ordering::Relaxed),
            Some(_) => shared.refused.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
        if answer.is_none_or(|answer| answer.closes) {
            open = None;
        }
    }
    entries
}

impl Shared {
    /// How long one connection waits from one report to the next.
    fn interval(&self) -> Option<Duration> {
        let connections = u32::try_from(self.load.connections).unwrap_or(u32::MAX);
        Some(Duration::from_secs(1) * connections / self.load.rate?.max(1))
    }

    fn request(&self, receiver: SocketAddr, number: u64) -> Vec<u8> {
        let mut body = body(self.load.stream, number);
        if let Some((special, more)) = &self.load.special
            && *special == number
        {
            body += more;
        }
        head(receiver, self.load.password).with_body(&body)
    }
}
