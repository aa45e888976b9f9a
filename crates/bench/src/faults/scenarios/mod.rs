//! What can go wrong, one function each.

mod clients;
mod clock;
mod crash;
mod damage;
mod disk;
mod events;
mod failover;
mod lock;
mod outage;
mod poison;
mod rejections;
mod replicas;
mod restart;
mod schema;
mod slow;
mod speed;
mod stderr;
mod stop;
mod unproven;

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::Stage;
use crate::finding::Finding;
use crate::ledger::Ledger;
use crate::receiver::Receiver;
use crate::store::{Engine, Postgres, Store};

/// Something that can go wrong.
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is called in the table.
    pub title: &'static str,
    /// On which engines it is played.
    pub engines: &'static [Engine],
    /// On which of them it is one of the quick ones.
    pub quick: &'static [Engine],
    /// Whether most of it is waiting, and no rate is judged, so that others may
    /// be played at the same time.
    pub waits: bool,
    /// Plays it.
    pub run: fn(&Stage) -> Result<Finding>,
}

const BOTH: &[Engine] = &[Engine::Postgres, Engine::Sqlite];
/// Where there is no server, it cannot be away.
const SERVER: &[Engine] = &[Engine::Postgres];
const EMBEDDED: &[Engine] = &[Engine::Sqlite];

/// All of them, in the order in which they are played.
pub const SCENARIOS: [Scenario; 46] = [
    quick("kill", "killed at random moments", BOTH, crash::kill),
    quick("outage", "database away", SERVER, outage::outage),
    quick(
        "outage-kill",
        "database away, receiver killed",
        SERVER,
        outage::killed_meanwhile,
    ),
    waiting("late", "database 3 s late", SERVER, slow::late),
    waiting("silence", "database silent for 12 s", SERVER, slow::silence),
    waiting(
        "forgotten",
        "connections silent for good",
        SERVER,
        slow::forgotten,
    ),
    waiting(
        "locks",
        "tables locked, all connections taken",
        SERVER,
        slow::locks,
    ),
    waiting(
        "row-lock",
        "one row locked for 12 s",
        SERVER,
        slow::locked_row,
    ),
    waiting(
        "partition",
        "partitions missing for 8 s",
        SERVER,
        schema::missing_partitions,
    ),
    waiting(
        "failover",
        "failover, old primary read-only",
        SERVER,
        failover::old_primary_read_only,
    ),
    waiting(
        "restored",
        "database restored on another server",
        SERVER,
        events::restored::restored,
    ),
    slow(
        "crowd",
        "tables locked, 3,000 reports a second whatever comes of them",
        SERVER,
        slow::crowd,
    ),
    slow(
        "restart-late",
        "restarted, database 3 s late",
        SERVER,
        restart::late,
    ),
    slow(
        "restart-silence",
        "restarted, database silent",
        SERVER,
        restart::silence,
    ),
    slow(
        "restart-locks",
        "restarted, tables locked",
        SERVER,
        restart::locks,
    ),
    Scenario {
        waits: true,
        ..quick(
            "idle",
            "database restarted while idle",
            SERVER,
            outage::idle,
        )
    },
    quick("journal-full", "journal full", SERVER, disk::journal_full),
    slow("disk-full", "disk full", BOTH, disk::disk_full),
    quick(
        "damage",
        "journal cut in the middle",
        SERVER,
        damage::damage,
    ),
    quick(
        "replicas",
        "two receivers, orders split",
        SERVER,
        replicas::replicas,
    ),
    quick("poison", "one poison among 999", BOTH, poison::poison),
    slow(
        "poison-journal",
        "one poison among 999 in the journal",
        SERVER,
        poison::in_journal,
    ),
    quick("stop", "SIGTERM under load", BOTH, stop::under_load),
    waiting(
        "stop-outage",
        "SIGTERM, database away",
        SERVER,
        stop::in_outage,
    ),
    waiting(
        "stop-silence",
        "SIGTERM, database silent",
        SERVER,
        stop::in_silence,
    ),
    waiting(
        "stop-locks",
        "SIGTERM, tables locked",
        SERVER,
        stop::in_locks,
    ),
    slow(
        "stop-slow",
        "SIGTERM, database silent, 64 slow clients",
        SERVER,
        stop::beside_slow_clients,
    ),
    slow("slowloris", "500 slow clients", BOTH, clients::slowloris),
    quick("clock", "clock set back by an hour", BOTH, clock::set_back),
    quick(
        "clock-wrong",
        "retention with a clock 91 days ahead, 300 behind",
        BOTH,
        clock::wrong,
    ),
    waiting(
        "lock",
        "write lock held by another process for 20 s",
        EMBEDDED,
        lock::held,
    ),
    waiting(
        "lock-kill",
        "write lock held for 20 s, receiver killed",
        EMBEDDED,
        lock::held_and_killed,
    ),
    slow(
        "passwords",
        "flood of wrong passwords",
        BOTH,
        clients::wrong_passwords,
    ),
    slow(
        "unproven",
        "9,000 connections without credentials",
        BOTH,
        unproven::connections,
    ),
    slow(
        "unproven-operator",
        "1,200 connections that hold the operator's listener",
        BOTH,
        unproven::operator,
    ),
    slow(
        "unproven-heads",
        "1,000 heads of requests that do not end",
        BOTH,
        unproven::heads,
    ),
    slow(
        "rejections",
        "700 rejected reports a second",
        BOTH,
        rejections::rejections,
    ),
    slow("speed", "journal at full speed", SERVER, speed::speed),
    waiting(
        "stderr",
        "standard error unread, closed, full; database away",
        SERVER,
        stderr::unwritable,
    ),
    Scenario {
        quick: EMBEDDED,
        ..waiting(
            "subscriber",
            "subscriber away",
            BOTH,
            events::subscriber::away,
        )
    },
    waiting(
        "subscriber-fails",
        "subscriber fails now and then",
        BOTH,
        events::subscriber::fails,
    ),
    quick(
        "worker",
        "worker killed at random moments",
        BOTH,
        events::workers::killed,
    ),
    Scenario {
        quick: SERVER,
        ..waiting(
            "workers",
            "two workers, each killed once",
            BOTH,
            events::workers::shared,
        )
    },
    slow(
        "endpoints",
        "900 endpoints that hang or fail",
        BOTH,
        events::endpoints::crowd,
    ),
    quick(
        "push-clock",
        "clock set back while events are pushed",
        BOTH,
        events::clock::set_back,
    ),
    waiting(
        "push-outage",
        "database away while events are pushed",
        SERVER,
        events::outage::outage,
    ),
];

