//! A proxy between receiver and database that answers late, or not at all.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// How the proxy passes on what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once.
    Pass,
    /// What the database answers, so much later.
    Late(Duration),
    /// Not at all, in neither direction, and without closing anything: a
    /// network that swallows packets. What is held is passed on afterwards.
    Silent,
}

/// A proxy. Its connections are closed when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    rule: Option<watch::Sender<Rule>>,
    /// How many connections there have been.
    count: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy)]
struct Rule {
    /// Where new connections go.
    server: SocketAddr,
    manner: Manner,
    /// Connections before this one stay silent for good.
    forgotten: u64,
}

impl Rule {
    fn is_silent(&self, connection: u64) -> bool {
        self.manner == Manner::Silent || connection < self.forgotten
    }
}

impl Proxy {
    /// Starts one that passes on to `server`.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (rule, current) = watch::channel(Rule {
            server,
            manner: Manner::Pass,
            forgotten: 0,
        });
        let count = Arc::new(AtomicU64::new(0));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::spawn({
            let count = Arc::clone(&count);
            move || {
                // A proxy that fails shows as a database that is away.
                let _ = runtime.block_on(serve(listener, current, &count));
            }
        });
        Ok(Self {
            address,
            rule: Some(rule),
            count,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it passes on in this manner.
    pub fn set(&self, manner: Manner) {
        if let Some(rule) = &self.rule {
            rule.send_modify(|rule| rule.manner = manner);
        }
    }

    /// Passes new connections on to another server; those that are open stay where they are.
    pub fn redirect(&self, server: SocketAddr) {
        if let Some(rule) = &self.rule {
            rule.send_modify(|rule| rule.server = server);
        }
    }

    /// The connections there are say nothing more, and nobody tells either side:
    /// a firewall that has lost its table. New ones are passed on.
    pub fn forget(&self) {
        let forgotten = self.count.load(Ordering::Relaxed);
        if let Some(rule) = &self.rule {
            rule.send_modify(|rule| rule.forgotten = forgotten);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.rule = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    mut rule: watch::Receiver<Rule>,
    count: &AtomicU64,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (client, _) = accepted?;
                let number = count.fetch_add(1, Ordering::Relaxed);
                let server = rule.borrow().server;
                connections.spawn(connection(client, server, number, rule.clone()));
            }
            // There are no more rules: the proxy was dropped.
            changed = rule.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

async fn connection(
    client: TcpStream,
    server: SocketAddr,
    number: u64,
    rule: watch::Receiver<Rule>,
) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // When one direction has ended the other is closed with it.
    tokio::select! {
        ended = pump(from_client, to_server, number, rule.clone(), |_| Duration::ZERO) => ended,
        ended = pump(from_server, to_client, number, rule, late_by) => ended,
    }
}

const fn late_by(manner: Manner) -> Duration {
    match manner {
        Manner::Late(delay) => delay,
        Manner::Pass | Manner::Silent => Duration::ZERO,
    }
}

/// Carries bytes from one side to the other. All bytes are late by as much:
/// one waits while the next are read.
fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: u64,
    mut rule: watch::Receiver<Rule>,
    delay: fn(Manner) -> Duration,
) -> impl Future<Output = io::Result<()>> {
    let (held, mut ready) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let current = rule.clone();
    let reading = async move {
        loop {
            let mut bytes = Vec::with_capacity(16 * 1024);
            if from.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            let due = Instant::now() + delay(current.borrow().manner);
            if held.send((due, bytes)).is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = ready.recv().await {
            tokio::time::sleep_until(due.into()).await;
            let spoken = rule.wait_for(|rule| !rule.is_silent(number)).await;
            spoken.map_err(io::Error::other)?;
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    async move {
        let both: io::Result<((), ())> = async { tokio::try_join!(reading, writing) }.await;
        both.map(drop)
    }
}
