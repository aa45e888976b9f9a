//! What it was measured on. A figure without its machine says little.

use std::fmt;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

/// The machine, as far as it matters.
#[derive(Debug, Serialize)]
pub struct Machine {
    processors: usize,
    model: String,
    memory_gib: u64,
    kernel: String,
    /// How long it takes until 8 KiB are durable in the folder for temporary
    /// files, where the databases are: the floor of every commit.
    durable_write_us: u128,
    /// How many processes wanted a processor in the minute before.
    load_before: f64,
    database: String,
}

impl Machine {
    /// Looks around. `database` says which PostgreSQL is used and how it is set.
    pub fn here(database: String) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| {
            line.strip_prefix("model name")
                .and_then(|rest| rest.split_once(": "))
                .map(|(_, name)| name)
        });
        let meminfo = read("/proc/meminfo");
        let memory = meminfo.lines().find_map(|line| {
            let kibibytes = line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?;
            kibibytes.trim().parse::<u64>().ok()
        });
        let loads = read("/proc/loadavg");
        let load = loads.split(' ').next();
        Ok(Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            model: model.unwrap_or(std::env::consts::ARCH).to_owned(),
            memory_gib: (memory.unwrap_or_default() + 512 * 1024) / (1024 * 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            durable_write_us: durable_write()?.as_micros(),
            load_before: load.and_then(|load| load.parse().ok()).unwrap_or_default(),
            database,
        })
    }
}

impl Machine {
    /// Whether others leave too little of it for figures to mean much.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.load_before > 1.0
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} processors ({}), {} GiB, Linux {}, 8 KiB durable in {} µs, load before {}; {}",
            self.processors,
            self.model,
            self.memory_gib,
            self.kernel,
            self.durable_write_us,
            self.load_before,
            self.database
        )
    }
}

/// The median of 101 writes over the same 8 KiB.
fn durable_write() -> Result<Duration> {
    let mut file = tempfile::tempfile()?;
    let mut times = Vec::new();
    for _ in 0..101 {
        let began = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[7; 8192])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
