//! How one row is measured, once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use traffic::stream::Stream;

use crate::ceiling::{self, Depth};
use crate::database::{Database, Postgres, reports_in_file};
use crate::direct::Direct;
use crate::load::{Load, Mode, per_second};
use crate::moment::{self, Moment, latencies, mebibytes, processors, rounded, used};
use crate::process::{self, Usage};
use crate::receiver::{Receiver, Setup};
use crate::row::{Measured, Rate, Row, Subject};

/// What all measurements of a run share.
pub struct Bench {
    /// The built program.
    pub program: PathBuf,
    /// The database server.
    pub postgres: Postgres,
    /// How long to run before anything is measured.
    pub warm_up: Duration,
    /// How long to measure.
    pub measured: Duration,
}

/// What the receiver reached at its peak.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    /// Reports in one commit.
    pub batch: Option<f64>,
    /// Reports a second.
    pub peak: Option<f64>,
}

/// A start of the program on an empty database.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Until it could take reports, in milliseconds.
    pub ready_ms: f64,
    /// The memory it then takes without load, in MiB.
    pub idle_mib: f64,
}

impl Bench {
    /// Measures a row. `reached` is what the receiver did before in that round.
    pub fn row(&self, row: Row, stream: u64, reached: Reached) -> Result<Measured> {
        let load = |address| {
            let rate = match row.rate {
                Rate::Peak => None,
                Rate::Fixed(rate) => Some(rate),
                Rate::HalfOfPeak => {
                    let peak = reached.peak.context("the peak was not measured before")?;
                    Some(u32::try_from(rounded(peak / 2.0))?)
                }
            };
            Ok(self.load(row, rate, address, stream))
        };
        let measured = match row.subject {
            Subject::OnPostgres => self.receiver(load, true, &[]),
            Subject::Writers(count) => {
                let count = count.to_string();
                self.receiver(load, true, &[("RECEIPTD_WRITERS", &count)])
            }
            Subject::BesidePasswordGuessing => self.beside_guesses(load),
            Subject::OnSqlite => self.receiver(load, false, &[]),
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
        };
        measured.with_context(|| format!("{}, {} connections", row.name(), row.connections))
    }

    /// Starts the program on an empty database and looks at it.
    pub fn start(&self, on_postgres: bool) -> Result<Start> {
        let database = on_postgres.then(|| self.postgres.fresh()).transpose()?;
        let receiver = self.receiver_on(database.as_ref(), false, &[])?;
        thread::sleep(Duration::from_millis(500));
        let idle = Usage::of_tree(receiver.pid())?;
        let start = Start {
            ready_ms: receiver.ready_after.as_secs_f64() * 1e3,
            idle_mib: mebibytes(idle.memory),
        };
        receiver.stop()?;
        Ok(start)
    }

    pub(crate) fn receiver_on(
        &self,
        database: Option<&Database<'_>>,
        with_channel: bool,
        variables: &[(&str, &str)],
    ) -> Result<Receiver> {
        let url = database.map(Database::url);
        Receiver::start(Setup {
            program: &self.program,
            database_url: url.as_deref(),
            variables,
            with_channel,
        })
    }

    fn receiver(
        &self,
        load: impl Fn(SocketAddr) -> Result<Load>,
        on_postgres: bool,
        variables: &[(&str, &str)],
    ) -> Result<Measured> {
        let database = on_postgres.then(|| self.postgres.fresh()).transpose()?;
        let receiver = self.receiver_on(database.as_ref(), true, variables)?;
        let postgres = on_postgres.then_some(&self.postgres);
        let probe = || Moment::of(receiver.pid(), postgres, Some(&receiver));
        let (loaded, before, after) = load(receiver.public())?.run(probe)?;
        self.check(loaded.taken, database.as_ref(), &receiver)?;
        receiver.stop()?;
        Ok(moment::measured(&loaded, &before?, &after?))
    }

