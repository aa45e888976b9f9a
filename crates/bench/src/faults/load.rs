//! A load that sends reports on some connections, one after the other on each, and records how
//! each was answered.
//!
//! After a lost connection it opens another one and sends the *next* report: it is unknown whether
//! the unanswered one was processed, so nothing is expected of it.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use traffic::integrator::Integrator;

use super::ledger::{Exchange, Ledger};
use super::report::{batch, body};
use crate::connection::LoadConnection;
use crate::wait::{runtime, until};
use crate::{PASSWORD, head_of};

const RECONNECT_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Clone, Debug)]
pub struct RecordedLoad {
    /// Connections are spread evenly over these.
    pub receivers: Vec<SocketAddr>,
    pub connections: usize,
    /// Whose reports they are.
    pub integrator: Integrator,
    /// Reports per request.
    pub batch: u64,
    /// Requests per second of all connections together; `None` sends as fast as responses arrive.
    pub rate: Option<u32>,
    /// The largest number of reports to send.
    pub reports: u64,
    /// Distinguishes the messages of this load from those of others.
    pub stream: u64,
    pub password: &'static str,
    /// Sends a request that was not answered with success again, until it is. It closes the
    /// connection if it is not answered in time, and then waits twice as long the next time, so
    /// that in the end a slow machine has answered everything.
    pub redelivers_after: Option<Duration>,
    /// The number of a report, and what is appended to its form.
    pub special: Option<(u64, String)>,
}

pub struct RunningLoad {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<Ledger>>,
}

struct Shared {
    load: RecordedLoad,
    began: Instant,
    stop: AtomicBool,
    next: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
}

impl RecordedLoad {
    /// Somewhat more than one busy sender: 2,000 reports per second.
    pub fn on(receiver: SocketAddr) -> Self {
        Self {
            receivers: vec![receiver],
            integrator: Integrator::Twilio,
            batch: 1,
            connections: 32,
            rate: Some(2_000),
            reports: 1_000_000,
            stream: 1,
            password: PASSWORD,
            redelivers_after: None,
            special: None,
        }
    }

    /// Batches of Infobip's: 4,000 reports per second.
    pub fn of_batches(receiver: SocketAddr) -> Self {
        Self {
            integrator: Integrator::Infobip,
            batch: 100,
            connections: 8,
            rate: Some(40),
            ..Self::on(receiver)
        }
    }

    /// As many reports as `connections` can send.
    pub fn at_saturation(receiver: SocketAddr, connections: usize) -> Self {
        Self {
            connections,
            rate: None,
            ..Self::on(receiver)
        }
    }

    pub fn start(self) -> RunningLoad {
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
        RunningLoad { shared, thread }
    }

    /// Sends all reports and waits for the responses.
    pub fn run(self) -> Result<Ledger> {
        self.start().finish()
    }
}

impl RunningLoad {
    pub fn elapsed(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// Returns whether all reports were sent.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Returns the number of requests that were accepted so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more were answered 204. Returns `false` after a minute.
    pub fn until_acknowledged(&self, more: u64) -> bool {
        until_grown(&self.shared.acknowledged, more)
    }

    /// Waits until one more was refused. Returns `false` after a minute.
    pub fn until_refused(&self) -> bool {
        until_grown(&self.shared.refused, 1)
    }

    /// Stops the load after the requests in flight.
    pub fn stop(self) -> Result<Ledger> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until all reports were sent.
    pub fn finish(self) -> Result<Ledger> {
        let ended = self.thread.join().ok();
        ended.context("the thread of the load panicked")?
    }
}

fn until_grown(counter: &AtomicU64, more: u64) -> bool {
    let wanted = counter.load(Ordering::Relaxed) + more;
    until(Duration::from_mins(1), Duration::from_millis(10), || {
        counter.load(Ordering::Relaxed) >= wanted
    })
}

fn run(shared: &Arc<Shared>) -> Result<Ledger> {
    runtime()?.block_on(async {
        let mut connections = JoinSet::new();
        for index in 0..shared.load.connections {
            connections.spawn(connection(Arc::clone(shared), index));
        }
        let mut ledger = Ledger::default();
        while let Some(exchanges) = connections.join_next().await {
            ledger.exchanges.extend(exchanges?);
        }
        Ok(ledger)
    })
}

/// How often the time that a request waits for its answer is doubled.
const MAX_DOUBLINGS: u32 = 10;

async fn connection(shared: Arc<Shared>, index: usize) -> Vec<Exchange> {
    let load = &shared.load;
    let mut exchanges = Vec::new();
    let Some(receiver) = load.receivers.iter().cycle().nth(index).copied() else {
        return exchanges;
    };
    let head = head_of(load.integrator, receiver, Some(load.password));
    let mut open = None;
    let mut due = Instant::now();
    let mut pending = None;
    while !shared.stop.load(Ordering::Relaxed) {
        let Some(connection) = &mut open else {
            match LoadConnection::open(receiver).await {
                Ok(connection) => open = Some(connection),
                Err(_) => tokio::time::sleep(RECONNECT_INTERVAL).await,
            }
            continue;
        };
        if let Some(interval) = load.interval() {
            tokio::time::sleep_until(due.into()).await;
            // Missed reports are not sent later.
            due = due.max(Instant::now()) + interval;
        }
        if connection.is_closed() {
            open = None;
            continue;
        }
        let (first, attempt) = pending.take().unwrap_or_else(|| {
            let first = shared.next.fetch_add(load.batch, Ordering::Relaxed);
            (first, 0)
        });
        if first >= load.reports {
            break;
        }
        let numbers = first..first + load.batch;
        let request = head.with_body(&load.body(numbers.clone()));
        let sent = Instant::now();
        let response = connection.exchange(&request);
        let response = match load.redelivers_after {
            Some(limit) => {
                let limit = limit * 2_u32.pow(attempt.min(MAX_DOUBLINGS));
                tokio::time::timeout(limit, response).await.ok()
            }
            None => Some(response.await),
        };
        let response = response.and_then(Result::ok);
        let status = response.map(|response| response.status);
        let is_accepted = status == Some(load.integrator.success());
        let status = if is_accepted { Some(204) } else { status };
        exchanges.extend(numbers.map(|number| Exchange {
            integrator: load.integrator,
            stream: load.stream,
            number,
            sent: sent.duration_since(shared.began),
            took: sent.elapsed(),
            status,
        }));
        if !is_accepted && load.redelivers_after.is_some() {
            pending = Some((first, attempt + 1));
        }
        match status {
            Some(204) => shared.acknowledged.fetch_add(1, Ordering::Relaxed),
            Some(_) => shared.refused.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
        if response.is_none_or(|response| response.closes) {
            open = None;
        }
    }
    exchanges
}

impl RecordedLoad {
    /// Returns the time between two reports of one connection.
    fn interval(&self) -> Option<Duration> {
        let connections = u32::try_from(self.connections).unwrap_or(u32::MAX);
        Some(Duration::from_secs(1) * connections / self.rate?.max(1))
    }

    fn body(&self, numbers: Range<u64>) -> String {
        if self.integrator != Integrator::Twilio {
            return batch(self.integrator, self.stream, numbers);
        }
        let number = numbers.start;
        let mut body = body(self.stream, number);
        if let Some((special, more)) = &self.special
            && *special == number
        {
            body += more;
        }
        body
    }
}
