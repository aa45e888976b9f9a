//! The database fails for a while under load.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::DEADLINE;
use crate::faults::ledger::{Ledger, slowest};
use crate::faults::load::RecordedLoad;
use crate::faults::open_load::OpenLoad;
use crate::faults::store::ScenarioStore;
use crate::faults::trial::{DatabaseFault, Trial, TrialOptions, beside_readers, pause};
use crate::faults::verdict::Verdict;

/// How long a receiver may take to record into the database again.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);

/// Two connections to read with, and two to record with.
pub const FEW_CONNECTIONS: &[(&str, &str)] = &[("RECEIPTD_DATABASE_CONNECTIONS", "4")];

/// A fault under load, and what is expected.
pub struct Outage {
    pub fault: DatabaseFault,
    pub settings: &'static [(&'static str, &'static str)],
    /// Whether clients read messages on all connections to the database.
    pub readers: bool,
    /// Seconds before the fault.
    pub before: f32,
    /// Seconds that the fault lasts, and in a quick run.
    pub lasting: (f32, f32),
    /// Seconds after the fault.
    pub after: f32,
    /// Whether reports must have gone to the journal.
    pub uses_journal: bool,
}

impl Outage {
    pub const fn of(fault: DatabaseFault) -> Self {
        Self {
            fault,
            settings: &[],
            readers: false,
            before: 2.0,
            lasting: (12.0, 12.0),
            after: 3.0,
            uses_journal: true,
        }
    }

    pub fn run(&self, options: &TrialOptions) -> Result<Verdict> {
        let trial = Trial::prepare_with(options, self.settings, self.fault.needs_proxy())?;
        let mut trial = trial.started()?;
        // Without a partition nothing is stored from the first report on.
        let begins_before_load = self.fault == DatabaseFault::NoPartition;
        if begins_before_load {
            trial.begin(self.fault)?;
        }
        let load = trial.load().start();
        let installation = trial.installation.clone();
        let mut outage = || {
            pause(self.before);
            if !begins_before_load {
                trial.begin(self.fault)?;
            }
            pause(options.choose(self.lasting.0, self.lasting.1));
            trial.end(self.fault)
        };
        if self.readers {
            beside_readers(&installation, outage)?;
        } else {
            outage()?;
        }
        pause(self.after);
        let ledger = load.stop()?;
        let recovered = trial.receiver.wait_until_drained()?;
        let journaled = trial.receiver.journaled()?;
        let mut verdict = trial.settle(&ledger)?;
        verdict.note(format!("{journaled} went to the journal"));
        verdict.expect(
            journaled > 0.0 || !self.uses_journal,
            "the journal was not used",
        );
        let rejections = trial.store.stored()?.rejections;
        verdict.expect(rejections == 0, format!("{rejections} rejections"));
        if let DatabaseFault::Silent | DatabaseFault::Abandoned = self.fault {
            verdict.expect_in_time(
                recovered <= RECOVERY_LIMIT,
                format!("it took {recovered:.0?} to recover"),
            );
        }
        verdict.expect_all_accepted_within(DEADLINE);
        Ok(verdict)
    }
}

/// The receiver is killed and started while the server is down, and again while the journal is
/// drained.
pub fn down_with_kills(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let load = trial.load().start();
    pause(2.0);
    trial.begin(DatabaseFault::Down)?;
    pause(options.choose(12.0, 7.0));
    trial.receiver.start()?;
    let (status, _) = trial.receiver.health()?;
    pause(options.choose(13.0, 3.0));
    trial.end(DatabaseFault::Down)?;
    pause(0.7);
    trial.receiver.start()?;
    pause(2.0);
    let mut verdict = trial.settle(&load.stop()?)?;
    verdict.expect(
        status == 200,
        "it is not ready without its database, so load balancers stop sending",
    );
    verdict.expect_none_refused();
    verdict.expect_responses_within(DEADLINE);
    Ok(verdict)
}

/// Another process, such as a backup tool, holds the write lock of SQLite for 20 s. With `kill` the
/// receiver is killed and started in between.
pub fn write_locked(options: &TrialOptions, kill: bool) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let load = trial.load().start();
    pause(1.0);
    trial.begin(DatabaseFault::WriteLocked)?;
    pause(10.0);
    if kill {
        trial.receiver.start()?;
    }
    pause(10.0);
    let journaled = trial.receiver.journaled()?;
    let (status, _) = trial.receiver.health()?;
    trial.end(DatabaseFault::WriteLocked)?;
    pause(2.0);
    let mut verdict = trial.settle(&load.stop()?)?;
    verdict.expect_journal_used(journaled);
    verdict.expect(status == 200, format!("/readyz answered {status}"));
    if kill {
        verdict.expect_responses_within(DEADLINE);
    } else {
        verdict.expect_all_accepted_within(DEADLINE);
    }
    Ok(verdict)
}

/// The server is restarted while no request is in flight; the next report is accepted.
pub fn restarted_while_idle(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let mut ledger = Ledger::default();
    let send = |trial: &Trial, stream, reports| {
        let load = RecordedLoad {
            reports,
            stream,
            ..trial.saturating_load(1)
        };
        load.run()
    };
    for stream in 1..=5 {
        ledger.add(send(&trial, stream, 1)?);
        // Both with connections that were just used and with idle ones.
        pause(if stream % 2 == 0 { 2.5 } else { 0.2 });
        trial.begin(DatabaseFault::Down)?;
        trial.end(DatabaseFault::Down)?;
    }
    ledger.add(send(&trial, 9, 20)?);
    let mut verdict = trial.settle(&ledger)?;
    verdict.expect_all_accepted_within(Duration::from_secs(1));
    Ok(verdict)
}

