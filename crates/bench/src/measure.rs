//! How one row is measured, once.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::ceiling;
use crate::database::{Database, Postgres, reports_in_file};
use crate::direct::Direct;
use crate::load::{Load, Loaded, per_second};
use crate::moment::{self, Moment, latencies, mebibytes, processors, used};
use crate::process::{self, Usage};
use crate::receiver::{Receiver, Setup};
use crate::row::{Measured, Row, Subject};

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

/// A start of the program on an empty database.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Until it could take reports, in milliseconds.
    pub ready_ms: f64,
    /// The memory it then takes without load, in MiB.
    pub idle_mib: f64,
}

impl Bench {
    /// Measures a row. `reached` is the batch size that the receiver reached.
    pub fn row(&self, row: Row, stream: u64, reached: Option<f64>) -> Result<Measured> {
        let measured = match row.subject {
            Subject::OnPostgres => self.receiver(row, stream, true, &[]),
            Subject::OnSqlite => self.receiver(row, stream, false, &[]),
            Subject::OneTransactionEach => self.receiver(row, stream, true, &ONE_EACH),
            Subject::Ceiling => self.ceiling(row, stream),
            Subject::Batches(size) => self.direct(row, size, stream),
            Subject::BatchesAsReached => {
                let size = reached.context("the receiver's batches were not measured before")?;
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
        std::thread::sleep(Duration::from_millis(500));
        let idle = Usage::of_tree(receiver.pid())?;
        let start = Start {
            ready_ms: receiver.ready_after.as_secs_f64() * 1e3,
            idle_mib: mebibytes(idle.memory),
        };
        receiver.stop()?;
        Ok(start)
    }

    fn receiver_on(
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
        row: Row,
        stream: u64,
        on_postgres: bool,
        variables: &[(&str, &str)],
    ) -> Result<Measured> {
        let database = on_postgres.then(|| self.postgres.fresh()).transpose()?;
        let receiver = self.receiver_on(database.as_ref(), true, variables)?;
        let load = self.load(row, receiver.public(), stream);
        let postgres = on_postgres.then_some(&self.postgres);
        let probe = || Moment::of(receiver.pid(), postgres, Some(&receiver));
        let (loaded, before, after) = load.run(probe)?;
        let kept = || match &database {
            Some(database) => database.reports(),
            None => reports_in_file(self.postgres.runtime(), &receiver.file()),
        };
        check(&loaded, kept)?;
        receiver.stop()?;
        Ok(moment::measured(&loaded, &before?, &after?))
    }

    fn ceiling(&self, row: Row, stream: u64) -> Result<Measured> {
        let ceiling = ceiling::Process::start()?;
        let load = self.load(row, ceiling.address, stream);
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

    const fn load(&self, row: Row, address: std::net::SocketAddr, stream: u64) -> Load {
        Load {
            address,
            mode: row.mode,
            connections: row.connections,
            rate: row.rate,
            warm_up: self.warm_up,
            measured: self.measured,
            stream,
        }
    }
}

/// Group commit switched off.
const ONE_EACH: [(&str, &str); 3] = [
    ("RECEIPTD_BATCH", "1"),
    ("RECEIPTD_WRITERS", "16"),
    ("RECEIPTD_DATABASE_CONNECTIONS", "20"),
];

/// Fails unless every report that was answered 204 is in the log, once.
fn check(loaded: &Loaded, kept: impl Fn() -> Result<(i64, i64)>) -> Result<()> {
    let began = Instant::now();
    loop {
        let (reports, duplicates) = kept()?;
        if (u64::try_from(reports)?, duplicates) == (loaded.taken, 0) {
            return Ok(());
        }
        // What went to the journal while the database was slow follows soon.
        ensure!(
            began.elapsed() < Duration::from_secs(10),
            "{} reports were answered 204, but {reports} and {duplicates} duplicates are stored",
            loaded.taken
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an average batch has 1 to 4,096 reports"
)]
fn rounded(size: f64) -> usize {
    (size.round() as usize).max(1)
}

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
