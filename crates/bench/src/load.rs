//! The measured load: connections that send one report after the other, each as soon as the
//! previous one is answered, or at a fixed rate together.
//!
//! Requests are built once, since the load shares its processors with the program under test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use traffic::form::{self, Subject};
use traffic::history::ORDERLY;
use traffic::request::Template;
use traffic::stream::{Pattern, Sid, Stream, StreamReport};

use crate::batch_load;
use crate::connection::LoadConnection;
use crate::latencies::Latencies;
use crate::wait::runtime;
use crate::{PASSWORD, WRONG_PASSWORD, report_head};

/// How a report is sent, and what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With credentials: 204.
    AtOnce,
    /// Without credentials: 401, and again with credentials: 204. This is what Twilio does.
    TwoSteps,
    /// [`BATCH_REPORTS`](batch_load::BATCH_REPORTS) reports of Infobip's per request, with
    /// credentials: 200.
    Batches,
    /// Without credentials: 401.
    ChallengeOnly,
    /// With a wrong password: 401.
    WrongPassword,
}

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub address: SocketAddr,
    pub mode: Mode,
    pub connections: usize,
    /// Reports per second of all connections together; `None` sends at saturation. With a rate,
    /// latency counts from the moment a report was due.
    pub rate: Option<u32>,
    pub warm_up: Duration,
    pub measured: Duration,
    /// Ends the measurement early after so many reports.
    pub enough: Option<u64>,
    /// The reports to send.
    pub stream: Stream,
    /// Whether to record when each report was answered.
    pub records_answers: bool,
}

#[derive(Debug, Default)]
pub struct LoadResult {
    /// All reports that were answered with success, measured or not.
    pub accepted: u64,
    /// Reports that were answered as expected in the measured time.
    pub reports: u64,
    /// Requests that were answered as expected in the measured time.
    pub requests: u64,
    /// Latencies of reports, of all their requests together, in that time.
    pub latencies: Latencies,
    /// When each report was answered in that time, if it is recorded.
    pub answers: Vec<(StreamReport, Instant)>,
    /// The length of that time.
    pub window: Duration,
    /// Unexpected responses.
    pub unexpected: BTreeMap<u16, u64>,
}

/// The phases of a measurement.
pub const WARM_UP: u8 = 0;
pub const MEASURED: u8 = 1;
pub const STOP: u8 = 2;

/// What all connections share.
pub(crate) struct SharedLoad {
    pub load: Load,
    phase: AtomicU8,
    pub next: AtomicU64,
    began: Instant,
}

