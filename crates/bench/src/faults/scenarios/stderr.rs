//! Standard error cannot be written, and there is much to log.

use std::fs::File;
use std::process::Stdio;

use anyhow::{Context as _, Result};

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::receiver::Receiver;
use crate::store::Store;

/// What becomes of the log.
#[derive(Clone, Copy)]
enum Log {
    /// It is a pipe that nothing reads, which is full soon.
    Unread,
    /// It is a pipe whose reader has gone away.
    Closed,
    /// Its disk is full.
    Full,
}

/// Every request is logged, and so is an outage of the database: all reports are taken.
pub fn unwritable(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?.with("RECEIPTD_LOG", "debug");
    home.add_channel()?;
    let mut ledger = Ledger::default();
    let mut dropped = Vec::new();
    for (stream, log) in (1..).zip([Log::Unread, Log::Closed, Log::Full]) {
        let receiver = start(&home, log)?;
        let mut load = Load::on(home.public());
        load.stream = stream;
        let load = load.start();
        pause(1.0);
        store.postgres()?.stop()?;
        pause(2.0);
        store.postgres()?.start_again()?;
        pause(1.0);
        ledger.add(load.stop()?);
        receiver.wait_until_drained()?;
        dropped.push(receiver.metric("receiptd_log_lines_dropped_total")?);
        receiver.stop()?;
    }
    let receiver = home.start()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.note(format!(
        "{} log lines dropped and counted",
        dropped.iter().sum::<f64>()
    ));
    finding.expect(
        dropped.iter().all(|dropped| *dropped > 0.0),
        format!("dropped log lines were not counted: {dropped:?}"),
    );
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

fn start(home: &RuntimeHandle, log: Log) -> Result<Receiver<'_>> {
    let stderr = match log {
        Log::Unread | Log::Closed => Stdio::piped(),
        Log::Full => File::options().write(true).open("/dev/full")?.into(),
    };
    let mut child = home.spawn_with_stderr(stderr)?;
    if let Log::Closed = log {
        let reader = child.stderr.take();
        drop(reader.context("standard error is a pipe")?);
    }
    let mut receiver = Receiver::of(home, child);
    receiver.wait_until_ready()?;
    Ok(receiver)
}
