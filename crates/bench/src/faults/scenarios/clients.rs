//! Clients that misbehave, beside others whose traffic must not suffer.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::join;
use crate::connection::LoadConnection;
use crate::faults::ledger::Ledger;
use crate::faults::load::RecordedLoad;
use crate::faults::trial::{Trial, TrialOptions, pause};
use crate::faults::verdict::Verdict;
use crate::installation::Installation;
use crate::receiver::Receiver;
use crate::wait::runtime;
use crate::{PASSWORD, PATH, WRONG_PASSWORD, report_head};

/// Reports of good clients per second.
const GOOD_RATE: u32 = 400;

/// A request may take 10 s to arrive, and a connection 3 s to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(16);

fn good_load(trial: &Trial) -> RecordedLoad {
    RecordedLoad {
        connections: 16,
        rate: Some(GOOD_RATE),
        ..trial.load()
    }
}

/// Expects that good clients kept at least this part of their rate. Returns the percentage.
fn expect_good_traffic(
    verdict: &mut Verdict,
    ledger: &Ledger,
    window: &Range<Duration>,
    at_least: f64,
) -> String {
    let kept = ledger.rate(window) / f64::from(GOOD_RATE);
    verdict.expect_in_time(kept >= at_least, "good traffic was held up");
    format!("{:.0} % of good traffic", 100.0 * kept)
}

/// 500 clients send half of a head or half of a body. Some go on with a byte per second.
pub fn slow(options: &TrialOptions) -> Result<Verdict> {
    const COUNT: usize = 500;
    let mut trial = Trial::start(options)?;
    let load = good_load(&trial).start();
    pause(2.0);
    let began = load.elapsed();
    let slow = SlowClients::start(trial.installation.public, COUNT).finish()?;
    let window = began..load.elapsed();
    pause(1.0);
    let ledger = load.stop()?;
    let mut verdict = trial.settle(&ledger)?;
    let good = expect_good_traffic(&mut verdict, &ledger, &window, 0.95);
    verdict.note(format!(
        "{good} meanwhile; slow ones closed after {:.1?}",
        slow.longest
    ));
    verdict.expect(slow.closed == COUNT, format!("{} were closed", slow.closed));
    verdict.expect_in_time(slow.longest <= CLOSE_LIMIT, "that is too long");
    verdict.expect_all_accepted_within(Duration::from_secs(2));
    Ok(verdict)
}

/// Clients that never finish their requests.
pub struct SlowClients(JoinHandle<Result<ClosedClients>>);

#[derive(Default)]
pub struct ClosedClients {
    /// How many connections the receiver closed.
    pub closed: usize,
    /// The longest time until it did.
    pub longest: Duration,
}

impl SlowClients {
    pub fn start(address: SocketAddr, count: usize) -> Self {
        Self(thread::spawn(move || {
            runtime()?.block_on(async {
                let mut clients = JoinSet::new();
                for number in 0..count {
                    clients.spawn(slow_client(address, number % 2 == 0, number % 4 < 2));
                }
                let mut all = ClosedClients::default();
                while let Some(client) = clients.join_next().await {
                    if let Some(after) = client?? {
                        all.closed += 1;
                        all.longest = all.longest.max(after);
                    }
                }
                Ok(all)
            })
        }))
    }

    /// Waits until all are closed.
    pub fn finish(self) -> Result<ClosedClients> {
        join(self.0)
    }
}

/// When the receiver closed the connection; `None` if it did not.
async fn slow_client(
    address: SocketAddr,
    in_body: bool,
    trickles: bool,
) -> Result<Option<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    let began = Instant::now();
    let head = report_head(address, Some(PASSWORD)).text(300, "");
    let half = head.get(..if in_body { head.len() } else { head.len() / 2 });
    let half = half.unwrap_or_default();
    stream.write_all(half.as_bytes()).await?;
    let mut response = [0; 1024];
    while began.elapsed() < CLOSE_LIMIT * 2 {
        let reading = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut response));
        match reading.await {
            // Closed or reset, after a response or without.
            Ok(Ok(0) | Err(_)) => return Ok(Some(began.elapsed())),
            Err(_elapsed) if trickles => {
                // The next read notices if the connection is closed.
                let _ = stream.write_all(b"x").await;
            }
            Ok(Ok(_)) | Err(_) => {}
        }
    }
    Ok(None)
}

