//! The database without HTTP: reports straight into the store, in batches from
//! one connection or one a statement from many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use adapter_integrators::twilio::form;
use adapter_postgres::{Options, PostgresStore};
use anyhow::{Context as _, Result, ensure};
use domain::{ChannelId, CredentialId, MessageKey, MessageSid, Report, Timestamp};
use ports::ReportStore as _;
use ports::integrator::{ParseResult, ParsedReport};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use traffic::form::Subject;
use traffic::history::{ORDERLY, Step};
use traffic::stream::{Pattern, Sid, Stream};
use uuid::Uuid;

use crate::{CHANNEL, latencies::Latencies};

/// How reports are handed to the store.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    /// How many a statement.
    pub batch: usize,
    /// From how many connections at a time.
    pub connections: u32,
    /// How long to run before anything is measured.
    pub warm_up: Duration,
    /// How long to measure.
    pub measured: Duration,
    /// Tells the messages of one measurement from those of another.
    pub stream: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Recorded {
    /// All reports that were recorded, measured or not.
    pub taken: u64,
    /// Reports that were recorded in the measured time.
    pub reports: u64,
    /// How long each statement took in that time.
    pub latencies: Latencies,
    /// How long that time was.
    pub window: Duration,
}

const WARM_UP: u8 = 0;
const MEASURED: u8 = 1;
const STOP: u8 = 2;

impl Direct {
    /// Records into the database of this URL, and runs `probe` when the
    /// measured time begins and ends.
    pub async fn run<T>(self, url: &str, probe: impl Fn() -> T) -> Result<(Recorded, T, T)> {
        let options = Options {
            max_connections: self.connections,
            ..Options::default()
        };
        let store = PostgresStore::connect(url, &options)?;
        store.migrate().await?;
        let phase = Arc::new(AtomicU8::new(WARM_UP));
        let reports = Arc::new(Source::new(self.stream)?);
        let mut writers = JoinSet::new();
        for _ in 0..self.connections {
            let (batches, queue) = mpsc::channel(4);
            // What a batch costs to make is not the database's to pay: it is
            // made while the one before it is recorded.
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

        let mut recorded = Recorded {
            taken: 0,
            reports: 0,
            latencies: Latencies::default(),
            window,
        };
        while let Some(writer) = writers.join_next().await {
            let part = writer??;
            recorded.taken += part.taken;
            recorded.reports += part.reports;
            recorded.latencies.merge(&part.latencies);
        }
        store.close().await;
        Ok((recorded, before, after))
    }
}

#[derive(Default)]
struct EventIndex {
    taken: u64,
    reports: u64,
    latencies: Latencies,
}

async fn make(
    source: Arc<Source>,
    size: usize,
    batches: mpsc::Sender<Vec<Report>>,
) -> Result<EventIndex> {
    loop {
        let batch: Result<Vec<_>> = (0..size).map(|_| source.next()).collect();
        // Nobody takes more of them: done.
        if batches.send(batch?).await.is_err() {
            return Ok(EventIndex::default());
        }
    }
}

async fn write(
    store: PostgresStore,
    phase: Arc<AtomicU8>,
    mut batches: mpsc::Receiver<Vec<Report>>,
) -> Result<EventIndex> {
    let mut part = EventIndex::default();
    while phase.load(Ordering::Relaxed) != STOP {
        let batch = batches.recv().await.context("nobody makes reports")?;
        let began = Instant::now();
        let effects = store.record(&batch).await?;
        ensure!(effects.len() == batch.len(), "the store lost count");
        let count = u64::try_from(batch.len())?;
        part.taken += count;
        if phase.load(Ordering::Relaxed) == MEASURED {
            part.reports += count;
            part.latencies.add(began.elapsed());
        }
    }
    Ok(part)
}

/// Makes the same reports as the load does, from what the integrator reads.
pub(crate) struct Source {
    stream: Stream,
    next: AtomicU64,
    channel: ChannelId,
    began: i64,
    parsed: Vec<(Step, ParsedReport)>,
}

impl Source {
    pub(crate) fn new(stream: u64) -> Result<Self> {
        let read = ORDERLY.iter().map(|step| {
            let sid = Sid::ZERO.to_string();
            let body = traffic::form::body(Subject::new(&sid), *step);
            let token = sid.strip_prefix("SM").map(str::to_owned);
            match form::read(body.as_bytes(), token) {
                ParseResult::Reports(reports) => {
                    let report = reports.into_iter().next().context("no report")?;
                    Ok((*step, report))
                }
                other => anyhow::bail!("the integrator reads {other:?}"),
            }
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
        // As if 30,000 arrived a second.
        let micros = i64::try_from(number)? * 33;
        let report = self.stream.report(number);
        self.make(report.sid, report.step, micros)
    }

    /// A report that arrives so many microseconds after the first.
    pub(crate) fn make(&self, sid: Sid, step: Step, micros: i64) -> Result<Report> {
        let read = self.parsed.iter().find(|(parsed, _)| *parsed == step);
        let (_, read) = read.context("no such step")?.clone();
        Ok(Report {
            key: MessageKey {
                channel: self.channel.clone(),
                sid: MessageSid::parse(&sid.to_string())?,
            },
            status: read.status,
            error: read.error,
            recipient: read.recipient,
            sender: read.sender,
            arrived_at: Timestamp::from_unix_micros(self.began + micros)?,
            credential: CredentialId(Uuid::from_u128(1)),
            idempotency_token: read.idempotency_token,
            fields: read.fields,
        })
    }
}
