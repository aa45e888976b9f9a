//! The machine of a measurement: results mean little without it.

use std::fmt;
use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use crate::latencies::Latencies;
use crate::table::number;

#[derive(Debug, Serialize)]
pub struct Machine {
    processors: usize,
    model: String,
    memory_gib: u64,
    kernel: String,
    /// The median time until 8 KiB are durable in the folder for temporary files, where the
    /// databases are. No commit can be faster.
    durable_write_us: u128,
    durable_write_p99_us: u128,
    /// The load average of the minute before.
    load_before: f64,
    /// The percentage of processor time that other machines on the same hardware used during the
    /// measurement.
    stolen: f64,
    #[serde(skip)]
    began: Ticks,
    database: String,
}

/// Time of all processors together since the machine started, in ticks.
#[derive(Clone, Copy, Debug, Default)]
struct Ticks {
    all: u64,
    stolen: u64,
}

impl Machine {
    /// Describes this machine. `database` describes the PostgreSQL server.
    pub fn describe(database: String) -> Result<Self> {
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
        let writes = durable_writes()?;
        Ok(Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            model: model.unwrap_or(std::env::consts::ARCH).to_owned(),
            memory_gib: (memory.unwrap_or_default() + 512 * 1024) / (1024 * 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            durable_write_us: writes.quantile(0.5).as_micros(),
            durable_write_p99_us: writes.quantile(0.99).as_micros(),
            load_before: load.and_then(|load| load.parse().ok()).unwrap_or_default(),
            stolen: 0.0,
            began: Ticks::now(),
            database,
        })
    }

    /// Adds what other machines used since the description. To be called at the end.
    #[expect(
        clippy::cast_precision_loss,
        reason = "ticks of a few minutes are far below 2^53"
    )]
    pub fn with_stolen_time(self) -> Self {
        let now = Ticks::now();
        let all = now.all.saturating_sub(self.began.all).max(1);
        let stolen = now.stolen.saturating_sub(self.began.stolen);
        Self {
            stolen: stolen as f64 * 100.0 / all as f64,
            ..self
        }
    }

    /// Returns whether other processes make the results unreliable.
    pub const fn is_busy(&self) -> bool {
        self.load_before > 1.0
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} processors ({}), {} GiB, Linux {}, 8 KiB durable in {} µs ({} for 99 of a \
             hundred), load before {}, {} % of the processors' time taken by other machines; {}",
            self.processors,
            self.model,
            self.memory_gib,
            self.kernel,
            self.durable_write_us,
            self.durable_write_p99_us,
            self.load_before,
            number(Some(self.stolen)),
            self.database
        )
    }
}

impl Ticks {
    /// Zero if the system does not report it.
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = stat.lines().next().unwrap_or_default();
        // Time of guests is included in the first two.
        let ticks: Vec<u64> = first
            .split_ascii_whitespace()
            .skip(1)
            .take(8)
            .filter_map(|ticks| ticks.parse().ok())
            .collect();
        Self {
            all: ticks.iter().sum(),
            stolen: ticks.get(7).copied().unwrap_or_default(),
        }
    }
}

/// Overwrites the same 8 KiB 1,001 times and syncs each write.
fn durable_writes() -> Result<Latencies> {
    let mut file = tempfile::tempfile()?;
    let mut times = Latencies::default();
    for _ in 0..1_001 {
        let began = Instant::now();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[7; 8192])?;
        file.sync_data()?;
        times.add(began.elapsed());
    }
    Ok(times)
}
