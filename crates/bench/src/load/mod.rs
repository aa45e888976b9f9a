//! Load: many connections that send one report after the other, each as soon
//! as the one before it is answered, or at a fixed rate together.
//!
//! It speaks HTTP/1.1 by hand. Every instruction here is taken from the
//! processors that the program under test runs on.

mod connection;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use traffic::stream::{Pattern, Stream, StreamReport};

use crate::latencies::Latencies;

/// What every report is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is sent with credentials and expects 204.
    AtOnce,
    /// It is sent without, expects 401, and is sent again with credentials:
    /// what Twilio does.
    TwoSteps,
    /// It is sent without credentials and expects 401. Nothing more.
    ChallengeOnly,
    /// It is sent with a wrong password and expects 401. Nothing more.
    WrongPassword,
}

/// How much load, on whom.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The public listener.
    pub address: SocketAddr,
    /// What is expected of it.
    pub mode: Mode,
    /// How many connections.
    pub connections: usize,
    /// Reports per second, all connections together; `None` sends as fast as the
    /// answers come. Latencies are then taken from when a report was due.
    pub rate: Option<u32>,
    /// How long to run before anything is measured.
    pub warm_up: Duration,
    /// How long to measure.
    pub measured: Duration,
    /// So many reports are enough, in whatever time that takes.
    pub enough: Option<u64>,
    /// The reports to send.
    pub stream: Stream,
    /// Whether to note when each report was answered.
    pub keeps_answers: bool,
}

/// What came of a load.
#[derive(Debug, Default)]
pub struct Loaded {
    /// All reports that were answered 204, measured or not.
    pub taken: u64,
    /// Requests that were answered as expected while it was measured.
    pub requests: u64,
    /// Latencies of reports (of all their requests together) in that time.
    pub latencies: Latencies,
    /// When each report was answered in that time, if that is kept.
    pub answers: Vec<(StreamReport, Instant)>,
    /// How long that time was.
    pub window: Duration,
    /// Answers that were not expected.
    pub unexpected: BTreeMap<u16, u64>,
}

const WARM_UP: u8 = 0;
const MEASURED: u8 = 1;
const STOP: u8 = 2;

/// What all connections share.
struct Shared {
    load: Load,
    phase: AtomicU8,
    next: AtomicU64,
    began: Instant,
}

impl Load {
    /// A load at saturation from 256 connections, measured from its start for ten minutes at most.
    #[must_use]
    pub const fn new(address: SocketAddr, stream: u64) -> Self {
        Self {
            address,
            mode: Mode::AtOnce,
            connections: 256,
            rate: None,
            warm_up: Duration::ZERO,
            measured: Duration::from_mins(10),
            enough: None,
            stream: Stream {
                id: stream,
                pattern: Pattern::Orderly,
            },
            keeps_answers: false,
        }
    }

    /// Runs the load, and `probe` when the measured time begins and ends.
    pub fn run<T>(self, probe: impl Fn() -> T) -> Result<(Loaded, T, T)> {
        let shared = Arc::new(Shared {
            load: self,
            phase: AtomicU8::new(WARM_UP),
            next: AtomicU64::new(0),
            began: Instant::now(),
        });
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let threads = processors.min(self.connections).min(8);
        let threads: Vec<_> = (0..threads)
            .map(|first| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || share_of_connections(&shared, first, threads))
            })
            .collect();

        thread::sleep(self.warm_up);
        let before = probe();
        let began = Instant::now();
        let sent_before = shared.next.load(Ordering::Relaxed);
        shared.phase.store(MEASURED, Ordering::Relaxed);
        let is_enough = || {
            let sent = shared.next.load(Ordering::Relaxed) - sent_before;
            self.enough.is_some_and(|enough| sent >= enough)
        };
        let measuring = || self.measured.saturating_sub(began.elapsed());
        while !measuring().is_zero() && !is_enough() {
            thread::sleep(measuring().min(Duration::from_millis(10)));
        }
        shared.phase.store(STOP, Ordering::Relaxed);
        let window = began.elapsed();
        let after = probe();

        let mut loaded = Loaded {
            window,
            ..Loaded::default()
        };
        for thread in threads {
            let part = thread.join().ok().context("a thread of the load died")??;
            loaded.add(part);
        }
        ensure!(
            loaded.unexpected.is_empty(),
            "unexpected answers (status and how often): {:?}",
            loaded.unexpected
        );
        Ok((loaded, before, after))
    }
}

impl Loaded {
    fn add(&mut self, part: Self) {
        self.taken += part.taken;
        self.requests += part.requests;
        self.latencies.merge(&part.latencies);
        self.answers.extend(part.answers);
        for (status, count) in part.unexpected {
            *self.unexpected.entry(status).or_default() += count;
        }
    }

    /// Reports a second.
    #[must_use]
    pub fn reports_per_second(&self) -> f64 {
        per_second(self.latencies.count(), self.window)
    }

    /// Requests a second.
    #[must_use]
    pub fn requests_per_second(&self) -> f64 {
        per_second(self.requests, self.window)
    }
}

/// How many that is a second.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub fn per_second(count: u64, window: Duration) -> f64 {
    count as f64 / window.as_secs_f64().max(f64::EPSILON)
}

/// Runs every `threads`th connection, from the `first` on.
fn share_of_connections(shared: &Arc<Shared>, first: usize, threads: usize) -> Result<Loaded> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connections = JoinSet::new();
        for place in (first..shared.load.connections).step_by(threads) {
            connections.spawn(connection::run(Arc::clone(shared), place));
        }
        let mut loaded = Loaded::default();
        while let Some(connection) = connections.join_next().await {
            loaded.add(connection??);
        }
        Ok(loaded)
    })
}