/// As many wrong passwords as 64 connections can send.
pub fn wrong_passwords(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let load = good_load(&trial).start();
    pause(5.0);
    let memory = trial.receiver.memory()?;
    let began = load.elapsed();
    let guessing = RecordedLoad {
        password: WRONG_PASSWORD,
        ..trial.saturating_load(64)
    };
    let guessing = guessing.start();
    let most = most_memory(&trial.receiver, 50, 0.2)?;
    let window = began..load.elapsed();
    let guesses = guessing.stop()?;
    let ledger = load.stop()?;
    let mut verdict = trial.settle(&ledger)?;
    let refused = guesses.answered(401).count();
    let grown = most.saturating_sub(memory) / 1024;
    let good = expect_good_traffic(&mut verdict, &ledger, &window, 0.8);
    verdict.note(format!(
        "{refused} wrong passwords; {good} meanwhile; memory + {grown} KiB"
    ));
    verdict.expect(
        refused > 0 && refused == guesses.exchanges.len(),
        "wrong passwords were not answered with 401",
    );
    verdict.expect(grown <= 16 * 1024, "memory grew");
    verdict.expect_all_accepted_within(Duration::from_secs(2));
    Ok(verdict)
}

/// The largest of so many measurements of a receiver's memory.
pub fn most_memory(receiver: &Receiver, times: usize, interval: f32) -> Result<u64> {
    let mut most = 0;
    for _ in 0..times {
        pause(interval);
        most = most.max(receiver.memory()?);
    }
    Ok(most)
}

/// Clients with the right password send some 700 invalid reports per second.
pub fn rejected(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let load = good_load(&trial).start();
    let window = |before, length| {
        pause(before);
        let began = load.elapsed();
        pause(length);
        began..load.elapsed()
    };
    let alone = window(1.0, 5.0);
    let stop = Arc::new(AtomicBool::new(false));
    let invalid = thread::spawn({
        let (address, stop) = (trial.installation.public, Arc::clone(&stop));
        move || send_invalid_reports(address, &stop)
    });
    let beside = window(1.0, 8.0);
    stop.store(true, Ordering::Relaxed);
    let rejected = join(invalid)?;
    let ledger = load.stop()?;
    let mut verdict = trial.settle(&ledger)?;
    let (p50_alone, p50_beside) = (ledger.median(&alone), ledger.median(&beside));
    let good = expect_good_traffic(&mut verdict, &ledger, &beside, 0.8);
    verdict.note(format!(
        "{rejected} rejected; p50 of good reports {p50_beside:.1?}, {p50_alone:.1?} without; {good}"
    ));
    verdict.expect(rejected > 1_000, "too few were rejected");
    verdict.expect_in_time(
        p50_beside <= p50_alone * 2 + Duration::from_millis(5),
        "rejections held good reports up",
    );
    verdict.expect_all_accepted_within(Duration::from_secs(2));
    Ok(verdict)
}

