//! The disk of the journal, or of the embedded database, is full.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::DEADLINE;
use crate::faults::ledger::{Ledger, slowest};
use crate::faults::load::RunningLoad;
use crate::faults::store::{DatabaseEngine, ScenarioStore, StoredData};
use crate::faults::trial::{DatabaseFault, Trial, TrialOptions, install, pause};
use crate::faults::verdict::Verdict;
use crate::installation::{Installation, temporary_folder};
use crate::receiver::Receiver;

/// How long an immediate refusal may take on a busy machine.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// How long `/readyz` may take to report what reports are answered.
const READINESS_LIMIT: Duration = Duration::from_secs(5);

/// The largest number of journal files, however often the disk was full.
const MAX_JOURNAL_FILES: usize = 8;

pub fn full(options: &TrialOptions) -> Result<Verdict> {
    let disk = Disk::new("4m")?;
    let mut verdict = match options.engine {
        DatabaseEngine::Postgres => full_below_journal(options, &disk)?,
        DatabaseEngine::Sqlite => full_below_database(options, &disk)?,
    };
    if let Disk::Forbidden(_) = disk {
        verdict.note("writing forbidden, since only root may mount a small disk");
    }
    Ok(verdict)
}

fn full_below_journal(options: &TrialOptions, disk: &Disk) -> Result<Verdict> {
    let store = ScenarioStore::new(options.engine)?;
    let installation = install(options, &store.url())?.with_data_in(disk.path());
    let mut trial = Trial::of(store, disk.prepare(installation))?.started()?;
    let load = trial.load().start();
    pause(1.0);
    trial.begin(DatabaseFault::Down)?;
    pause(3.0);
    disk.fill(&trial)?;
    pause(10.0);
    let mut refusals = Refusals::default();
    refusals.see_refused(&trial.receiver);
    let files = trial.installation.journal().len();
    // The receiver starts on a full disk too.
    let killed = load.elapsed();
    trial.receiver.launch()?;
    trial.receiver.wait_until_up()?;
    refusals.starting = killed..load.elapsed();
    pause(1.0);
    trial.end(DatabaseFault::Down)?;
    let ledger = refusals.until_accepted(load, &trial.receiver)?;
    let mut verdict = trial.settle(&ledger)?;
    refusals.judge(&mut verdict, &ledger);
    verdict.expect(
        files <= MAX_JOURNAL_FILES,
        format!("the journal was full in {files} files"),
    );
    Ok(verdict)
}

fn full_below_database(options: &TrialOptions, disk: &Disk) -> Result<Verdict> {
    let url = format!("sqlite:{}", disk.path().join("receipts.db").display());
    let installation = install(options, &url)?.with_data_in(disk.path());
    let store = ScenarioStore::new(options.engine)?;
    let mut trial = Trial::of(store, disk.prepare(installation))?.started()?;
    let load = trial.load().start();
    pause(3.0);
    disk.fill(&trial)?;
    let mut refusals = Refusals::default();
    refusals.see_refused(&trial.receiver);
    pause(3.0);
    let killed = load.elapsed();
    // The receiver may refuse to start on a full disk, but not once there is room.
    let started = trial.receiver.start().is_ok();
    disk.make_room("64m", &trial, started)?;
    if !started {
        trial.receiver.start()?;
    }
    refusals.starting = killed..load.elapsed();
    let ledger = refusals.until_accepted(load, &trial.receiver)?;
    trial.receiver.wait_until_drained()?;
    trial.receiver.stop()?;
    let mut verdict = Verdict::compare(&ledger, &StoredData::of(&url)?);
    refusals.judge(&mut verdict, &ledger);
    Ok(verdict)
}

/// What was seen while reports were refused for lack of room.
#[derive(Default)]
pub struct Refusals {
    /// When the receiver was started again.
    pub starting: Range<Duration>,
    said_refused: bool,
    said_accepted: bool,
    accepted: bool,
}

impl Refusals {
    /// Waits until `/readyz` says that reports are refused.
    pub fn see_refused(&mut self, receiver: &Receiver) {
        self.said_refused = receiver.reports_readiness(false, READINESS_LIMIT);
    }

    /// Waits until reports are accepted again, and stops the load.
    pub fn until_accepted(&mut self, load: RunningLoad, receiver: &Receiver) -> Result<Ledger> {
        self.accepted = load.until_acknowledged(100);
        pause(2.0);
        let ledger = load.stop()?;
        self.said_accepted = receiver.reports_readiness(true, READINESS_LIMIT);
        Ok(ledger)
    }

    /// Expects that `/readyz` told load balancers, and that reports were refused immediately with
    /// 503, except while the receiver was starting.
    pub fn judge(&self, verdict: &mut Verdict, ledger: &Ledger) {
        verdict.expect(
            self.said_refused,
            "/readyz did not say that nothing is accepted",
        );
        verdict.expect(
            self.said_accepted,
            "/readyz did not say that reports are accepted again",
        );
        let unavailable = ledger.answered(503).count();
        verdict.expect(unavailable > 0, "it never was full");
        verdict.expect(
            unavailable == verdict.refused,
            "some were refused with another status than 503",
        );
        let refused = ledger.answered(503);
        let took = slowest(&mut refused.filter(|it| !self.starting.contains(&it.sent)));
        verdict.expect_in_time(took <= REFUSAL_LIMIT, format!("a refusal took {took:.1?}"));
        verdict.expect(
            self.accepted,
            "nothing was accepted when there was room again",
        );
        verdict.expect_responses_within(DEADLINE);
    }
}

/// A disk that becomes full.
enum Disk {
    /// A small disk in memory.
    Small(TempDir),
    /// A folder in which writes are forbidden at some time, for users without the right to mount.
    Forbidden(TempDir),
}

impl Disk {
    fn new(size: &str) -> Result<Self> {
        let folder = temporary_folder()?;
        let options = format!("size={size},mode=0700");
        let mounted = mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], folder.path());
        Ok(match mounted {
            Ok(()) => Self::Small(folder),
            Err(_) => Self::Forbidden(folder),
        })
    }

    fn prepare(&self, installation: Installation) -> Installation {
        match self {
            Self::Small(_) => installation,
            Self::Forbidden(_) => installation.with_write_switch(),
        }
    }

    /// Makes the disk full. A small one becomes full by itself.
    fn fill(&self, trial: &Trial) -> Result<()> {
        trial.installation.allow_writes(false);
        match self {
            Self::Small(_) => Ok(()),
            Self::Forbidden(_) => trial.receiver.allow_writes(false),
        }
    }

    fn make_room(&self, size: &str, trial: &Trial, receiver_runs: bool) -> Result<()> {
        trial.installation.allow_writes(true);
        match self {
            Self::Small(folder) => mount(&["-o", &format!("remount,size={size}")], folder.path()),
            Self::Forbidden(_) if receiver_runs => trial.receiver.allow_writes(true),
            Self::Forbidden(_) => Ok(()),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Small(folder) | Self::Forbidden(folder) => folder.path(),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Small(folder) = self {
            let _ = Command::new("umount").arg(folder.path()).status();
        }
    }
}

fn mount(arguments: &[&str], at: &Path) -> Result<()> {
    let output = Command::new("mount").args(arguments).arg(at).output();
    let output = output.context("there is no `mount`")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "a small disk cannot be mounted: {}",
        error.trim()
    );
    Ok(())
}
