//! The database without HTTP: reports directly into the store, in batches from one connection or
//! one per statement from many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use adapter_integrators::twilio::form;
use adapter_postgres::{Options, PostgresStore};
use anyhow::{Context as _, Result, ensure};
use domain::{ChannelId, CredentialId, MessageSid, Report, Timestamp};
use ports::ReportStore as _;
use ports::integrator::ParsedReport;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use traffic::form::Subject;
use traffic::history::{ORDERLY, Step};
use traffic::stream::{Pattern, Sid, Stream};
use uuid::Uuid;

use crate::CHANNEL;
use crate::latencies::Latencies;
use crate::load::{MEASURED, STOP, WARM_UP};

#[derive(Clone, Copy, Debug)]
pub struct Direct {
    /// Reports per statement.
    pub batch: usize,
    pub connections: u32,
    pub warm_up: Duration,
    pub measured: Duration,
    /// Distinguishes the messages of this measurement from those of others.
    pub stream: u64,
}

#[derive(Debug, Default)]
pub struct DirectResult {
    /// All reports that were recorded, measured or not.
    pub all: u64,
    /// Reports that were recorded in the measured time.
    pub reports: u64,
    /// The latencies of statements in that time.
    pub latencies: Latencies,
    /// The length of that time.
    pub window: Duration,
}

impl Direct {
    /// Records into the database of this URL. Runs `probe` when the measured time begins and ends.
    pub async fn run<T>(self, url: &str, probe: impl Fn() -> T) -> Result<(DirectResult, T, T)> {
        let options = Options {
            max_connections: self.connections,
            ..Options::default()
        };
        let store = PostgresStore::connect(url, &options)?;
        store.migrate().await?;
        let phase = Arc::new(AtomicU8::new(WARM_UP));
        let reports = Arc::new(ReportSource::new(self.stream)?);
        let mut writers = JoinSet::new();
        for _ in 0..self.connections {
            let (batches, queue) = mpsc::channel(4);
            // A batch is made while the previous one is recorded: the database does not wait.
            let making = make(Arc::clone(&reports), self.batch, batches);
            let writing = write(store.clone(), Arc::clone(&phase), queue);
            writers.spawn(making);
            writers.spawn(writing);
        }

        tokio::time::sleep(self.warm_up).await;
        let before = probe();
        let began = Instant::now();
        phase.store(MEASURED, Ordering::Relaxed);
        tokio::time::sleep(self.measured).await;
        phase.store(STOP, Ordering::Relaxed);
        let window = began.elapsed();
        let after = probe();

        let mut recorded = DirectResult {
            window,
            ..DirectResult::default()
        };
        while let Some(writer) = writers.join_next().await {
            let part = writer??;
            recorded.all += part.all;
            recorded.reports += part.reports;
            recorded.latencies.merge(&part.latencies);
        }
        store.close().await;
        Ok((recorded, before, after))
    }
}

async fn make(
    source: Arc<ReportSource>,
    size: usize,
    batches: mpsc::Sender<Vec<Report>>,
) -> Result<DirectResult> {
    loop {
        let batch: Result<Vec<_>> = (0..size).map(|_| source.next()).collect();
        // The writer has ended.
        if batches.send(batch?).await.is_err() {
            return Ok(DirectResult::default());
        }
    }
}

async fn write(
    store: PostgresStore,
    phase: Arc<AtomicU8>,
    mut batches: mpsc::Receiver<Vec<Report>>,
) -> Result<DirectResult> {
    let mut part = DirectResult::default();
    while phase.load(Ordering::Relaxed) != STOP {
        let batch = batches.recv().await.context("there are no more reports")?;
        let began = Instant::now();
        let effects = store.record(&batch).await?;
        ensure!(effects.len() == batch.len(), "the store lost count");
        let count = u64::try_from(batch.len())?;
        part.all += count;
        if phase.load(Ordering::Relaxed) == MEASURED {
            part.reports += count;
            part.latencies.add(began.elapsed());
        }
    }
    Ok(part)
}

/// Makes the reports that the integrator parses from the load's requests.
pub struct ReportSource {
    stream: Stream,
    next: AtomicU64,
    channel: ChannelId,
    began: i64,
    parsed: Vec<(Step, ParsedReport)>,
}

impl ReportSource {
    pub fn new(stream: u64) -> Result<Self> {
        let read = ORDERLY.iter().map(|step| {
            let sid = Sid::ZERO.to_string();
            let body = traffic::form::body(Subject::new(&sid), *step);
            let token = sid.strip_prefix("SM").map(str::to_owned);
            let parsed = form::parse(body.as_bytes(), token).ok();
            let mut reports = parsed.context("an invalid report")?.reports.into_iter();
            Ok((*step, reports.next().context("no report")?))
        });
        Ok(Self {
            stream: Stream {
                id: stream,
                pattern: Pattern::Orderly,
            },
            next: AtomicU64::new(0),
            channel: ChannelId::parse(CHANNEL)?,
            began: 1_795_370_777_000_000,
            parsed: read.collect::<Result<_>>()?,
        })
    }

    fn next(&self) -> Result<Report> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // As if 30,000 arrived per second.
        let micros = i64::try_from(number)? * 33;
        let report = self.stream.report(number);
        self.make(report.sid, report.step, micros)
    }

    /// Returns a report that arrives so many microseconds after the first one.
    pub fn make(&self, sid: Sid, step: Step, micros: i64) -> Result<Report> {
        let read = self.parsed.iter().find(|(parsed, _)| *parsed == step);
        let (_, mut read) = read.context("no such step")?.clone();
        read.sid = MessageSid::parse(&sid.to_string())?;
        let arrived_at = Timestamp::from_unix_micros(self.began + micros)?;
        let credential = CredentialId(Uuid::from_u128(1));
        Ok(read.on_arrival(self.channel.clone(), arrived_at, credential))
    }
}
