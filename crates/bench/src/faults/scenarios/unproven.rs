//! Many clients that have no credentials, beside those that have.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bench::PATH;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::clients::{RATE, good_traffic};
use super::{pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::receiver::Receiver;
use crate::store::Store;

/// For how long the clients hold what they can.
const LASTING: Duration = Duration::from_secs(14);

/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(2);

/// What one kind of client sends on its connection, and whether it reads what is answered.
struct Client {
    sends: Vec<u8>,
    reads: bool,
}

/// More connections than the receiver holds, each with one report without credentials.
pub fn connections(stage: &Stage) -> Result<Finding> {
    let challenged = Client {
        sends: format!(
            "POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\
             \r\nContent-Length: 2\r\n\r\nA="
        )
        .into_bytes(),
        reads: true,
    };
    played(stage, RuntimeHandle::public, 9_000, vec![challenged], 160)
}

/// More connections than the operator's listener holds: silent ones, ones with a byte of a
/// second request, and ones that ask for much and read nothing.
pub fn operator(stage: &Stage) -> Result<Finding> {
    let silent = Client {
        sends: Vec::new(),
        reads: true,
    };
    let stuck = Client {
        sends: b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nG".to_vec(),
        reads: true,
    };
    let deaf = Client {
        sends: b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(50),
        reads: false,
    };
    played(
        stage,
        RuntimeHandle::operator,
        1_200,
        vec![silent, stuck, deaf],
        160,
    )
}

/// Many heads that do not end, long ones and those that are as long as they may be.
pub fn heads(stage: &Stage) -> Result<Finding> {
    let of = |length: usize| Client {
        sends: [b"POST / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; length]].concat(),
        reads: true,
    };
    played(
        stage,
        RuntimeHandle::public,
        4_000,
        vec![of(15_000), of(130_000)],
        192,
    )
}

/// Good traffic and probes while `count` clients hold what they can; memory may grow by so
/// many MiB.
fn played(
    stage: &Stage,
    listener: fn(&RuntimeHandle) -> SocketAddr,
    count: usize,
    clients: Vec<Client>,
    may_grow: u64,
) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let memory = receiver.memory()?;
    let crowd = hold(listener(&home), count, clients);
    pause(3.0);
    // Its connections are made when all are taken.
    let load = good_traffic(&home).start();
    pause(1.0);
    let began = load.elapsed();
    let (slowest, most) = probe(&receiver, Duration::from_secs(8))?;
    let ended = load.elapsed();
    crowd.join().ok().context("the clients died")??;
    let ledger = load.stop()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    let meanwhile = ledger.rate(began, ended) / f64::from(RATE);
    let grown = most.saturating_sub(memory) / 1024 / 1024;
    finding.note(format!(
        "{:.0} % of good traffic meanwhile; slowest probe {slowest:.1?}; memory + {grown} MiB",
        100.0 * meanwhile
    ));
    finding.expect_in_time(meanwhile >= 0.8, "good traffic was held up");
    finding.expect_in_time(slowest <= PROBE, "a probe waited");
    finding.expect(grown <= may_grow, "memory grew");
    Ok(finding)
}

/// Asks for readiness again and again; the slowest answer, and the most memory.
fn probe(receiver: &Receiver<'_>, lasting: Duration) -> Result<(Duration, u64)> {
    let (began, mut slowest, mut most) = (Instant::now(), Duration::ZERO, 0);
    while began.elapsed() < lasting {
        let asked = Instant::now();
        // A probe that is not answered at all waits for longer than it may.
        let (status, _) = receiver.health().unwrap_or_default();
        let took = if status == 200 {
            asked.elapsed()
        } else {
            asked.elapsed().max(PROBE * 2)
        };
        slowest = slowest.max(took);
        most = most.max(receiver.memory()?);
        pause(0.2);
    }
    Ok((slowest, most))
}

/// So many clients, the kinds in turn, each until it is closed or the time is over.
fn hold(address: SocketAddr, count: usize, clients: Vec<Client>) -> JoinHandle<Result<()>> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let ends = Instant::now() + LASTING;
        runtime.block_on(async {
            let mut all = JoinSet::new();
            for client in clients.iter().cycle().take(count) {
                let (sends, reads) = (client.sends.clone(), client.reads);
                all.spawn(async move {
                    let held = client_holds(address, &sends, reads);
                    // What becomes of one of them does not matter.
                    let _ = tokio::time::timeout_at(ends.into(), held).await;
                });
            }
            while all.join_next().await.is_some() {}
        });
        Ok(())
    })
}

async fn client_holds(address: SocketAddr, sends: &[u8], reads: bool) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(sends).await?;
    if !reads {
        std::future::pending::<()>().await;
    }
    let mut answer = [0; 1024];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}
