//! Memory over minutes: both engines at once, at a rate that leaves them idle
//! in between.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::load::Load;
use crate::measure::Bench;
use crate::moment::mebibytes;
use crate::process::Usage;
use crate::receiver::Receiver;
use crate::table::number;

/// As many as the limits of memory are given for.
const CONNECTIONS: usize = 256;

/// What was seen at one time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When, in minutes.
    pub minute: u16,
    /// Memory on PostgreSQL, in MiB.
    pub on_postgres: f64,
    /// Memory on the embedded database, in MiB.
    pub on_sqlite: f64,
}

impl Sample {
    /// The heads of [`Sample::cells`].
    pub const HEADER: [&'static str; 3] = ["minute", "on PostgreSQL, MiB", "on SQLite, MiB"];

    /// A line of the table.
    #[must_use]
    pub fn cells(&self) -> [String; 3] {
        [
            self.minute.to_string(),
            number(Some(self.on_postgres)),
            number(Some(self.on_sqlite)),
        ]
    }
}

/// Sends `rate` reports a second to a receiver on each engine and looks at
/// their memory every minute. `told` hears of each as it is seen.
pub fn run(bench: &Bench, minutes: u16, rate: u32, told: impl Fn(&str)) -> Result<Vec<Sample>> {
    let database = bench.postgres.fresh()?;
    let on_postgres = bench.receiver_on(Some(&database), true, &[])?;
    let on_sqlite = bench.receiver_on(None, true, &[])?;
    let load = |receiver: &Receiver, stream| Load {
        connections: CONNECTIONS,
        rate: Some(rate),
        measured: Duration::from_secs(60 * u64::from(minutes)),
        ..Load::new(receiver.public(), stream)
    };
    let (samples, loaded) = thread::scope(|scope| {
        let loads = [load(&on_postgres, 1), load(&on_sqlite, 2)];
        let loads = loads.map(|load| scope.spawn(move || load.run(|| ())));
        let began = Instant::now();
        let mut samples = Vec::new();
        for minute in 0..=minutes {
            let due = Duration::from_secs(60 * u64::from(minute));
            // A little early: the load must not be over yet.
            let due = due.saturating_sub(Duration::from_millis(500));
            thread::sleep(due.saturating_sub(began.elapsed()));
            let sample = Sample {
                minute,
                on_postgres: mebibytes(Usage::of_tree(on_postgres.pid())?.memory),
                on_sqlite: mebibytes(Usage::of_tree(on_sqlite.pid())?.memory),
            };
            told(&format!(
                "minute {minute}: {} MiB on PostgreSQL, {} MiB on SQLite",
                number(Some(sample.on_postgres)),
                number(Some(sample.on_sqlite))
            ));
            samples.push(sample);
        }
        anyhow::Ok((samples, loads.map(thread::ScopedJoinHandle::join)))
    })?;
    let receivers = [(on_postgres, Some(&database)), (on_sqlite, None)];
    for ((receiver, database), loaded) in receivers.into_iter().zip(loaded) {
        let (loaded, (), ()) = loaded.ok().context("a load died")??;
        bench.check(loaded.taken, database, &receiver)?;
        receiver.stop()?;
    }
    Ok(samples)
}
