//! How the rows of the table of reports are measured, each once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use traffic::integrator::Integrator;
use traffic::stream::Stream;

use crate::ceiling::{CeilingProcess, Depth};
use crate::database::{Database, Postgres, reports_in_file};
use crate::direct::Direct;
use crate::installation::Installation;
use crate::load::{Load, Mode, per_second};
use crate::process::{self, Usage};
use crate::receiver::Receiver;
use crate::row::{Measured, Rate, Row, Subject};
use crate::sample::{
    UsageSample, cpu_each, measured, mebibytes, memory_grown, processors, rounded,
};
use crate::table::number;
use crate::wait::until;

/// What all measurements share.
pub struct Bench {
    /// The program under test.
    pub program: PathBuf,
    pub postgres: Postgres,
    pub warm_up: Duration,
    pub measured: Duration,
    /// The number of stored events that are delivered.
    pub backlog: u64,
}

/// What the receiver reached at its peak.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    /// Reports per commit.
    pub batch: Option<f64>,
    /// Reports per second.
    pub peak: Option<f64>,
}

/// A start of the program on an empty database.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Until it accepted reports.
    pub ready_ms: f64,
    /// Memory without load.
    pub idle_mib: f64,
}

/// Connections that guess passwords.
const GUESSING: usize = 64;

/// Settings without group commit.
const ONE_EACH: [(&str, &str); 3] = [
    ("RECEIPTD_BATCH", "1"),
    ("RECEIPTD_WRITERS", "16"),
    ("RECEIPTD_DATABASE_CONNECTIONS", "20"),
];

impl Bench {
    /// Measures a row. `reached` is what the receiver reached earlier in the round.
    pub fn row(&self, row: Row, stream: u64, reached: Reached) -> Result<Measured> {
        let rate = match row.rate {
            Rate::Peak => None,
            Rate::Fixed(rate) => Some(rate),
            Rate::HalfOfPeak => {
                let peak = reached.peak.context("the peak was not measured before")?;
                Some(u32::try_from(rounded(peak / 2.0))?)
            }
        };
        let load = |address| Load {
            mode: row.mode,
            connections: row.connections,
            rate,
            warm_up: self.warm_up,
            measured: self.measured,
            ..Load::new(address, stream)
        };
        match row.subject {
            Subject::OnPostgres => self.receiver(load, true, &[]),
            Subject::Writers(count) => {
                let count = count.to_string();
                self.receiver(load, true, &[("RECEIPTD_WRITERS", &count)])
            }
            Subject::BesidePasswordGuessing => self.beside_guessing(load),
            Subject::OnSqlite => self.receiver(load, false, &[]),
            Subject::OfInfobip { on_postgres } => self.of_infobip(load, on_postgres),
            Subject::Statistics {
                on_postgres,
                counted,
            } => self.statistics(load, on_postgres, counted),
            Subject::OneTransactionEach => self.receiver(load, true, &ONE_EACH),
            Subject::Ceiling => Self::ceiling(load, Depth::Read),
            Subject::NoStore => Self::ceiling(load, Depth::IngestQueue),
            Subject::Batches(size) => self.direct(row, size, stream),
            Subject::BatchesAsReached => {
                let size = reached.batch;
                let size = size.context("the receiver's batches were not measured before")?;
                self.direct(row, rounded(size), stream)
            }
            Subject::SingleStatements => self.direct(row, 1, stream),
            Subject::EventDelay { on_postgres } => {
                self.events(on_postgres, |events| events.delay(load))
            }
            Subject::Backlog { on_postgres } => {
                self.events(on_postgres, |events| events.backlog(load))
            }
            Subject::Subscriptions { on_postgres, some } => self.events(on_postgres, |events| {
                events.beside_subscriptions(load, some)
            }),
        }
    }

    /// Starts the program on an empty database.
    pub fn start(&self, on_postgres: bool) -> Result<Start> {
        let database = self.database(on_postgres)?;
        let mut receiver = self.receiver_on(database.as_ref(), false, &[])?;
        thread::sleep(Duration::from_millis(500));
        let start = Start {
            ready_ms: receiver.ready_after.as_secs_f64() * 1e3,
            idle_mib: mebibytes(receiver.memory()?),
        };
        receiver.stop()?;
        Ok(start)
    }

