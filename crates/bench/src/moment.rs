//! What processes had used at one moment, and what follows from two.

use std::time::Duration;

use anyhow::Result;

use crate::database::Postgres;
use crate::http;
use crate::latencies::Latencies;
use crate::load::Loaded;
use crate::process::{self, Usage};
use crate::receiver::Receiver;
use crate::row::Measured;

/// What the processes had used at one moment.
pub(crate) struct Moment {
    receiver: Usage,
    database: Option<Usage>,
    load: Usage,
    /// Sum and number of the batch sizes so far.
    batches: (f64, f64),
}

impl Moment {
    /// Now. `pid` is the process under test.
    pub(crate) fn of(
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
        })
    }
}

/// What came of a load between two moments.
pub(crate) fn measured(loaded: &Loaded, before: &Moment, after: &Moment) -> Measured {
    let cost = cost(before, after, loaded.requests, loaded.window);
    let together = cost
        .receiver
        .map(|cpu| cpu + cost.database.unwrap_or_default());
    let (reports, commits) = (
        after.batches.0 - before.batches.0,
        after.batches.1 - before.batches.1,
    );
    let [p50, p99, p999] = latencies(&loaded.latencies);
    let (reports_rate, requests_rate) = (loaded.reports_per_second(), loaded.requests_per_second());
    Measured {
        reports: Some(reports_rate),
        requests: Some(requests_rate),
        p50,
        p99,
        p999,
        report_cpu: together.map(|cpu| cpu * requests_rate / reports_rate.max(1.0)),
        batch: (commits > 0.0).then(|| reports / commits),
        ..of(&cost)
    }
}

/// What is known of each row.
pub(crate) fn of(cost: &Cost) -> Measured {
    Measured {
        receiver_cpu: cost.receiver,
        database_cpu: cost.database,
        memory: Some(cost.memory),
        load_cpu: Some(cost.load),
        ..Measured::default()
    }
}

/// What something cost.
pub(crate) struct Cost {
    /// Processor time of the receiver for each, in microseconds.
    pub(crate) receiver: Option<f64>,
    /// The same of the database.
    pub(crate) database: Option<f64>,
    /// Memory of the receiver at the end, in MiB.
    pub(crate) memory: f64,
    /// Processors that this process took.
    pub(crate) load: f64,
}

/// What each of `count` cost between two moments.
pub(crate) fn cost(before: &Moment, after: &Moment, count: u64, window: Duration) -> Cost {
    Cost {
        receiver: used(Some(before.receiver), Some(after.receiver), count),
        database: used(before.database, after.database, count),
        memory: mebibytes(after.receiver.memory),
        load: processors(before.load, after.load, window),
    }
}

/// A number of things, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nothing here comes near 2^52, and no batch has less than one report"
)]
pub(crate) fn rounded(size: f64) -> usize {
    (size.round() as usize).max(1)
}

/// How much memory the receiver took more, in MiB.
pub(crate) fn memory_grown(before: &Moment, after: &Moment) -> f64 {
    mebibytes(after.receiver.memory) - mebibytes(before.receiver.memory)
}

/// p50, p99 and p99.9 in milliseconds.
pub(crate) fn latencies(all: &Latencies) -> [Option<f64>; 3] {
    [0.5, 0.99, 0.999]
        .map(|fraction| (all.count() > 0).then(|| all.quantile(fraction).as_secs_f64() * 1e3))
}

/// Processor time each of `count` took, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
pub(crate) fn used(before: Option<Usage>, after: Option<Usage>, count: u64) -> Option<f64> {
    let used = after?.cpu.saturating_sub(before?.cpu);
    (count > 0).then(|| used.as_secs_f64() * 1e6 / count as f64)
}

/// How many processors were busy.
pub(crate) fn processors(before: Usage, after: Usage, window: Duration) -> f64 {
    let used = after.cpu.saturating_sub(before.cpu);
    used.as_secs_f64() / window.as_secs_f64().max(f64::EPSILON)
}

#[expect(clippy::cast_precision_loss, reason = "no memory here comes near 2^52")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
