//! A proxy between receiver and database that delays or holds back what it passes on.

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

use crate::wait::runtime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    Pass,
    /// Responses of the database are delayed.
    Delay(Duration),
    /// Nothing is passed on in either direction and nothing is closed, as in a network that drops
    /// packets. Held data is passed on afterwards.
    Silent,
}

/// Its connections are closed when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    rule: Option<watch::Sender<Rule>>,
    /// The number of connections so far.
    count: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy)]
struct Rule {
    /// Where new connections go.
    server: SocketAddr,
    mode: ProxyMode,
    /// Connections with lower numbers stay silent permanently.
    abandoned: u64,
}

impl Rule {
    fn is_silent(&self, connection: u64) -> bool {
        self.mode == ProxyMode::Silent || connection < self.abandoned
    }
}

impl Proxy {
    pub fn start(server: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (rule, current) = watch::channel(Rule {
            server,
            mode: ProxyMode::Pass,
            abandoned: 0,
        });
        let count = Arc::new(AtomicU64::new(0));
        let runtime = runtime()?;
        let thread = thread::spawn({
            let count = Arc::clone(&count);
            move || {
                // If the proxy fails, the database appears to be unavailable.
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

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, mode: ProxyMode) {
        if let Some(rule) = &self.rule {
            rule.send_modify(|rule| rule.mode = mode);
        }
    }

    /// Passes new connections on to another server; open ones stay connected.
    pub fn redirect(&self, server: SocketAddr) {
        if let Some(rule) = &self.rule {
            rule.send_modify(|rule| rule.server = server);
        }
    }

    /// Silences all open connections permanently without closing them, like a firewall that lost
    /// its table. New ones are passed on.
    pub fn abandon_connections(&self) {
        let abandoned = self.count.load(Ordering::Relaxed);
        if let Some(rule) = &self.rule {
            rule.send_modify(|rule| rule.abandoned = abandoned);
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
            // The proxy was dropped.
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
    // When one direction ends, the other is closed.
    tokio::select! {
        ended = pump(from_client, to_server, number, rule.clone(), |_| Duration::ZERO) => ended,
        ended = pump(from_server, to_client, number, rule, response_delay) => ended,
    }
}

const fn response_delay(mode: ProxyMode) -> Duration {
    match mode {
        ProxyMode::Delay(delay) => delay,
        ProxyMode::Pass | ProxyMode::Silent => Duration::ZERO,
    }
}

/// Copies bytes from one side to the other, all with the same delay: it reads on while bytes wait.
fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    number: u64,
    mut rule: watch::Receiver<Rule>,
    delay: fn(ProxyMode) -> Duration,
) -> impl Future<Output = io::Result<()>> {
    let (held, mut ready) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let current = rule.clone();
    let reading = async move {
        loop {
            let mut bytes = Vec::with_capacity(16 * 1024);
            if from.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
            let due = Instant::now() + delay(current.borrow().mode);
            if held.send((due, bytes)).is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = ready.recv().await {
            tokio::time::sleep_until(due.into()).await;
            let passes = rule.wait_for(|rule| !rule.is_silent(number)).await;
            passes.map_err(io::Error::other)?;
            to.write_all(&bytes).await?;
        }
        Ok(())
    };
    async move {
        let both: io::Result<((), ())> = async { tokio::try_join!(reading, writing) }.await;
        both.map(drop)
    }
}
