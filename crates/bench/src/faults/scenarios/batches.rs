//! Requests with many reports, of an integrator that sends again what was not answered.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::DEADLINE;
use super::receiver::random_pause;
use crate::faults::ledger::Ledger;
use crate::faults::load::{RecordedLoad, RunningLoad};
use crate::faults::trial::{DatabaseFault, Trial, TrialOptions, pause};
use crate::faults::verdict::Verdict;
use crate::wait::until;

/// How many senders send the same requests in a storm.
const SENDERS: usize = 4;

/// How long a storm may last.
const STORM_LIMIT: Duration = Duration::from_mins(3);

/// Killed at random moments: each batch that was answered is stored with all its reports.
pub fn killed(options: &TrialOptions) -> Result<Verdict> {
    let kills: u16 = options.choose(20, 4);
    let mut trial = Trial::start_for_infobip(options, &[])?;
    let load = trial.batch_load().start();
    kill_at_random(options, &mut trial, kills, || load.until_acknowledged(1))?;
    let again = load.until_acknowledged(1);
    pause(1.0);
    let mut verdict = trial.settle(&load.stop()?)?;
    verdict.note(format!("killed {kills} times"));
    verdict.expect(again, "nothing was accepted after the last start");
    verdict.expect_none_refused();
    Ok(verdict)
}

/// PostgreSQL is stopped as by a crash: batches go to the journal, with all their reports.
pub fn outage(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = Trial::start_for_infobip(options, &[])?;
    let load = trial.batch_load().start();
    pause(2.0);
    trial.begin(DatabaseFault::Down)?;
    pause(options.choose(20.0, 5.0));
    trial.end(DatabaseFault::Down)?;
    pause(options.choose(3.0, 1.0));
    let ledger = load.stop()?;
    trial.receiver.wait_until_drained()?;
    let journaled = trial.receiver.journaled()?;
    let mut verdict = trial.settle(&ledger)?;
    verdict.expect_journal_used(journaled);
    let rejections = trial.store.stored()?.rejections;
    verdict.expect(rejections == 0, format!("{rejections} rejections"));
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// Four senders send the same batches, close the connection when an answer takes a few
/// milliseconds, and send again whatever was not answered with success, while the receiver is
/// killed again and again and its queue holds three batches. In the end every report was accepted
/// and is in the log once.
pub fn redelivery_storm(options: &TrialOptions) -> Result<Verdict> {
    let kills: u16 = options.choose(8, 2);
    let mut trial = Trial::start_for_infobip(options, &[("RECEIPTD_QUEUE", "300")])?;
    let load = RecordedLoad {
        reports: options.choose(15_000, 3_000),
        rate: None,
        redelivers_after: Some(Duration::from_millis(10)),
        ..trial.batch_load()
    };
    let loads = [(); SENDERS].map(|()| load.clone().start());
    kill_at_random(options, &mut trial, kills, || true)?;
    let ended = until(STORM_LIMIT, Duration::from_millis(50), || {
        loads.iter().all(RunningLoad::is_finished)
    });
    let mut ledger = Ledger::default();
    for load in loads {
        ledger.add(load.stop()?);
    }
    let sent = ledger.sent().len();
    let requests = ledger.exchanges.len() / usize::try_from(load.batch)?;
    let mut verdict = trial.settle(&ledger)?;
    verdict.note(format!("{requests} requests; killed {kills} times"));
    verdict.expect(
        ended,
        format!("not everything is accepted after {STORM_LIMIT:?}"),
    );
    let accepted = verdict.acknowledged;
    verdict.expect(
        accepted == sent,
        format!("{accepted} of {sent} reports were accepted in the end"),
    );
    verdict.expect(verdict.unanswered > 0, "nothing was sent again");
    Ok(verdict)
}

/// Kills the receiver so many times and starts it on the same data. `ready` waits before every
/// second time.
fn kill_at_random(
    options: &TrialOptions,
    trial: &mut Trial,
    kills: u16,
    ready: impl Fn() -> bool,
) -> Result<()> {
    for number in 0..kills {
        thread::sleep(random_pause(options, number, 900) + Duration::from_millis(20));
        if number % 2 == 0 {
            ready();
        }
        trial.receiver.kill()?;
        trial.receiver.launch()?;
    }
    trial.receiver.wait_until_ready()
}
