//! There is no more room.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::ledger::Ledger;
use crate::load::{Load, Running};
use crate::receiver::Receiver;
use crate::store::{Engine, Store};

/// "At once", on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long `/readyz` may take to say what reports are answered.
const SAID: Duration = Duration::from_secs(5);

/// The receiver was not started again.
const NEVER: Range<Duration> = Duration::ZERO..Duration::ZERO;

/// A journal has a few files, however often it is full.
const FILES: usize = 8;

/// The journal has as much as it may have.
pub fn journal_full(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?.with("RECEIPTD_JOURNAL_MIB", "1");
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    store.postgres()?.stop()?;
    load.until_refused();
    let closed = receiver.comes_to_say(false, SAID);
    pause(8.0);
    store.postgres()?.start_again()?;
    let (ledger, again) = until_taken_again(load)?;
    let open = receiver.comes_to_say(true, SAID);
    let mut finding = settle(&store, receiver, &ledger)?;
    expect_said(&mut finding, closed, open);
    expect_refused_at_once(&mut finding, &ledger, &NEVER, again);
    Ok(finding)
}

/// The disk that the journal, or the embedded database, is on has no more room.
pub fn disk_full(stage: &Stage) -> Result<Finding> {
    let disk = Disk::new("4m")?;
    let mut finding = match stage.engine {
        Engine::Postgres => full_under_journal(stage, &disk)?,
        Engine::Sqlite => full_under_database(stage, &disk)?,
    };
    if let Disk::Forbidden(_) = disk {
        finding.note("writing forbidden, since only root may mount a small disk");
    }
    Ok(finding)
}

fn full_under_journal(stage: &Stage, disk: &Disk) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?.with_data(&disk.path().join("data"));
    let home = disk.under(home);
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    store.postgres()?.stop()?;
    pause(3.0);
    disk.fill(&home, &receiver)?;
    pause(10.0);
    let closed = receiver.comes_to_say(false, SAID);
    let files = home.journal().len();
    // It starts on a full disk too.
    let killed = load.elapsed();
    receiver.kill()?;
    let mut receiver = home.launch()?;
    receiver.wait_until_up()?;
    let starting = killed..load.elapsed();
    pause(1.0);
    store.postgres()?.start_again()?;
    let (ledger, again) = until_taken_again(load)?;
    let open = receiver.comes_to_say(true, SAID);
    let mut finding = settle(&store, receiver, &ledger)?;
    expect_said(&mut finding, closed, open);
    expect_refused_at_once(&mut finding, &ledger, &starting, again);
    finding.expect(
        files <= FILES,
        format!("the journal was full in {files} files"),
    );
    Ok(finding)
}

fn full_under_database(stage: &Stage, disk: &Disk) -> Result<Finding> {
    let url = format!("sqlite:{}", disk.path().join("receipts.db").display());
    let home = RuntimeHandle::new(stage, &url)?.with_data(&disk.path().join("data"));
    let home = disk.under(home);
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(3.0);
    disk.fill(&home, &receiver)?;
    let closed = receiver.comes_to_say(false, SAID);
    pause(3.0);
    let killed = load.elapsed();
    receiver.kill()?;
    let receiver = home.start();
    disk.make_room("64m", &home, receiver.as_ref().ok())?;
    // On a full disk it may refuse to start, but not once there is room.
    let receiver = receiver.or_else(|_| home.start())?;
    let starting = killed..load.elapsed();
    let (ledger, again) = until_taken_again(load)?;
    let open = receiver.comes_to_say(true, SAID);
    receiver.wait_until_drained()?;
    receiver.stop()?;
    let mut finding = Finding::compare(&ledger, &Store::kept_in(&url)?);
    expect_said(&mut finding, closed, open);
    expect_refused_at_once(&mut finding, &ledger, &starting, again);
    Ok(finding)
}

/// `/readyz` told load balancers what became of reports.
fn expect_said(finding: &mut Finding, closed: bool, open: bool) {
    finding.expect(closed, "/readyz did not say that nothing is taken");
    finding.expect(open, "/readyz did not say that reports are taken again");
}

/// Goes on until reports are taken again, and some more.
fn until_taken_again(load: Running) -> Result<(Ledger, bool)> {
    let again = load.until_taken(100);
    pause(2.0);
    Ok((load.stop()?, again))
}

/// Refused at once, but for those that came while the receiver was `starting`.
fn expect_refused_at_once(
    finding: &mut Finding,
    ledger: &Ledger,
    starting: &Range<Duration>,
    again: bool,
) {
    let unavailable = ledger.answered(503).count();
    finding.expect(unavailable > 0, "it never was full");
    finding.expect(
        unavailable == finding.refused,
        "some were refused with another status than 503",
    );
    let refused = ledger.answered(503);
    let refused = refused.filter(|entry| !starting.contains(&entry.sent));
    let took = refused.map(|entry| entry.took).max().unwrap_or_default();
    finding.expect_in_time(took <= AT_ONCE, format!("a refusal took {took:.1?}"));
    finding.expect(again, "nothing was taken when there was room again");
    finding.expect_answers_within(DEADLINE);
}

/// A disk that comes to have no room.
enum Disk {
    /// A small one in memory.
    Small(TempDir),
    /// A folder in which nothing can be written any more, at some time: for those
    /// who may not mount one.
    Forbidden(TempDir),
}

impl Disk {
    fn new(size: &str) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("receiptd-faults-")
            .tempdir()?;
        let options = format!("size={size},mode=0700");
        let mounted = mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], folder.path());
        Ok(match mounted {
            Ok(()) => Self::Small(folder),
            Err(_) => Self::Forbidden(folder),
        })
    }

    /// A home whose data is here.
    fn under(&self, home: RuntimeHandle) -> RuntimeHandle {
        match self {
            Self::Small(_) => home,
            Self::Forbidden(_) => home.with_limit(),
        }
    }

    /// From now on it is full; a small one is so by itself.
    fn fill(&self, home: &RuntimeHandle, receiver: &Receiver<'_>) -> Result<()> {
        home.may_write(false);
        match self {
            Self::Small(_) => Ok(()),
            Self::Forbidden(_) => receiver.may_write(false),
        }
    }

    /// From now on it has room.
    fn make_room(
        &self,
        size: &str,
        home: &RuntimeHandle,
        receiver: Option<&Receiver<'_>>,
    ) -> Result<()> {
        home.may_write(true);
        match (self, receiver) {
            (Self::Small(folder), _) => {
                mount(&["-o", &format!("remount,size={size}")], folder.path())
            }
            (Self::Forbidden(_), Some(receiver)) => receiver.may_write(true),
            (Self::Forbidden(_), None) => Ok(()),
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
    let output = Command::new("mount")
        .args(arguments)
        .arg(at)
        .output()
        .context("there is no `mount`")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "a small disk cannot be mounted: {}",
        error.trim()
    );
    Ok(())
}