/// A session locks the row of one message; the other messages are recorded meanwhile.
pub fn row_locked(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start(options)?;
    let first = RecordedLoad {
        reports: 300,
        ..trial.load()
    };
    let mut ledger = first.run()?;
    let server = trial.store.server()?;
    let lock = server.lock(
        "select from messages where sid = (select sid from messages order by sid limit 1) \
         for update",
    )?;
    let recorded = || server.query("select sum(cardinality(report_ids))::text from messages");
    let before: u64 = recorded()?.parse()?;
    // The same messages again, and more.
    let again = trial.load().start();
    pause(12.0);
    let meanwhile = recorded()?.parse::<u64>()? - before;
    let sent = again.acknowledged();
    drop(lock);
    ledger.add(again.stop()?);
    let mut verdict = trial.settle(&ledger)?;
    verdict.note(format!("{meanwhile} reports recorded beside the lock"));
    verdict.expect(
        meanwhile > sent / 2,
        format!("only {meanwhile} of {sent} reports were recorded beside the lock"),
    );
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// A table is locked while reports arrive at a fixed rate, whether earlier ones were answered or
/// not.
pub fn locked_under_open_load(options: &TrialOptions) -> Result<Verdict> {
    const LOCKED: DatabaseFault = DatabaseFault::Locked("messages");
    let mut trial = Trial::start(options)?;
    let load = OpenLoad {
        receiver: trial.installation.public,
        rate: 3_000,
        duration: Duration::from_secs(12),
        connections: 8_000,
    };
    let load = load.start();
    pause(1.0);
    trial.begin(LOCKED)?;
    pause(9.0);
    trial.end(LOCKED)?;
    let (ledger, connections) = super::join(load)?;
    let mut verdict = trial.settle(&ledger)?;
    let slowest_refusal = slowest(&mut ledger.refused());
    verdict.note(format!("{connections} connections at most"));
    verdict.expect_in_time(
        slowest_refusal < Duration::from_secs(1),
        format!("a refusal took {slowest_refusal:.1?}"),
    );
    verdict.expect(verdict.unanswered == 0, "requests were not answered");
    verdict.expect_in_time(
        verdict.slowest <= DEADLINE,
        format!("a response took {:.1?}", verdict.slowest),
    );
    Ok(verdict)
}

/// The receiver is killed and started while the database is at fault.
pub fn receiver_restarted(options: &TrialOptions, fault: DatabaseFault) -> Result<Verdict> {
    /// A few seconds for the database, and a busy machine.
    const START_LIMIT: Duration = Duration::from_secs(8);
    let trial = Trial::prepare_with(options, &[], fault.needs_proxy())?;
    let mut trial = trial.started()?;
    let load = trial.load().start();
    pause(1.0);
    trial.begin(fault)?;
    trial.receiver.kill()?;
    let killed = load.elapsed();
    trial.receiver.launch()?;
    let accepted = load.until_acknowledged(1);
    let took = load.elapsed().saturating_sub(killed);
    pause(2.0);
    trial.end(fault)?;
    pause(1.0);
    let mut verdict = trial.settle(&load.stop()?)?;
    verdict.expect(accepted, "it accepts nothing");
    if accepted {
        verdict.note(format!("accepts reports after {took:.1?}"));
        verdict.expect_in_time(took <= START_LIMIT, "that is too long");
    }
    verdict.expect_none_refused();
    verdict.expect_responses_within(DEADLINE);
    Ok(verdict)
}

/// A failover leaves the old primary running, read-only, with the old connections.
pub fn old_primary_read_only(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::prepare_with(options, &[], true)?;
    let old = trial.store.server()?;
    let standby = old.start_standby()?;
    trial.receiver.start()?;
    let load = trial.load().start();
    pause(2.0);
    old.execute("alter system set default_transaction_read_only = on")?;
    old.execute("select pg_reload_conf()")?;
    pause(1.0);
    let written = old.query("select pg_current_wal_lsn()::text")?;
    let replayed = format!("select (pg_last_wal_replay_lsn() >= '{written}'::pg_lsn)::text");
    let began = Instant::now();
    while standby.query(&replayed)? != "true" {
        ensure!(
            began.elapsed() < RECOVERY_LIMIT,
            "the standby does not follow"
        );
        pause(0.1);
    }
    standby.promote()?;
    trial.proxy()?.redirect(standby.address());
    let switched = Instant::now();
    trial.receiver.wait_until_drained()?;
    let recovered = switched.elapsed();
    pause(2.0);
    let ledger = load.stop()?;
    // The old primary runs until the end.
    let _old = std::mem::replace(&mut trial.store, ScenarioStore::Server(standby));
    let mut verdict = trial.settle(&ledger)?;
    verdict.note(format!("recording again after {recovered:.1?}"));
    verdict.expect_in_time(
        recovered <= RECOVERY_LIMIT,
        format!("it took {recovered:.0?} to recover"),
    );
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}
