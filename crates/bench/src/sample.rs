//! What processes have used at one time, and what follows from two samples.

use std::time::Duration;

use anyhow::Result;

use crate::database::Postgres;
use crate::http;
use crate::latencies::Latencies;
use crate::load::{LoadResult, per_second};
use crate::process::{self, Usage};
use crate::receiver::Receiver;
use crate::row::Measured;

/// What the processes have used so far.
pub struct UsageSample {
    receiver: Usage,
    database: Option<Usage>,
    load: Usage,
    /// Sum and number of the batch sizes.
    batches: (f64, f64),
    /// Events that subscribers accepted.
    events: u64,
}

impl UsageSample {
    /// `pid` is the process under test.
    pub fn take(
        pid: u32,
        postgres: Option<&Postgres>,
        receiver: Option<&Receiver>,
    ) -> Result<Self> {
        let batches = match receiver {
            Some(receiver) => {
                let text = receiver.metrics()?;
                let of = |part| http::metric(&text, &format!("receiptd_commit_batch_size_{part}"));
                (of("sum"), of("count"))
            }
            None => (0.0, 0.0),
        };
        Ok(Self {
            receiver: Usage::of_tree(pid)?,
            database: postgres.and_then(Postgres::usage),
            load: process::own()?,
            batches,
            events: 0,
        })
    }

    pub const fn with_events(self, events: u64) -> Self {
        Self { events, ..self }
    }
}

/// Returns what a load measured between two samples.
pub fn measured(load: &LoadResult, before: &UsageSample, after: &UsageSample) -> Measured {
    let costs = costs(before, after, load.requests, load.window);
    let receiver = costs.receiver_cpu;
    let both = receiver.map(|cpu| cpu + costs.database_cpu.unwrap_or_default());
    let (reports, commits) = (
        after.batches.0 - before.batches.0,
        after.batches.1 - before.batches.1,
    );
    let (reports_rate, requests_rate) = (load.reports_per_second(), load.requests_per_second());
    let per_report = |cpu: f64| cpu * requests_rate / reports_rate.max(1.0);
    Measured {
        reports: Some(reports_rate),
        requests: Some(requests_rate),
        events: Some(per_second(after.events - before.events, load.window)),
        report_cpu: both.map(per_report),
        receiver_report_cpu: receiver.map(per_report),
        batch: (commits > 0.0).then(|| reports / commits),
        ..costs.with_latencies(&load.latencies)
    }
}

/// Returns what each of `count` things cost between two samples.
pub fn costs(before: &UsageSample, after: &UsageSample, count: u64, window: Duration) -> Measured {
    Measured {
        receiver_cpu: cpu_each(Some(before.receiver), Some(after.receiver), count),
        database_cpu: cpu_each(before.database, after.database, count),
        memory: Some(mebibytes(after.receiver.memory)),
        load_cpu: Some(processors(before.load, after.load, window)),
        ..Measured::default()
    }
}

impl Measured {
    pub fn with_latencies(self, latencies: &Latencies) -> Self {
        let milliseconds = |fraction| {
            (latencies.count() > 0).then(|| latencies.quantile(fraction).as_secs_f64() * 1e3)
        };
        Self {
            p50: milliseconds(0.5),
            p99: milliseconds(0.99),
            p999: milliseconds(0.999),
            ..self
        }
    }
}

/// The nearest positive integer.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nothing here comes near 2^52, and no batch has less than one report"
)]
pub fn rounded(size: f64) -> usize {
    (size.round() as usize).max(1)
}

/// Returns the growth of the receiver's memory, in MiB.
pub fn memory_grown(before: &UsageSample, after: &UsageSample) -> f64 {
    mebibytes(after.receiver.memory) - mebibytes(before.receiver.memory)
}

/// Returns the processor time of each of `count` things, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub fn cpu_each(before: Option<Usage>, after: Option<Usage>, count: u64) -> Option<f64> {
    let used = after?.cpu.saturating_sub(before?.cpu);
    (count > 0).then(|| used.as_secs_f64() * 1e6 / count as f64)
}

/// Returns the number of busy processors.
pub fn processors(before: Usage, after: Usage, window: Duration) -> f64 {
    let used = after.cpu.saturating_sub(before.cpu);
    used.as_secs_f64() / window.as_secs_f64().max(f64::EPSILON)
}

#[expect(clippy::cast_precision_loss, reason = "no memory here comes near 2^52")]
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
