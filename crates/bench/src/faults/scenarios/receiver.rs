//! The receiver is killed, has replicas, or cannot write its log.

use std::fs::File;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use traffic::stream::scramble;

use super::DEADLINE;
use crate::faults::ledger::Ledger;
use crate::faults::load::RecordedLoad;
use crate::faults::store::DatabaseEngine;
use crate::faults::trial::{DatabaseFault, Trial, TrialOptions, install, pause};
use crate::faults::verdict::Verdict;

/// Killed at random moments under load, also while it starts, and started on the same data.
pub fn killed(options: &TrialOptions) -> Result<Verdict> {
    let kills: u16 = options.choose(20, 6);
    let mut trial = Trial::start(options)?;
    let load = RecordedLoad {
        rate: Some(6_000),
        ..trial.load()
    };
    let load = load.start();
    let mut alive = 0;
    for number in 0..kills {
        let before = load.acknowledged();
        thread::sleep(random_pause(options, number, 900) + Duration::from_millis(20));
        // Every second time after its start, however long that takes.
        if number % 2 == 0 && load.acknowledged() == before {
            load.until_acknowledged(1);
        }
        trial.receiver.kill()?;
        alive += u16::from(load.acknowledged() > before);
        trial.receiver.launch()?;
    }
    let again = load.until_acknowledged(1);
    pause(1.0);
    let mut verdict = trial.settle(&load.stop()?)?;
    verdict.note(format!("killed {kills} times"));
    verdict.expect(
        alive >= kills / 3,
        format!("it accepted reports before {alive} of {kills} kills only"),
    );
    verdict.expect(again, "nothing was accepted after the last start");
    verdict.expect_none_refused();
    Ok(verdict)
}

/// A pause below `limit` milliseconds that follows from the seed.
pub fn random_pause(options: &TrialOptions, number: u16, limit: u64) -> Duration {
    Duration::from_millis(scramble(options.seed ^ u64::from(number) << 32) % limit)
}

/// The reports of every message go to either of two receivers in any order, some to both.
pub fn replicas(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let other = install(options, &trial.store.url())?.with(&[("RECEIPTD_WRITERS", "2")]);
    let other = Arc::new(other);
    let mut second = other.receiver(&["serve"]);
    second.start()?;
    // Two loads of the same reports: each is sent twice, on another connection.
    let load = RecordedLoad {
        receivers: vec![trial.installation.public, other.public],
        reports: options.choose(60_000, 15_000),
        ..trial.saturating_load(32)
    };
    let (load, same) = (load.clone().start(), load.start());
    let mut ledger = load.finish()?;
    ledger.add(same.finish()?);
    second.wait_until_drained()?;
    second.stop()?;
    let mut verdict = trial.settle(&ledger)?;
    verdict.note("each sent twice");
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// Two receivers, or one on SQLite, are killed at random moments while they count statistics.
pub fn counting_killed(options: &TrialOptions) -> Result<Verdict> {
    let kills: u16 = options.choose(16, 6);
    let mut trial = Trial::start(options)?;
    let mut receivers = vec![trial.installation.public];
    let mut other = None;
    if options.engine == DatabaseEngine::Postgres {
        let installation = Arc::new(install(options, &trial.store.url())?);
        let mut receiver = installation.receiver(&["serve"]);
        receiver.start()?;
        receivers.push(installation.public);
        other = Some(receiver);
    }
    let load = RecordedLoad {
        receivers,
        ..trial.load()
    };
    let load = load.start();
    for number in 0..kills {
        // Long enough to count for a while: a reader looks for reports once a second.
        thread::sleep(random_pause(options, number, 1_500) + Duration::from_millis(500));
        let receiver = match &mut other {
            Some(other) if number % 2 == 0 => other,
            _ => &mut trial.receiver,
        };
        receiver.kill()?;
        receiver.launch()?;
    }
    load.until_acknowledged(1);
    pause(1.0);
    let ledger = load.stop()?;
    if let Some(mut other) = other {
        other.wait_until_drained()?;
        other.stop()?;
    }
    let mut verdict = trial.settle(&ledger)?;
    verdict.note(format!("statistics equal a recount; killed {kills} times"));
    verdict.expect_none_refused();
    Ok(verdict)
}

/// Every request and an outage of the database are logged, but standard error is a pipe that
/// nothing reads, a closed pipe, or on a full disk. All reports are accepted.
pub fn log_unwritable(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::prepare_with(options, &[("RECEIPTD_LOG", "debug")], false)?;
    let full = || File::options().write(true).open("/dev/full");
    let logs = [
        (Stdio::piped(), true),
        (Stdio::piped(), false),
        (full()?.into(), false),
    ];
    let mut ledger = Ledger::default();
    let mut dropped = Vec::new();
    for (stream, (stderr, stays_open)) in (1..).zip(logs) {
        let reader = trial.receiver.launch_with_stderr(stderr)?;
        let reader = reader.filter(|_| stays_open);
        trial.receiver.wait_until_ready()?;
        let load = RecordedLoad {
            stream,
            ..trial.load()
        };
        let load = load.start();
        pause(1.0);
        trial.begin(DatabaseFault::Down)?;
        pause(2.0);
        trial.end(DatabaseFault::Down)?;
        pause(1.0);
        ledger.add(load.stop()?);
        trial.receiver.wait_until_drained()?;
        dropped.push(trial.receiver.metric("receiptd_log_lines_dropped_total")?);
        trial.receiver.stop()?;
        drop(reader);
    }
    trial.receiver.start()?;
    let mut verdict = trial.settle(&ledger)?;
    verdict.note(format!(
        "{} log lines dropped and counted",
        dropped.iter().sum::<f64>()
    ));
    verdict.expect(
        dropped.iter().all(|dropped| *dropped > 0.0),
        format!("dropped log lines were not counted: {dropped:?}"),
    );
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}
