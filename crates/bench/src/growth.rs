//! What a report costs when many are stored.

use anyhow::Result;
use traffic::stream::{Pattern, Stream};

use crate::database::Database;
use crate::load::Load;
use crate::measure::Bench;
use crate::row::Measured;
use crate::sample::{UsageSample, measured};
use crate::stored::{self, REPORTS_EACH};
use crate::table::{count, median, number};

/// The numbers of reports that are stored before; each message has two.
const SIZES: [u64; 3] = [0, 1_000_000, 10_000_000];

/// The number of reports per measurement: those of one sender with 1,200 per second in the five
/// minutes between two checkpoints. Each changed page is written to the WAL as a full page once in
/// that time.
const REPORTS: u64 = 360_000;

/// Old messages can be read only once, and a third of the reports read one.
pub const ROUNDS_MAX: u32 = 4;

/// One row of the table.
#[derive(Debug)]
pub struct GrowthRow {
    /// The number of reports that were stored before.
    size: u64,
    /// Whether old messages are read.
    old: bool,
    rounds: Vec<GrowthCost>,
}

#[derive(Clone, Debug, Default)]
struct GrowthCost {
    measured: Measured,
    wal_bytes: Option<f64>,
    wal_pages: Option<f64>,
}

/// Measures all sizes in every round.
pub fn run(bench: &Bench, rounds: u32, progress: impl Fn(&str)) -> Result<Vec<GrowthRow>> {
    let mut filled = Vec::new();
    for size in SIZES.into_iter().filter(|size| *size > 0) {
        progress(&format!("storing {} reports", count(size)));
        let database = bench.postgres.fresh()?;
        stored::fill(&database, size / REPORTS_EACH)?;
        filled.push((size, database));
    }
    let mut lines: Vec<_> = SIZES
        .into_iter()
        .flat_map(|size| [(size, false), (size, true)])
        .filter(|(size, old)| *size > 0 || !old)
        .map(|(size, old)| GrowthRow {
            size,
            old,
            rounds: Vec::new(),
        })
        .collect();
    let mut stream = 0;
    for round in 1..=rounds {
        for line in &mut lines {
            stream += 1;
            let pattern = if line.old {
                Pattern::ReadOldMessages {
                    stored: line.size / REPORTS_EACH,
                    // Somewhat more are sent than are counted.
                    from: u64::from(round - 1) * (line.size / REPORTS_EACH) / u64::from(ROUNDS_MAX),
                }
            } else {
                Pattern::Orderly
            };
            let traffic = Stream {
                id: stream,
                pattern,
            };
            let database = filled.iter().find(|(size, _)| *size == line.size);
            let cost = match database {
                Some((_, database)) => cost(bench, database, round == 1 && !line.old, traffic)?,
                None => cost(bench, &bench.postgres.fresh()?, true, traffic)?,
            };
            progress(&format!(
                "round {round} of {rounds}: {}: {} per second",
                line.name(),
                number(cost.measured.reports)
            ));
            line.rounds.push(cost);
        }
    }
    Ok(lines)
}

fn cost(
    bench: &Bench,
    database: &Database<'_>,
    is_new: bool,
    stream: Stream,
) -> Result<GrowthCost> {
    let mut receiver = bench.receiver_on(Some(database), is_new, &[])?;
    let (before, _) = database.reports()?;
    bench.postgres.checkpoint()?;
    let load = Load {
        // Everything since the checkpoint is measured.
        enough: Some(REPORTS),
        stream,
        ..Load::new(receiver.public(), stream.id)
    };
    let probe = || {
        let sample = UsageSample::take(receiver.pid(), Some(&bench.postgres), Some(&receiver))?;
        anyhow::Ok((sample, database.wal_written()?))
    };
    let (result, began, ended) = load.run(probe)?;
    bench.check(
        result.accepted + u64::try_from(before)?,
        Some(database),
        &receiver,
    )?;
    receiver.stop()?;
    let ((began, wal_began), (ended, wal_ended)) = (began?, ended?);
    #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
    let each = |from: i64, to: i64| {
        (result.requests > 0).then(|| (to - from) as f64 / result.requests as f64)
    };
    Ok(GrowthCost {
        measured: measured(&result, &began, &ended),
        wal_bytes: each(wal_began.0, wal_ended.0),
        wal_pages: each(wal_began.1, wal_ended.1),
    })
}

impl GrowthRow {
    pub const HEADER: [&'static str; 8] = [
        "",
        "reports/s",
        "p99 ms",
        "receiver µs",
        "database µs",
        "WAL bytes",
        "whole pages",
        "CPU ÷ empty",
    ];

    fn name(&self) -> String {
        let traffic = if self.old {
            "a third reads old messages"
        } else {
            "new messages"
        };
        format!("{} stored, {traffic}", count(self.size))
    }

    fn median(&self, field: fn(&GrowthCost) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(field).collect())
    }
}

pub fn cells(lines: &[GrowthRow]) -> Vec<[String; 8]> {
    let cpu = |line: &GrowthRow| line.median(|cost| cost.measured.report_cpu);
    let empty = lines.iter().find(|line| line.size == 0).and_then(cpu);
    let cells = |line: &GrowthRow| {
        [
            line.name(),
            number(line.median(|cost| cost.measured.reports)),
            number(line.median(|cost| cost.measured.p99)),
            number(line.median(|cost| cost.measured.receiver_cpu)),
            number(line.median(|cost| cost.measured.database_cpu)),
            number(line.median(|cost| cost.wal_bytes)),
            number(line.median(|cost| cost.wal_pages)),
            number(cpu(line).zip(empty).map(|(cpu, empty)| cpu / empty)),
        ]
    };
    lines.iter().map(cells).collect()
}

/// Explains the table.
pub const NOTES: &str = "\
Each row is 360,000 reports from 256 connections at saturation, beginning after a checkpoint: as
many as one sender with 1,200 per second sends between two checkpoints. Stored messages have random ids and two
reports each; `vacuum analyze` was run after storing them. Processor time is per report; the
database's includes its background processes.
- new messages: each is sent, delivered and read, 1,536 reports apart.
- a third reads old messages: of every three reports two are of new messages, and one says that a
  stored one was read; these are spread evenly over all stored messages, none twice.
- whole pages: full pages per report that were written to the WAL because they changed for the
  first time since the checkpoint. Their bytes are included in the WAL bytes.
The rows of one size share a database, which grows by 360,000 reports each time.
";