    /// Good traffic alone and then beside those who guess passwords.
    fn beside_guesses(&self, load: impl Fn(SocketAddr) -> Result<Load>) -> Result<Measured> {
        let database = self.postgres.fresh()?;
        let receiver = self.receiver_on(Some(&database), true, &[])?;
        let good = load(receiver.public())?;
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
        let probe = || Moment::of(receiver.pid(), Some(&self.postgres), Some(&receiver));
        let (alone, _, quiet) = alone.run(probe)?;
        let (other, loaded) = thread::scope(|scope| {
            let guessing = scope.spawn(|| guesses.run(|| ()));
            let loaded = good.run(probe);
            (guessing.join(), loaded)
        });
        let (mut loaded, before, after) = loaded?;
        let other = other.ok().context("the password-guessing load died")?;
        self.check(alone.taken + loaded.taken, Some(&database), &receiver)?;
        receiver.stop()?;
        let (quiet, after) = (quiet?, after?);
        // The receiver's time goes to both.
        loaded.requests += other?.0.requests;
        let grown = moment::memory_grown(&quiet, &after);
        Ok(Measured {
            grown: Some(grown),
            ..moment::measured(&loaded, &before?, &after)
        })
    }

    fn ceiling(load: impl Fn(SocketAddr) -> Result<Load>, depth: Depth) -> Result<Measured> {
        let ceiling = ceiling::Process::start(depth)?;
        let load = load(ceiling.address)?;
        let (loaded, before, after) = load.run(|| Moment::of(ceiling.pid(), None, None))?;
        ceiling.stop()?;
        Ok(moment::measured(&loaded, &before?, &after?))
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
        let (recorded, before, after) = self.postgres.runtime().block_on(run)?;
        let (kept, _) = database.reports()?;
        ensure!(
            u64::try_from(kept)? == recorded.taken,
            "{} recorded, {kept} kept",
            recorded.taken
        );
        let database_cpu = used(before.0, after.0, recorded.reports);
        let [p50, p99, p999] = latencies(&recorded.latencies);
        Ok(Measured {
            reports: Some(per_second(recorded.reports, recorded.window)),
            p50,
            p99,
            p999,
            database_cpu,
            report_cpu: database_cpu,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a batch has at most 1,024 reports"
            )]
            batch: Some(batch as f64),
            load_cpu: Some(processors(before.1?, after.1?, recorded.window)),
            ..Measured::default()
        })
    }

    const fn load(&self, row: Row, rate: Option<u32>, address: SocketAddr, stream: u64) -> Load {
        Load {
            mode: row.mode,
            connections: row.connections,
            rate,
            warm_up: self.warm_up,
            measured: self.measured,
            ..Load::new(address, stream)
        }
    }

    /// Fails unless every report that was answered 204 is in the log, once, and
    /// no other.
    pub(crate) fn check(
        &self,
        taken: u64,
        database: Option<&Database<'_>>,
        receiver: &Receiver,
    ) -> Result<()> {
        let began = Instant::now();
        loop {
            let (reports, duplicates) = match database {
                Some(database) => database.reports()?,
                None => reports_in_file(self.postgres.runtime(), &receiver.file())?,
            };
            if (u64::try_from(reports)?, duplicates) == (taken, 0) {
                return Ok(());
            }
            // What went to the journal while the database was slow follows soon.
            ensure!(
                began.elapsed() < Duration::from_secs(10),
                "{taken} reports were answered 204, but {reports} and {duplicates} duplicates \
                 are stored"
            );
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// From how many connections passwords are guessed.
const GUESSING: usize = 64;

/// Group commit switched off.
const ONE_EACH: [(&str, &str); 3] = [
    ("RECEIPTD_BATCH", "1"),
    ("RECEIPTD_WRITERS", "16"),
    ("RECEIPTD_DATABASE_CONNECTIONS", "20"),
];

/// The built program beside this one.
pub fn program_beside_us() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let program = this.parent().unwrap_or(Path::new(".")).join("receiptd");
    ensure!(
        program.is_file(),
        "{} is not there; build it first: cargo build --release -p receiptd",
        program.display()
    );
    Ok(program)
}
