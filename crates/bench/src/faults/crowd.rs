//! Open load: reports come at their rate, whether those before were answered or
//! not, each on a connection on which nothing is under way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bench::PASSWORD;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::ledger::{Entry, Ledger};
use crate::report::{body, head};

/// How often those are sent that are due.
const TICK: Duration = Duration::from_millis(5);

/// Tells its messages from those of other loads.
const STREAM: u64 = 1;

/// How much load, on whom.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// The receiver.
    pub receiver: SocketAddr,
    /// Reports a second.
    pub rate: u32,
    /// For how long they come.
    pub lasting: Duration,
    /// On how many connections at most; beyond that a report waits for one.
    pub connections: usize,
}

/// A crowd that is on its way.
pub struct Running(JoinHandle<Result<(Ledger, usize)>>);

/// The connections on which nothing is under way.
type Idle = Arc<Mutex<Vec<Connection>>>;

impl Crowd {
    /// Starts it.
    pub fn start(self) -> Running {
        Running(thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build()?.block_on(self.run())
        }))
    }

    async fn run(self) -> Result<(Ledger, usize)> {
        let (began, idle) = (Instant::now(), Idle::default());
        let (mut requests, mut ledger) = (JoinSet::new(), Ledger::default());
        let (mut next, mut most) = (0, 0);
        let mut ticks = tokio::time::interval(TICK);
        while began.elapsed() < self.lasting {
            ticks.tick().await;
            let due = began.elapsed().as_secs_f64() * f64::from(self.rate);
            #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
            while (next as f64) < due && requests.len() < self.connections {
                requests.spawn(self.report(next, began, Arc::clone(&idle)));
                next += 1;
            }
            most = most.max(requests.len());
            while let Some(entry) = requests.try_join_next() {
                ledger.entries.push(entry?);
            }
        }
        while let Some(entry) = requests.join_next().await {
            ledger.entries.push(entry?);
        }
        Ok((ledger, most))
    }

    /// Sends one report; its time counts from now, also while it waits for a connection.
    fn report(
        self,
        number: u64,
        began: Instant,
        idle: Idle,
    ) -> impl Future<Output = Entry> + Send + 'static {
        let sent = Instant::now();
        async move {
            let request = head(self.receiver, PASSWORD).with_body(&body(STREAM, number));
            let status = exchange(self.receiver, &request, &idle).await;
            Entry {
                stream: STREAM,
                number,
                sent: sent.duration_since(began),
                took: sent.elapsed(),
                status,
            }
        }
    }
}

async fn exchange(receiver: SocketAddr, request: &[u8], idle: &Idle) -> Option<u16> {
    let mut connection = loop {
        let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match kept {
            Some(kept) if kept.is_closed() => {}
            Some(kept) => break kept,
            None => break Connection::open(receiver).await.ok()?,
        }
    };
    let answer = connection.exchange(request).await.ok()?;
    if !answer.closes {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(connection);
    }
    Some(answer.status)
}

impl Running {
    /// Waits until all are answered; what was answered, and on how many connections.
    pub fn finish(self) -> Result<(Ledger, usize)> {
        self.0.join().ok().context("the thread of the crowd died")?
    }
}
