//! Everything that can go wrong: a table of scenarios, and the functions that run them.

mod batches;
mod clients;
mod clock;
mod database;
mod disk;
mod events;
mod journal;
mod receiver;
mod stop;
mod twilio;

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::store::DatabaseEngine;
use super::trial::{DatabaseFault, TrialOptions};
use super::verdict::Verdict;
use database::{FEW_CONNECTIONS, Outage};
use stop::Stop;

/// The timeout of the database, and time for the journal.
const DEADLINE: Duration = Duration::from_secs(7);

pub struct Scenario {
    /// The name on the command line.
    pub name: &'static str,
    /// The name in the table.
    pub title: &'static str,
    pub engines: &'static [DatabaseEngine],
    /// On which of these engines a quick run includes it.
    pub quick: &'static [DatabaseEngine],
    /// Whether it mostly waits and judges no rate, so that others may run at the same time.
    pub waits: bool,
    pub run: RunScenario,
}

type RunScenario = fn(&TrialOptions) -> Result<Verdict>;

const BOTH: &[DatabaseEngine] = &[DatabaseEngine::Postgres, DatabaseEngine::Sqlite];
const SERVER: &[DatabaseEngine] = &[DatabaseEngine::Postgres];
const EMBEDDED: &[DatabaseEngine] = &[DatabaseEngine::Sqlite];
const NONE: &[DatabaseEngine] = &[];

const MESSAGES_LOCKED: DatabaseFault = DatabaseFault::Locked("messages");
/// Tables that are read at the start.
const TABLES_LOCKED: DatabaseFault = DatabaseFault::Locked("reports_default, messages, channels");

