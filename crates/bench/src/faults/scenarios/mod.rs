//! What can go wrong, one function each.

mod clients;
mod crash;
mod damage;
mod disk;
mod events;
mod outage;
mod poison;
mod replicas;
mod restart;
mod slow;
mod speed;
mod stop;

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
    /// On which engines it is one of the quick ones.
    pub quick: &'static [Engine],
    /// Where it is played.
    pub place: Place,
}

/// Where a scenario is played.
pub enum Place {
    /// Here, on these engines.
    Here(&'static [Engine], fn(&Stage) -> Result<Finding>),
    /// In a test, for what a whole process cannot be made to see.
    Elsewhere(&'static str),
}

const BOTH: &[Engine] = &[Engine::Postgres, Engine::Sqlite];
/// Where there is no server, it cannot be away.
const SERVER: &[Engine] = &[Engine::Postgres];
const EMBEDDED: &[Engine] = &[Engine::Sqlite];

/// All of them, in the order in which they are played.
pub const SCENARIOS: [Scenario; 32] = [
    quick("kill", "killed at random moments", BOTH, crash::kill),
    quick("outage", "database away", SERVER, outage::outage),
    quick(
        "outage-kill",
        "database away, receiver killed",
        SERVER,
        outage::killed_meanwhile,
    ),
    slow("late", "database 3 s late", SERVER, slow::late),
    slow("silence", "database silent for 12 s", SERVER, slow::silence),
    slow(
        "forgotten",
        "connections silent for good",
        SERVER,
        slow::forgotten,
    ),
    slow(
        "locks",
        "tables locked, all connections taken",
        SERVER,
        slow::locks,
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
    quick(
        "idle",
        "database restarted while idle",
        SERVER,
        outage::idle,
    ),
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
    slow(
        "stop-outage",
        "SIGTERM, database away",
        SERVER,
        stop::in_outage,
    ),
    slow(
        "stop-silence",
        "SIGTERM, database silent",
        SERVER,
        stop::in_silence,
    ),
    slow(
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
    slow("slowloris", "500 slow clients", SERVER, clients::slowloris),
    Scenario {
        name: "clock",
        title: "clock set back by an hour",
        quick: BOTH,
        place: Place::Elsewhere("by `make test`: crates/usecases/tests/clock.rs"),
    },
    slow(
        "passwords",
        "flood of wrong passwords",
        SERVER,
        clients::wrong_passwords,
    ),
    slow("speed", "journal at full speed", SERVER, speed::speed),
    Scenario {
        quick: EMBEDDED,
        ..slow(
            "subscriber",
            "subscriber away",
            BOTH,
            events::subscriber::away,
        )
    },
    slow(
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
        ..slow(
            "workers",
            "two workers, each killed once",
            BOTH,
            events::workers::shared,
        )
    },
    slow(
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
        name,
        title,
        quick: engines,
        place: Place::Here(engines, run),
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
        quick: &[],
        place: Place::Here(engines, run),
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
