//! Clients that do not mean well, beside those that do.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::report::head;
use crate::store::Store;

/// How many clients are slow.
const SLOW: usize = 500;

/// A request may take ten seconds to arrive, and a connection three to close.
const CLOSED: Duration = Duration::from_secs(16);

/// Half of a head, or half of a body, from each of many clients. Some of them
/// go on sending, a byte at a time.
pub fn slowloris(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = good_traffic(&home).start();
    pause(2.0);
    let (address, began) = (home.public(), load.elapsed());
    let slow = thread::spawn(move || slow_clients(address, SLOW));
    let slow = slow.join().ok().context("the slow clients died")??;
    let ended = load.elapsed();
    pause(1.0);
    let ledger = load.stop()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    let meanwhile = ledger.rate(began, ended) / f64::from(RATE);
    finding.note(format!(
        "{:.0} % of good traffic meanwhile; slow ones closed after {:.1?}",
        100.0 * meanwhile,
        slow.longest
    ));
    finding.expect_in_time(meanwhile >= 0.95, "good traffic was held up");
    finding.expect(slow.closed == SLOW, format!("{} were closed", slow.closed));
    finding.expect_in_time(slow.longest <= CLOSED, "that is too long");
    finding.expect_all_taken_within(Duration::from_secs(2));
    Ok(finding)
}

/// Reports of good clients a second.
pub const RATE: u32 = 400;

/// What they send, on a few connections.
pub fn good_traffic(home: &RuntimeHandle) -> Load {
    let mut load = Load::on(home.public());
    load.connections = 16;
    load.rate = Some(RATE);
    load
}

/// What became of slow clients.
pub struct Slow {
    /// How many were closed by the receiver.
    pub closed: usize,
    /// How long that took.
    pub longest: Duration,
}

/// So many slow clients at a time, until they are closed.
pub fn slow_clients(address: SocketAddr, count: usize) -> Result<Slow> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut clients = JoinSet::new();
        for number in 0..count {
            clients.spawn(slow_client(address, number % 2 == 0, number % 4 < 2));
        }
        let mut slow = Slow {
            closed: 0,
            longest: Duration::ZERO,
        };
        while let Some(client) = clients.join_next().await {
            if let Some(after) = client?? {
                slow.closed += 1;
                slow.longest = slow.longest.max(after);
            }
        }
        Ok(slow)
    })
}

/// When the receiver closed the connection; `None` if it did not.
async fn slow_client(
    address: SocketAddr,
    in_body: bool,
    trickles: bool,
) -> Result<Option<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    let began = Instant::now();
    let head = head(address, bench::PASSWORD).text(300, "");
    let half = head.get(..if in_body { head.len() } else { head.len() / 2 });
    stream
        .write_all(half.unwrap_or_default().as_bytes())
        .await?;
    let mut answer = [0; 1024];
    while began.elapsed() < CLOSED * 2 {
        let reading = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut answer));
        match reading.await {
            // Its end, or its being cut off, after an answer or without.
            Ok(Ok(0) | Err(_)) => return Ok(Some(began.elapsed())),
            Ok(Ok(_)) => {}
            Err(_elapsed) if trickles => {
                // A write to a closed connection shows in the next reading.
                let _ = stream.write_all(b"x").await;
            }
            Err(_elapsed) => {}
        }
    }
    Ok(None)
}

/// As many wrong passwords as 64 connections can send.
pub fn wrong_passwords(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = good_traffic(&home).start();
    pause(5.0);
    let memory = receiver.memory()?;
    let mut flood = Load::flood(home.public(), 64);
    flood.password = bench::WRONG_PASSWORD;
    let began = load.elapsed();
    let flood = flood.start();
    let mut most = memory;
    for _ in 0..50 {
        pause(0.2);
        most = most.max(receiver.memory()?);
    }
    let ended = load.elapsed();
    let guesses = flood.stop()?;
    let ledger = load.stop()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    let refused = guesses.answered(401).count();
    let meanwhile = ledger.rate(began, ended) / f64::from(RATE);
    let grown = most.saturating_sub(memory) / 1024;
    finding.note(format!(
        "{refused} wrong passwords; {:.0} % of good traffic meanwhile; memory + {grown} KiB",
        100.0 * meanwhile
    ));
    finding.expect(
        refused > 0 && refused == guesses.entries.len(),
        "wrong passwords were not answered with 401",
    );
    finding.expect_in_time(meanwhile >= 0.8, "good traffic was held up");
    finding.expect(grown <= 16 * 1024, "memory grew");
    finding.expect_all_taken_within(Duration::from_secs(2));
    Ok(finding)
}