    /// Returns an empty PostgreSQL database, or none.
    pub fn database(&self, on_postgres: bool) -> Result<Option<Database<'_>>> {
        on_postgres.then(|| self.postgres.fresh()).transpose()
    }

    pub fn receiver_on(
        &self,
        database: Option<&Database<'_>>,
        with_channel: bool,
        settings: &[(&str, &str)],
    ) -> Result<Receiver> {
        self.started(database, with_channel, settings, &["serve"])
    }

    /// The same, with these arguments.
    pub fn started(
        &self,
        database: Option<&Database<'_>>,
        with_channel: bool,
        settings: &[(&str, &str)],
        arguments: &'static [&'static str],
    ) -> Result<Receiver> {
        let installation = self.installation(database)?.with(settings);
        if with_channel {
            installation.add_channel()?;
        }
        let mut receiver = Arc::new(installation).receiver(arguments);
        receiver.start()?;
        Ok(receiver)
    }

    fn installation(&self, database: Option<&Database<'_>>) -> Result<Installation> {
        let url = database.map(Database::url);
        let installation = Installation::new(&self.program, url.as_deref())?;
        Ok(installation.with(&[("RECEIPTD_LOG", "warn")]))
    }

    fn receiver(
        &self,
        load: impl Fn(SocketAddr) -> Load,
        on_postgres: bool,
        settings: &[(&str, &str)],
    ) -> Result<Measured> {
        let database = self.database(on_postgres)?;
        let receiver = self.receiver_on(database.as_ref(), true, settings)?;
        self.loaded(receiver, database.as_ref(), load)
    }

    /// Returns a receiver with a channel of Infobip's.
    fn of_infobip(&self, load: impl Fn(SocketAddr) -> Load, on_postgres: bool) -> Result<Measured> {
        let database = self.database(on_postgres)?;
        let installation = self.installation(database.as_ref())?;
        let installation = installation.of(Integrator::Infobip);
        installation.add_channel()?;
        let mut receiver = Arc::new(installation).receiver(&["serve"]);
        receiver.start()?;
        self.loaded(receiver, database.as_ref(), load)
    }

    fn loaded(
        &self,
        mut receiver: Receiver,
        database: Option<&Database<'_>>,
        load: impl Fn(SocketAddr) -> Load,
    ) -> Result<Measured> {
        let postgres = database.map(|_| &self.postgres);
        let probe = || UsageSample::take(receiver.pid(), postgres, Some(&receiver));
        let (result, before, after) = load(receiver.public()).run(probe)?;
        self.check(result.accepted, database, &receiver)?;
        receiver.stop()?;
        Ok(measured(&result, &before?, &after?))
    }

    /// Good traffic alone, and then beside password guessing.
    fn beside_guessing(&self, load: impl Fn(SocketAddr) -> Load) -> Result<Measured> {
        let database = self.postgres.fresh()?;
        let mut receiver = self.receiver_on(Some(&database), true, &[])?;
        let good = load(receiver.public());
        let alone = Load {
            measured: self.warm_up,
            stream: Stream {
                id: good.stream.id ^ 1 << 32,
                ..good.stream
            },
            ..good
        };
        let guesses = Load {
            mode: Mode::WrongPassword,
            connections: GUESSING,
            rate: None,
            ..good
        };
        let probe = || UsageSample::take(receiver.pid(), Some(&self.postgres), Some(&receiver));
        let (alone, _, quiet) = alone.run(probe)?;
        let (other, result) = thread::scope(|scope| {
            let guessing = scope.spawn(|| guesses.run(|| ()));
            let result = good.run(probe);
            (guessing.join(), result)
        });
        let (mut result, before, after) = result?;
        let (other, ..) = other
            .ok()
            .context("the password-guessing load panicked")??;
        let accepted = alone.accepted + result.accepted;
        self.check(accepted, Some(&database), &receiver)?;
        receiver.stop()?;
        let (quiet, after) = (quiet?, after?);
        // The receiver spends its time on both.
        result.requests += other.requests;
        Ok(Measured {
            grown: Some(memory_grown(&quiet, &after)),
            ..measured(&result, &before?, &after)
        })
    }

    fn ceiling(load: impl Fn(SocketAddr) -> Load, depth: Depth) -> Result<Measured> {
        let ceiling = CeilingProcess::start(depth)?;
        let probe = || UsageSample::take(ceiling.pid(), None, None);
        let (result, before, after) = load(ceiling.address).run(probe)?;
        ceiling.stop()?;
        Ok(measured(&result, &before?, &after?))
    }

    fn direct(&self, row: Row, batch: usize, stream: u64) -> Result<Measured> {
        let database = self.postgres.fresh()?;
        let direct = Direct {
            batch,
            connections: u32::try_from(row.connections)?,
            warm_up: self.warm_up,
            measured: self.measured,
            stream,
        };
        let probe = || (self.postgres.usage(), process::own());
        let url = database.url();
        let run = direct.run(&url, probe);
        let (recorded, before, after) = self.postgres.runtime.block_on(run)?;
        let (stored, _) = database.reports()?;
        ensure!(
            u64::try_from(stored)? == recorded.all,
            "{} recorded, {stored} stored",
            recorded.all
        );
        let database_cpu = cpu_each(before.0, after.0, recorded.reports);
        let measured = Measured {
            reports: Some(per_second(recorded.reports, recorded.window)),
            database_cpu,
            report_cpu: database_cpu,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a batch has at most 1,024 reports"
            )]
            batch: Some(batch as f64),
            load_cpu: Some(processors(before.1?, after.1?, recorded.window)),
            ..Measured::default()
        };
        Ok(measured.with_latencies(&recorded.latencies))
    }

    /// Fails unless exactly the accepted reports are in the log, each once.
    pub fn check(
        &self,
        accepted: u64,
        database: Option<&Database<'_>>,
        receiver: &Receiver,
    ) -> Result<()> {
        let counts = || match database {
            Some(database) => database.reports(),
            None => reports_in_file(&self.postgres.runtime, &receiver.installation.sqlite_file()),
        };
        let (mut reports, mut duplicates) = (0, 0);
        // Reports that went to the journal while the database was slow follow soon.
        let limit = Duration::from_secs(10);
        let matches = until(limit, Duration::from_millis(200), || {
            (reports, duplicates) = counts().unwrap_or_default();
            (u64::try_from(reports).ok(), duplicates) == (Some(accepted), 0)
        });
        ensure!(
            matches,
            "{accepted} reports were answered 204, but {reports} and {duplicates} duplicates are \
             stored"
        );
        Ok(())
    }

    /// Sends `rate` reports per second to a receiver on each engine. Returns their memory in MiB
    /// at the start and after every minute.
    pub fn soak(
        &self,
        minutes: u16,
        rate: u32,
        progress: impl Fn(&str),
    ) -> Result<Vec<[String; 3]>> {
        let database = self.postgres.fresh()?;
        let mut on_postgres = self.receiver_on(Some(&database), true, &[])?;
        let mut on_sqlite = self.receiver_on(None, true, &[])?;
        let load = |receiver: &Receiver, stream| Load {
            rate: Some(rate),
            measured: Duration::from_secs(60 * u64::from(minutes)),
            ..Load::new(receiver.public(), stream)
        };
        let (samples, results) = thread::scope(|scope| {
            let loads = [load(&on_postgres, 1), load(&on_sqlite, 2)];
            let loads = loads.map(|load| scope.spawn(move || load.run(|| ())));
            let began = Instant::now();
            let mut samples = Vec::new();
            for minute in 0..=minutes {
                // A little early: the load must still run at the end.
                let due = Duration::from_secs(60 * u64::from(minute));
                let due = due.saturating_sub(Duration::from_millis(500));
                thread::sleep(due.saturating_sub(began.elapsed()));
                let memory = |receiver: &Receiver| {
                    let usage = Usage::of_tree(receiver.pid())?;
                    anyhow::Ok(number(Some(mebibytes(usage.memory))))
                };
                let sample = [
                    minute.to_string(),
                    memory(&on_postgres)?,
                    memory(&on_sqlite)?,
                ];
                let [minute, postgres, sqlite] = &sample;
                progress(&format!(
                    "minute {minute}: {postgres} MiB on PostgreSQL, {sqlite} MiB on SQLite"
                ));
                samples.push(sample);
            }
            anyhow::Ok((samples, loads.map(thread::ScopedJoinHandle::join)))
        })?;
        let receivers = [(&mut on_postgres, Some(&database)), (&mut on_sqlite, None)];
        for ((receiver, database), result) in receivers.into_iter().zip(results) {
            let (result, (), ()) = result.ok().context("a load panicked")??;
            self.check(result.accepted, database, receiver)?;
            receiver.stop()?;
        }
        Ok(samples)
    }
}