const fn quick(
    name: &'static str,
    title: &'static str,
    engines: &'static [Engine],
    run: fn(&Stage) -> Result<Finding>,
) -> Scenario {
    Scenario {
        quick: engines,
        ..slow(name, title, engines, run)
    }
}

const fn slow(
    name: &'static str,
    title: &'static str,
    engines: &'static [Engine],
    run: fn(&Stage) -> Result<Finding>,
) -> Scenario {
    Scenario {
        name,
        title,
        engines,
        quick: &[],
        waits: false,
        run,
    }
}

const fn waiting(
    name: &'static str,
    title: &'static str,
    engines: &'static [Engine],
    run: fn(&Stage) -> Result<Finding>,
) -> Scenario {
    Scenario {
        waits: true,
        ..slow(name, title, engines, run)
    }
}

/// The deadline for the database, and time for the journal.
const DEADLINE: Duration = Duration::from_secs(7);

/// How long a receiver may take to stop.
const STOP: Duration = Duration::from_secs(20);

fn pause(seconds: f32) {
    thread::sleep(Duration::from_secs_f32(seconds));
}

impl Store {
    /// The server, where there is one.
    fn postgres(&self) -> Result<&Postgres> {
        match self {
            Self::Server(postgres) => Ok(postgres),
            Self::File(_) => anyhow::bail!("an embedded database cannot be away"),
        }
    }
}

/// Lets a receiver recover, stops it, and compares.
fn settle(store: &Store, receiver: Receiver<'_>, ledger: &Ledger) -> Result<Finding> {
    receiver.wait_until_drained()?;
    receiver.stop()?;
    Ok(Finding::compare(ledger, &store.kept()?))
}
