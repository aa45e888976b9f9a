//! Proven callers whose reports are rejected, beside those whose reports are taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use super::{pause, settle};
use crate::Stage;
use crate::connection::Connection;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::report::head;
use crate::store::Store;

/// Good reports a second.
const GOOD_RATE: u32 = 400;

/// Clients whose reports are rejected, and how long each waits between two.
const REJECTED_CLIENTS: usize = 16;
const REJECTED_INTERVAL: Duration = Duration::from_millis(20);

/// Some 700 rejected reports a second beside good ones.
pub fn rejections(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let mut load = Load::on(home.public());
    load.connections = 16;
    load.rate = Some(GOOD_RATE);
    let load = load.start();
    pause(1.0);
    let alone_from = load.elapsed();
    pause(5.0);
    let alone_to = load.elapsed();
    let flood = Flood::start(home.public());
    pause(1.0);
    let beside_from = load.elapsed();
    pause(8.0);
    let beside_to = load.elapsed();
    let rejected = flood.stop()?;
    let ledger = load.stop()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    let alone = median(&ledger, alone_from, alone_to);
    let beside = median(&ledger, beside_from, beside_to);
    let rate = ledger.rate(beside_from, beside_to) / f64::from(GOOD_RATE);
    finding.note(format!(
        "{rejected} rejected; p50 of good reports {:.1} ms, {:.1} ms without; {:.0} % of their rate",
        milliseconds(beside),
        milliseconds(alone),
        100.0 * rate
    ));
    finding.expect(rejected > 1_000, "too few were rejected");
    finding.expect_in_time(
        beside <= alone * 2 + Duration::from_millis(5),
        "rejections held good reports up",
    );
    finding.expect_in_time(rate >= 0.8, "good traffic was held up");
    finding.expect_all_taken_within(Duration::from_secs(2));
    Ok(finding)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The median time that answers took in a part of a load.
fn median(ledger: &Ledger, from: Duration, to: Duration) -> Duration {
    let within = ledger
        .answered(204)
        .filter(|entry| entry.sent >= from && entry.sent < to);
    let mut took: Vec<_> = within.map(|entry| entry.took).collect();
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}

/// Clients with the right password whose reports have no message id.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64>>,
}

impl Flood {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let rejected = Arc::new(AtomicU64::new(0));
            runtime.block_on(async {
                let mut clients = JoinSet::new();
                for _ in 0..REJECTED_CLIENTS {
                    clients.spawn(client(address, Arc::clone(&stopped), Arc::clone(&rejected)));
                }
                while let Some(client) = clients.join_next().await {
                    client??;
                }
                anyhow::Ok(())
            })?;
            Ok(rejected.load(Ordering::Relaxed))
        });
        Self { stop, thread }
    }

    /// How many reports were rejected.
    fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok().context("the flood died")?
    }
}

async fn client(
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    rejected: Arc<AtomicU64>,
) -> Result<()> {
    let form = "MessageStatus=sent&To=whatsapp:15550100001&From=whatsapp:15550109001";
    let request = head(address, bench::PASSWORD).with_body(form);
    let mut connection = Connection::open(address).await?;
    while !stop.load(Ordering::Relaxed) {
        let answer = connection.exchange(&request).await?;
        if answer.status == 400 {
            rejected.fetch_add(1, Ordering::Relaxed);
        }
        if answer.closes {
            connection = Connection::open(address).await?;
        }
        tokio::time::sleep(REJECTED_INTERVAL).await;
    }
    Ok(())
}