impl Load {
    /// Returns a load at saturation from 256 connections, measured from its start for ten minutes
    /// at most.
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
            records_answers: false,
        }
    }

    /// Runs the load, and `probe` when the measured time begins and ends.
    pub fn run<T>(self, probe: impl Fn() -> T) -> Result<(LoadResult, T, T)> {
        let shared = Arc::new(SharedLoad {
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
                thread::spawn(move || run_connections(&shared, first, threads))
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
        let remaining = || self.measured.saturating_sub(began.elapsed());
        while !remaining().is_zero() && !is_enough() {
            thread::sleep(remaining().min(Duration::from_millis(10)));
        }
        shared.phase.store(STOP, Ordering::Relaxed);
        let window = began.elapsed();
        let after = probe();
        let mut result = LoadResult {
            window,
            ..LoadResult::default()
        };
        for thread in threads {
            let part = thread
                .join()
                .ok()
                .context("a thread of the load panicked")??;
            result.add(part);
        }
        ensure!(
            result.unexpected.is_empty(),
            "unexpected responses (status and how often): {:?}",
            result.unexpected
        );
        Ok((result, before, after))
    }
}

impl LoadResult {
    fn add(&mut self, part: Self) {
        self.accepted += part.accepted;
        self.reports += part.reports;
        self.requests += part.requests;
        self.latencies.merge(&part.latencies);
        self.answers.extend(part.answers);
        for (status, count) in part.unexpected {
            *self.unexpected.entry(status).or_default() += count;
        }
    }

    pub fn reports_per_second(&self) -> f64 {
        per_second(self.reports, self.window)
    }

    pub fn requests_per_second(&self) -> f64 {
        per_second(self.requests, self.window)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub fn per_second(count: u64, window: Duration) -> f64 {
    count as f64 / window.as_secs_f64().max(f64::EPSILON)
}

/// Runs every `threads`th connection, beginning with the `first`.
fn run_connections(shared: &Arc<SharedLoad>, first: usize, threads: usize) -> Result<LoadResult> {
    runtime()?.block_on(async {
        let mut connections = JoinSet::new();
        for index in (first..shared.load.connections).step_by(threads) {
            let shared = Arc::clone(shared);
            match shared.load.mode {
                Mode::Batches => connections.spawn(batch_load::run_connection(shared)),
                _ => connections.spawn(run_connection(shared, index)),
            };
        }
        let mut result = LoadResult::default();
        while let Some(connection) = connections.join_next().await {
            result.add(connection??);
        }
        Ok(result)
    })
}

async fn run_connection(shared: Arc<SharedLoad>, index: usize) -> Result<LoadResult> {
    let load = &shared.load;
    let connection = LoadConnection::open(load.address).await;
    let mut connection =
        connection.with_context(|| format!("no connection to {}", load.address))?;
    // The requests of each report and the statuses they expect.
    let mut requests: Vec<(u16, Templates)> = match load.mode {
        Mode::AtOnce | Mode::Batches => vec![(204, Some(PASSWORD))],
        Mode::TwoSteps => vec![(401, None), (204, Some(PASSWORD))],
        Mode::ChallengeOnly => vec![(401, None)],
        Mode::WrongPassword => vec![(401, Some(WRONG_PASSWORD))],
    }
    .into_iter()
    .map(|(status, password)| (status, Templates::new(load.address, password)))
    .collect();
    let mut result = LoadResult::default();
    for own in 0.. {
        let began = match shared.due(index, own) {
            Some(due) => {
                tokio::time::sleep_until(due.into()).await;
                due
            }
            None => Instant::now(),
        };
        if shared.is_stopped() {
            break;
        }
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let report = load.stream.report(number);
        let mut expected = 0;
        for (status, templates) in &mut requests {
            let response = connection.exchange(templates.request(report)).await?;
            if response.status == *status {
                expected += 1;
                result.accepted += u64::from(*status == 204);
            } else {
                *result.unexpected.entry(response.status).or_default() += 1;
            }
        }
        if shared.is_measured() {
            result.reports += 1;
            result.requests += expected;
            result.latencies.add(began.elapsed());
            if load.records_answers {
                result.answers.push((report, Instant::now()));
            }
        }
    }
    Ok(result)
}

impl SharedLoad {
    pub fn is_stopped(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == STOP
    }

    pub fn is_measured(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == MEASURED
    }

    /// Returns when the `own`th report of a connection is due, if there is a rate.
    fn due(&self, index: usize, own: u64) -> Option<Instant> {
        let rate = u64::from(self.load.rate?.max(1));
        let connections = u64::try_from(self.load.connections).unwrap_or(u64::MAX);
        let number = own * connections + u64::try_from(index).unwrap_or_default();
        Some(self.began + Duration::from_micros(number * 1_000_000 / rate))
    }
}

/// The requests of one connection, one for every step of [`ORDERLY`].
struct Templates([Template; ORDERLY.len()]);

impl Templates {
    /// Requests with this password, or without credentials.
    fn new(host: SocketAddr, password: Option<&str>) -> Self {
        let head = report_head(host, password);
        let sid = Sid::ZERO.to_string();
        Self(ORDERLY.map(|step| Template::new(&head, &form::body(Subject::new(&sid), step))))
    }

    fn request(&mut self, report: StreamReport) -> &[u8] {
        let template = self.0.get_mut(report.position);
        template.map_or(&[], |template| template.fill(report.sid))
    }
}