/// Sends reports without a message id from 16 clients. Returns how many were rejected.
fn send_invalid_reports(address: SocketAddr, stop: &Arc<AtomicBool>) -> Result<u64> {
    const CLIENTS: usize = 16;
    const INTERVAL: Duration = Duration::from_millis(20);
    const FORM: &str = "MessageStatus=sent&To=whatsapp:15550100001&From=whatsapp:15550109001";
    let client = |stop: Arc<AtomicBool>| async move {
        let request = report_head(address, Some(PASSWORD)).with_body(FORM);
        let mut connection = LoadConnection::open(address).await?;
        let mut rejected = 0;
        while !stop.load(Ordering::Relaxed) {
            let response = connection.exchange(&request).await?;
            rejected += u64::from(response.status == 400);
            if response.closes {
                connection = LoadConnection::open(address).await?;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        anyhow::Ok(rejected)
    };
    runtime()?.block_on(async {
        let clients = (0..CLIENTS).map(|_| client(Arc::clone(stop)));
        let mut clients: JoinSet<_> = clients.collect();
        let mut rejected = 0;
        while let Some(client) = clients.join_next().await {
            rejected += client??;
        }
        Ok(rejected)
    })
}

/// What one kind of client without credentials sends, and whether it reads the response.
struct Client {
    sends: Vec<u8>,
    reads: bool,
}

impl Client {
    fn new(sends: impl Into<Vec<u8>>) -> Self {
        Self {
            sends: sends.into(),
            reads: true,
        }
    }
}

/// More connections than the receiver accepts, each with one report without credentials.
pub fn unauthenticated(options: &TrialOptions) -> Result<Verdict> {
    let challenged = Client::new(format!(
        "POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\
         \r\nContent-Length: 2\r\n\r\nA="
    ));
    beside_occupants(options, |it| it.public, 9_000, vec![challenged], 160)
}

/// More connections than the operator's listener accepts: silent ones, ones with a byte of a second
/// request, and ones that request much and read nothing.
pub fn operators_listener(options: &TrialOptions) -> Result<Verdict> {
    let silent = Client::new("");
    let stuck = Client::new("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nG");
    let get = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let reads_nothing = Client {
        reads: false,
        ..Client::new(get.repeat(50))
    };
    let clients = vec![silent, stuck, reads_nothing];
    beside_occupants(options, |it| it.operator, 1_200, clients, 160)
}

/// Many heads that do not end: long ones, and ones of the maximum length.
pub fn endless_heads(options: &TrialOptions) -> Result<Verdict> {
    let head = |length| Client::new("POST / HTTP/1.1\r\nX: ".to_owned() + &"x".repeat(length));
    let clients = vec![head(15_000), head(130_000)];
    beside_occupants(options, |it| it.public, 4_000, clients, 192)
}

/// How long clients occupy their connections.
const OCCUPIED: Duration = Duration::from_secs(14);
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// Good traffic and probes while `count` clients occupy connections. Memory may grow by so many
/// MiB.
fn beside_occupants(
    options: &TrialOptions,
    listener: fn(&Installation) -> SocketAddr,
    count: usize,
    clients: Vec<Client>,
    growth_limit: u64,
) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let memory = trial.receiver.memory()?;
    let address = listener(&trial.installation);
    let occupants = thread::spawn(move || occupy(address, count, &clients));
    pause(3.0);
    // Good clients connect when all connections are occupied.
    let load = good_load(&trial).start();
    pause(1.0);
    let began = load.elapsed();
    let (slowest, most) = probe(&trial.receiver, Duration::from_secs(8))?;
    let window = began..load.elapsed();
    join(occupants)?;
    let ledger = load.stop()?;
    let mut verdict = trial.settle(&ledger)?;
    let grown = most.saturating_sub(memory) / 1024 / 1024;
    let good = expect_good_traffic(&mut verdict, &ledger, &window, 0.8);
    verdict.note(format!(
        "{good} meanwhile; slowest probe {slowest:.1?}; memory + {grown} MiB"
    ));
    verdict.expect_in_time(slowest <= PROBE_LIMIT, "a probe waited");
    verdict.expect(grown <= growth_limit, "memory grew");
    Ok(verdict)
}

/// Requests readiness repeatedly. Returns the slowest response and the largest memory.
fn probe(receiver: &Receiver, duration: Duration) -> Result<(Duration, u64)> {
    let (began, mut slowest, mut most) = (Instant::now(), Duration::ZERO, 0);
    while began.elapsed() < duration {
        let asked = Instant::now();
        let (status, _) = receiver.health().unwrap_or_default();
        // A probe without a good response counts as too slow.
        let least = if status == 200 {
            Duration::ZERO
        } else {
            PROBE_LIMIT * 2
        };
        slowest = slowest.max(asked.elapsed()).max(least);
        most = most.max(receiver.memory()?);
        pause(0.2);
    }
    Ok((slowest, most))
}

/// Connects `count` clients of these kinds in turn, until each is closed or the time is over.
fn occupy(address: SocketAddr, count: usize, clients: &[Client]) -> Result<()> {
    let ends = Instant::now() + OCCUPIED;
    runtime()?.block_on(async {
        let mut all = JoinSet::new();
        for client in clients.iter().cycle().take(count) {
            let occupied = occupy_one(address, client.sends.clone(), client.reads);
            // The result of a single client does not matter.
            all.spawn(tokio::time::timeout_at(ends.into(), occupied));
        }
        while all.join_next().await.is_some() {}
    });
    Ok(())
}

async fn occupy_one(address: SocketAddr, sends: Vec<u8>, reads: bool) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&sends).await?;
    if !reads {
        std::future::pending::<()>().await;
    }
    let mut response = [0; 1024];
    while stream.read(&mut response).await? > 0 {}
    Ok(())
}