/// All scenarios, in the order in which they run.
#[rustfmt::skip]
pub static SCENARIOS: [Scenario; 51] = [
    scenario("kill", "killed at random moments", BOTH, BOTH, receiver::killed),
    scenario("statistics", "killed while counting statistics", BOTH, BOTH,
        receiver::counting_killed),
    scenario("outage", "database away", SERVER, SERVER, |options| {
        let outage = Outage { lasting: (30.0, 10.0), ..Outage::of(DatabaseFault::Down) };
        outage.run(options)
    }),
    scenario("outage-kill", "database away, receiver killed", SERVER, SERVER,
        database::down_with_kills),
    scenario("batch-kill", "batches of Infobip's, killed at random moments", BOTH, EMBEDDED,
        batches::killed),
    scenario("batch-outage", "batches of Infobip's, database away", SERVER, SERVER,
        batches::outage),
    scenario("storm", "everything unanswered sent again, by four senders at once", BOTH, SERVER,
        batches::redelivery_storm),
    scenario("late", "database 3 s late", SERVER, NONE, |options| {
        let outage = Outage::of(DatabaseFault::Late);
        Outage { lasting: (20.0, 10.0), uses_journal: false, ..outage }.run(options)
    }).waiting(),
    scenario("silence", "database silent for 12 s", SERVER, NONE, |options| {
        let outage = Outage::of(DatabaseFault::Silent);
        Outage { settings: FEW_CONNECTIONS, uses_journal: false, ..outage }.run(options)
    }).waiting(),
    scenario("forgotten", "connections silent forever", SERVER, NONE, |options| {
        let outage = Outage { readers: true, ..Outage::of(DatabaseFault::Abandoned) };
        Outage { settings: FEW_CONNECTIONS, uses_journal: false, ..outage }.run(options)
    }).waiting(),
    scenario("locks", "tables locked, all connections taken", SERVER, NONE, |options| {
        let outage = Outage { readers: true, ..Outage::of(MESSAGES_LOCKED) };
        Outage { settings: FEW_CONNECTIONS, lasting: (15.0, 8.0), ..outage }.run(options)
    }).waiting(),
    scenario("row-lock", "one row locked for 12 s", SERVER, NONE, database::row_locked).waiting(),
    scenario("partition", "partitions missing for 8 s", SERVER, NONE, |options| {
        let outage = Outage::of(DatabaseFault::NoPartition);
        Outage { before: 0.0, lasting: (8.0, 8.0), after: 2.0, ..outage }.run(options)
    }).waiting(),
    scenario("failover", "failover, old primary read-only", SERVER, NONE,
        database::old_primary_read_only).waiting(),
    scenario("restored", "database restored on another server", SERVER, NONE,
        events::restored).waiting(),
    scenario("crowd", "tables locked, 3,000 reports a second at a fixed rate", SERVER, NONE,
        database::locked_under_open_load),
    scenario("restart-late", "restarted, database 3 s late", SERVER, NONE, |options| {
        database::receiver_restarted(options, DatabaseFault::Late)
    }),
    scenario("restart-silence", "restarted, database silent", SERVER, NONE, |options| {
        database::receiver_restarted(options, DatabaseFault::Silent)
    }),
    scenario("restart-locks", "restarted, tables locked", SERVER, NONE, |options| {
        database::receiver_restarted(options, TABLES_LOCKED)
    }),
    scenario("idle", "database restarted while idle", SERVER, SERVER,
        database::restarted_while_idle).waiting(),
    scenario("journal-full", "journal full", SERVER, SERVER, journal::full),
    scenario("disk-full", "disk full", BOTH, NONE, disk::full),
    scenario("damage", "journal cut in the middle", SERVER, SERVER, journal::damaged),
    scenario("replicas", "two receivers, orders split", SERVER, SERVER, receiver::replicas),
    scenario("poison", "one poison among 999", BOTH, BOTH, journal::poison),
    scenario("poison-journal", "one poison among 999 in the journal", SERVER, NONE,
        journal::poison_in_journal),
    scenario("stop", "SIGTERM under load", BOTH, BOTH, |options| {
        Stop { fault: None, before: 2.0, lasting: 0.0, slow_clients: 0 }.run(options)
    }),
    scenario("stop-outage", "SIGTERM, database away", SERVER, NONE, |options| {
        Stop::during(DatabaseFault::Down, 7.0).run(options)
    }).waiting(),
    scenario("stop-silence", "SIGTERM, database silent", SERVER, NONE, |options| {
        Stop::during(DatabaseFault::Silent, 8.0).run(options)
    }).waiting(),
    scenario("stop-locks", "SIGTERM, tables locked", SERVER, NONE, |options| {
        Stop::during(MESSAGES_LOCKED, 2.0).run(options)
    }).waiting(),
    scenario("stop-slow", "SIGTERM, database silent, 64 slow clients", SERVER, NONE, |options| {
        Stop { slow_clients: 64, ..Stop::during(DatabaseFault::Silent, 2.0) }.run(options)
    }),
    scenario("slowloris", "500 slow clients", BOTH, NONE, clients::slow),
    scenario("clock", "clock set back by an hour", BOTH, BOTH, clock::set_back),
    scenario("clock-wrong", "retention with a clock 91 days ahead, 300 behind", BOTH, BOTH,
        clock::wrong),
    scenario("lock", "write lock held by another process for 20 s", EMBEDDED, NONE, |options| {
        database::write_locked(options, false)
    }).waiting(),
    scenario("lock-kill", "write lock held for 20 s, receiver killed", EMBEDDED, NONE, |options| {
        database::write_locked(options, true)
    }).waiting(),
    scenario("passwords", "flood of wrong passwords", BOTH, NONE, clients::wrong_passwords),
    scenario("unproven", "9,000 connections without credentials", BOTH, NONE,
        clients::unauthenticated),
    scenario("unproven-operator", "1,200 connections that hold the operator's listener", BOTH, NONE,
        clients::operators_listener),
    scenario("unproven-heads", "1,000 heads of requests that do not end", BOTH, NONE,
        clients::endless_heads),
    scenario("rejections", "700 rejected reports a second", BOTH, NONE, clients::rejected),
    scenario("speed", "journal at full speed", SERVER, NONE, journal::speed),
    scenario("stderr", "standard error unread, closed, full; database away", SERVER, NONE,
        receiver::log_unwritable).waiting(),
    scenario("subscriber", "subscriber away", BOTH, EMBEDDED, events::subscriber_away).waiting(),
    scenario("subscriber-fails", "subscriber fails now and then", BOTH, NONE,
        events::subscriber_fails).waiting(),
    scenario("worker", "worker killed at random moments", BOTH, BOTH, events::worker_killed),
    scenario("workers", "two workers, each killed once", BOTH, SERVER,
        events::workers_share).waiting(),
    scenario("endpoints", "900 endpoints that hang or fail", BOTH, NONE, events::failing_endpoints),
    scenario("push-clock", "clock set back while events are pushed", BOTH, BOTH,
        events::clock::set_back),
    scenario("twilio", "Twilio's API away, reports lost", BOTH, EMBEDDED,
        twilio::api_away).waiting(),
    scenario("push-outage", "database away while events are pushed", SERVER, NONE,
        events::outage).waiting(),
];

const fn scenario(
    name: &'static str,
    title: &'static str,
    engines: &'static [DatabaseEngine],
    quick: &'static [DatabaseEngine],
    run: RunScenario,
) -> Scenario {
    Scenario {
        name,
        title,
        engines,
        quick,
        waits: false,
        run,
    }
}

impl Scenario {
    const fn waiting(self) -> Self {
        Self {
            waits: true,
            ..self
        }
    }
}

/// The result of a thread.
fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().ok().context("a thread panicked")?
}
