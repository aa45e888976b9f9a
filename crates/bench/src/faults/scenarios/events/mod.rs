//! Events are delivered while something fails.
//!
//! Every event of every stored report arrives at least once, the events of one message in order.
//! Which events those are is computed from the log and read from the operator's API, and both must
//! agree.

pub mod clock;
mod subscribers;

use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use self::subscribers::Subscribers;
use super::DEADLINE;
use super::clients::most_memory;
use super::receiver::random_pause;
use crate::events::feed::{self, PRIVATE_TARGETS, StartAt};
use crate::events::subscriber::{Behavior, Subscriber};
use crate::faults::load::RecordedLoad;
use crate::faults::store::ScenarioStore;
use crate::faults::trial::{DatabaseFault, Trial, TrialOptions, pause};
use crate::faults::verdict::Verdict;
use crate::wait::until;

/// A subscriber that responds slowly, so that dozens of events are in flight.
const SLOW: Behavior = Behavior::AcceptWithin(Duration::from_millis(300));

/// A trial whose events may be sent to this machine, with short leases.
fn prepare(options: &TrialOptions) -> Result<Trial> {
    let settings = [PRIVATE_TARGETS, ("RECEIPTD_PUSH_LEASE_SECONDS", "2")];
    Trial::prepare_with(options, &settings, false)
}

/// The same, with a receiver that delivers no events.
fn prepare_without_workers(options: &TrialOptions) -> Result<Trial> {
    let mut trial = prepare(options)?;
    trial.receiver = trial.installation.receiver(&["serve", "--no-workers"]);
    Ok(trial)
}

/// Reports at a rate that leaves the machine idle in between.
fn load(options: &TrialOptions, trial: &Trial) -> RecordedLoad {
    RecordedLoad {
        connections: 16,
        rate: Some(options.choose(400, 200)),
        ..trial.load()
    }
}

