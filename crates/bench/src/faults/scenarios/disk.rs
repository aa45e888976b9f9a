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
use crate::home::Home;
use crate::ledger::Ledger;
use crate::load::{Load, Running};
use crate::store::{Engine, Store};

/// "At once", on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The receiver was not started again.
const NEVER: Range<Duration> = Duration::ZERO..Duration::ZERO;

/// A journal has a few files, however often it is full.
const FILES: usize = 8;

/// The journal has as much as it may have.
pub fn journal_full(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = Home::new(stage, &store.url())?.with("RECEIPTD_JOURNAL_MIB", "1");
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    store.postgres()?.stop()?;
    load.until_refused();
    pause(8.0);
    store.postgres()?.start_again()?;
    let (ledger, again) = until_taken_again(load)?;
    let mut finding = settle(&store, receiver, &ledger)?;
    expect_refused_at_once(&mut finding, &ledger, &NEVER, again);
    Ok(finding)
}

/// The disk that the journal, or the embedded database, is on has no more room.
pub fn disk_full(stage: &Stage) -> Result<Finding> {
    let disk = Disk::mount("4m")?;
    match stage.engine {
        Engine::Postgres => full_under_journal(stage, &disk),
        Engine::Sqlite => full_under_database(stage, &disk),
    }
}

fn full_under_journal(stage: &Stage, disk: &Disk) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = Home::new(stage, &store.url())?.with_data(&disk.path().join("data"));
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    store.postgres()?.stop()?;
    pause(13.0);
    let files = home.journal().len();
    // It starts on a full disk too.
    let killed = load.elapsed();
    receiver.kill()?;
    let receiver = home.start()?;
    let starting = killed..load.elapsed();
    pause(1.0);
    store.postgres()?.start_again()?;
    let (ledger, again) = until_taken_again(load)?;
    let mut finding = settle(&store, receiver, &ledger)?;
    expect_refused_at_once(&mut finding, &ledger, &starting, again);
    finding.expect(
        files <= FILES,
        format!("the journal was full in {files} files"),
    );
    Ok(finding)
}

fn full_under_database(stage: &Stage, disk: &Disk) -> Result<Finding> {
    let url = format!("sqlite:{}", disk.path().join("receipts.db").display());
    let home = Home::new(stage, &url)?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(6.0);
    let killed = load.elapsed();
    receiver.kill()?;
    let receiver = home.start();
    disk.resize("64m")?;
    // On a full disk it may refuse to start, but not once there is room.
    let receiver = receiver.or_else(|_| home.start())?;
    let starting = killed..load.elapsed();
    let (ledger, again) = until_taken_again(load)?;
    receiver.stop()?;
    let mut finding = Finding::compare(&ledger, &Store::kept_in(&url)?);
    expect_refused_at_once(&mut finding, &ledger, &starting, again);
    Ok(finding)
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

/// A small disk in memory.
struct Disk(TempDir);

impl Disk {
    /// Only root may.
    fn mount(size: &str) -> Result<Self> {
        let disk = Self(
            tempfile::Builder::new()
                .prefix("receiptd-faults-")
                .tempdir()?,
        );
        let options = format!("size={size},mode=0700");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], disk.path())?;
        Ok(disk)
    }

    fn resize(&self, size: &str) -> Result<()> {
        mount(&["-o", &format!("remount,size={size}")], self.path())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
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
