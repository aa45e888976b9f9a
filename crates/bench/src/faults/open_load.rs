//! A load that sends reports at a fixed rate, whether earlier ones were answered or not, each on a
//! connection without a request in flight.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use traffic::integrator::Integrator;

use super::ledger::{Exchange, Ledger};
use super::report::body;
use crate::connection::LoadConnection;
use crate::wait::runtime;
use crate::{PASSWORD, report_head};

/// How often the reports that are due are sent.
const TICK: Duration = Duration::from_millis(5);

const STREAM: u64 = 1;

#[derive(Clone, Copy, Debug)]
pub struct OpenLoad {
    pub receiver: SocketAddr,
    /// Reports per second.
    pub rate: u32,
    pub duration: Duration,
    /// The largest number of connections; with more requests in flight reports wait.
    pub connections: usize,
}

/// Connections without a request in flight.
type Idle = Arc<Mutex<Vec<LoadConnection>>>;

impl OpenLoad {
    /// Starts the load on a thread that returns the responses and the number of connections used.
    pub fn start(self) -> JoinHandle<Result<(Ledger, usize)>> {
        thread::spawn(move || runtime()?.block_on(self.run()))
    }

    async fn run(self) -> Result<(Ledger, usize)> {
        let (began, idle) = (Instant::now(), Idle::default());
        let (mut requests, mut ledger) = (JoinSet::new(), Ledger::default());
        let (mut next, mut most) = (0, 0);
        let mut ticks = tokio::time::interval(TICK);
        while began.elapsed() < self.duration {
            ticks.tick().await;
            let due = began.elapsed().as_secs_f64() * f64::from(self.rate);
            #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
            while (next as f64) < due && requests.len() < self.connections {
                requests.spawn(self.report(next, began, Arc::clone(&idle)));
                next += 1;
            }
            most = most.max(requests.len());
            while let Some(exchange) = requests.try_join_next() {
                ledger.exchanges.push(exchange?);
            }
        }
        while let Some(exchange) = requests.join_next().await {
            ledger.exchanges.push(exchange?);
        }
        Ok((ledger, most))
    }

    /// Sends one report. Its latency includes the time to open a connection.
    fn report(
        self,
        number: u64,
        began: Instant,
        idle: Idle,
    ) -> impl Future<Output = Exchange> + Send + 'static {
        let sent = Instant::now();
        async move {
            let request =
                report_head(self.receiver, Some(PASSWORD)).with_body(&body(STREAM, number));
            let status = exchange(self.receiver, &request, &idle).await.ok();
            Exchange {
                integrator: Integrator::Twilio,
                stream: STREAM,
                number,
                sent: sent.duration_since(began),
                took: sent.elapsed(),
                status,
            }
        }
    }
}

async fn exchange(receiver: SocketAddr, request: &[u8], idle: &Idle) -> Result<u16> {
    let pop = || idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut connection = loop {
        match pop() {
            Some(connection) if connection.is_closed() => {}
            Some(connection) => break connection,
            None => {
                break LoadConnection::open(receiver)
                    .await
                    .context("no connection")?;
            }
        }
    };
    let response = connection.exchange(request).await?;
    if !response.closes {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(connection);
    }
    Ok(response.status)
}