/// The server is stopped for longer than a lease lasts.
pub fn outage(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = prepare(options)?.started()?;
    let subscribers = Subscribers::new(&trial, 2)?;
    subscribers.set(SLOW);
    let load = load(options, &trial).start();
    pause(3.0);
    trial.begin(DatabaseFault::Down)?;
    pause(10.0);
    trial.end(DatabaseFault::Down)?;
    pause(5.0);
    let ledger = load.stop()?;
    trial.receiver.wait_until_drained()?;
    let journaled = trial.receiver.journaled()?;
    let mut verdict = subscribers.settle(&mut trial, &ledger)?;
    verdict.expect_journal_used(journaled);
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// The database is restored on a server with lower transaction ids. Subscriptions are after the
/// last report of its log; later events are delivered all the same.
pub fn restored(options: &TrialOptions) -> Result<Verdict> {
    /// Uses up transaction ids, as other work in the same cluster does.
    const CONSUME_IDS: &str = "do $$ begin
        for nth in 1..3000 loop
            perform pg_current_xact_id();
            commit;
        end loop;
    end $$";
    let mut trial = prepare(options)?.started()?;
    trial.store.server()?.execute(CONSUME_IDS)?;
    let subscribers = Subscribers::new(&trial, 1)?;
    trial.receiver.stop()?;
    let restored = ScenarioStore::Server(trial.store.server()?.restore_elsewhere()?);
    trial.installation.use_database(&restored.url());
    let _old = mem::replace(&mut trial.store, restored);
    trial.receiver.start()?;
    let load = RecordedLoad {
        reports: 500,
        ..trial.load()
    };
    let ledger = load.run()?;
    let mut verdict = subscribers.settle(&mut trial, &ledger)?;
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// The subscriber does not listen for a while; reports continue.
pub fn subscriber_away(options: &TrialOptions) -> Result<Verdict> {
    /// The longest interval between two probes, a quarter longer by jitter, and a little more.
    const PROBE_LIMIT: Duration = Duration::from_secs(78);
    /// How long it may take to deliver the events of two minutes.
    const CATCH_UP_LIMIT: Duration = Duration::from_mins(1);
    let mut trial = prepare(options)?.started()?;
    let subscribers = Subscribers::new(&trial, 1)?;
    let load = load(options, &trial).start();
    let before = subscribers.until_accepted(200, Duration::from_secs(20));
    subscribers.set(Behavior::Away);
    pause(options.choose(120.0, 10.0));
    subscribers.set(Behavior::Accept);
    let back = Instant::now();
    let again = subscribers.until_accepted(1, PROBE_LIMIT);
    let probed = back.elapsed();
    // Reports continue, so one second of them may wait.
    let caught_up = subscribers.until_lag_at_most(400, CATCH_UP_LIMIT);
    let took = back.elapsed().saturating_sub(probed);
    let ledger = load.stop()?;
    let mut verdict = subscribers.settle(&mut trial, &ledger)?;
    verdict.note(format!(
        "probed after {probed:.1?}, caught up in {took:.1?}"
    ));
    verdict.expect(before, "nothing was delivered before");
    verdict.expect_in_time(again, "it was not probed");
    verdict.expect_in_time(caught_up, "it did not catch up");
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// The subscriber answers 500 to one event in twenty.
pub fn subscriber_fails(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = prepare(options)?.started()?;
    let subscribers = Subscribers::new(&trial, 1)?;
    subscribers.set(Behavior::FailOneIn(20));
    let load = load(options, &trial).start();
    pause(10.0);
    let mut verdict = subscribers.settle(&mut trial, &load.stop()?)?;
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// A killed worker is replaced when its lease has expired and another worker has looked for it.
const REPLACEMENT_LIMIT: Duration = Duration::from_secs(15);

/// A worker beside a receiver that only accepts reports is killed at random moments and started
/// again, every second time before it has begun to work.
pub fn worker_killed(options: &TrialOptions) -> Result<Verdict> {
    let kills: u16 = options.choose(20, 3);
    let mut trial = prepare_without_workers(options)?.started()?;
    let subscribers = Subscribers::new(&trial, 1)?;
    subscribers.set(SLOW);
    let mut worker = trial.installation.receiver(&["worker"]);
    worker.launch()?;
    let load = load(options, &trial).start();
    let mut at_work = 0;
    for number in 0..kills {
        let before = subscribers.accepted();
        if number % 2 == 0 {
            subscribers.until_accepted(1, REPLACEMENT_LIMIT);
        }
        thread::sleep(random_pause(options, number, 700));
        at_work += u16::from(subscribers.accepted() > before);
        worker.launch()?;
    }
    let again = subscribers.until_accepted(1, REPLACEMENT_LIMIT);
    let ledger = load.stop()?;
    let mut verdict = subscribers.settle(&mut trial, &ledger)?;
    worker.kill()?;
    verdict.note(format!("killed {kills} times"));
    verdict.expect(
        at_work >= kills / 2,
        format!("it delivered before {at_work} of {kills} kills only"),
    );
    verdict.expect_in_time(again, "nothing was delivered after the last start");
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// A second worker takes its fair share of five subscriptions. One is killed and the other takes
/// over; it is started again, and the other is killed.
pub fn workers_share(options: &TrialOptions) -> Result<Verdict> {
    /// A worker claims its share every second, and another one releases what is over quota within
    /// a third of a lease, when the events in flight have completed.
    const SHARE_LIMIT: Duration = Duration::from_secs(10);
    let mut trial = prepare_without_workers(options)?.started()?;
    let [mut first, mut second] = [(); 2].map(|()| trial.installation.receiver(&["worker"]));
    first.launch()?;
    let subscribers = Subscribers::new(&trial, 5)?;
    subscribers.set(SLOW);
    let mut load = load(options, &trial);
    // Each event is delivered five times.
    load.rate = load.rate.map(|rate| rate / 2);
    let load = load.start();
    subscribers.until_accepted(500, REPLACEMENT_LIMIT);
    let alone = subscribers.until_shared(&[5], SHARE_LIMIT);
    second.launch()?;
    let shared = subscribers.until_shared(&[2, 3], SHARE_LIMIT);
    subscribers.until_accepted(500, REPLACEMENT_LIMIT);
    first.kill()?;
    let taken_over = subscribers.until_shared(&[5], REPLACEMENT_LIMIT);
    first.launch()?;
    let shared_again = subscribers.until_shared(&[2, 3], SHARE_LIMIT);
    subscribers.until_accepted(500, REPLACEMENT_LIMIT);
    second.kill()?;
    let again = subscribers.until_accepted(500, REPLACEMENT_LIMIT);
    pause(1.0);
    let ledger = load.stop()?;
    let mut verdict = subscribers.settle(&mut trial, &ledger)?;
    first.kill()?;
    verdict.note("five subscriptions");
    for (holds, otherwise) in [
        (alone, "one worker alone did not have them all"),
        (shared, "a second worker did not get its share"),
        (taken_over, "one worker did not take over from the other"),
        (shared_again, "a restarted worker did not get its share"),
        (again, "nothing was delivered after the last kill"),
    ] {
        verdict.expect_in_time(holds, otherwise);
    }
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// Beside a healthy endpoint, 450 endpoints hang and 450 answer 500 to everything.
pub fn failing_endpoints(options: &TrialOptions) -> Result<Verdict> {
    const EACH: usize = 450;
    const ARRIVAL_LIMIT: Duration = Duration::from_secs(20);
    const MEMORY_LIMIT: u64 = 256 << 20;
    let mut trial = Trial::prepare_with(options, &[PRIVATE_TARGETS], false)?.started()?;
    let subscribers = Subscribers::new(&trial, 1)?;
    let load = load(options, &trial);
    let wanted = load.rate.map_or(0.0, f64::from);
    let load = load.start();
    pause(5.0);
    let (memory, alone) = (trial.receiver.memory()?, Duration::ZERO..load.elapsed());
    let mut endpoints = Vec::new();
    for behavior in [Behavior::Hang, Behavior::FailOneIn(1)] {
        let endpoint = Subscriber::counting()?;
        endpoint.set(behavior);
        for number in 0..EACH {
            let url = format!("{}?endpoint={number}", endpoint.url());
            feed::subscribe(trial.installation.operator, &url, StartAt::Now)?;
        }
        endpoints.push(endpoint);
    }
    let began = load.elapsed();
    let most = most_memory(&trial.receiver, 60, 0.5)?;
    let before = subscribers.accepted();
    let interval = Duration::from_millis(20);
    let delivered = until(ARRIVAL_LIMIT, interval, || {
        subscribers.accepted() > before + 100
    });
    let beside = began..load.elapsed();
    let ledger = load.stop()?;
    let open_files = trial.receiver.open_files()?;
    let mut verdict = subscribers.settle(&mut trial, &ledger)?;
    let (p50_alone, p50_beside) = (ledger.median(&alone), ledger.median(&beside));
    let kept = ledger.rate(&beside) / wanted;
    let grown = most.saturating_sub(memory);
    verdict.note(format!(
        "{} endpoints; p50 {p50_alone:.1?} alone, {p50_beside:.1?} beside them; {:.0} % of the \
         rate; memory + {} MiB; {open_files} open files",
        2 * EACH,
        100.0 * kept,
        grown >> 20,
    ));
    verdict.expect_in_time(kept >= 0.95, "reports were held up");
    verdict.expect_in_time(
        p50_beside <= Duration::from_millis(200),
        "reports were slowed down",
    );
    verdict.expect_in_time(delivered, "events to the healthy endpoint were held up");
    verdict.expect(grown <= MEMORY_LIMIT, "memory grew");
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}
