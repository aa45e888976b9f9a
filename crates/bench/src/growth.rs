//! What a report costs when many are stored already.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use traffic::stream::{Pattern, Stream};

use crate::database::Database;
use crate::load::Load;
use crate::measure::Bench;
use crate::moment::{self, Moment};
use crate::row::Measured;
use crate::stored::{self, REPORTS_EACH};
use crate::table::{median, number};

/// How many reports are stored before; each message has two.
const SIZES: [u64; 3] = [0, 1_000_000, 10_000_000];

/// How many reports are sent each time: what one sender with 1,200 a second
/// makes in the five minutes from one checkpoint to the next. The pages that
/// the log takes as a whole are paid for once in that time.
const REPORTS: u64 = 360_000;

/// At most so many times: old messages can be read once only, and a third of
/// the reports are of that kind.
pub const ROUNDS_MAX: u32 = 4;

const CONNECTIONS: usize = 256;

/// One line of the table.
#[derive(Debug)]
pub struct Line {
    /// How many reports were stored before.
    pub size: u64,
    /// Whether old messages are read.
    pub old: bool,
    rounds: Vec<Cost>,
}

/// What a report cost.
#[derive(Clone, Debug, Default, Serialize)]
struct Cost {
    measured: Measured,
    wal_bytes: Option<f64>,
    wal_pages: Option<f64>,
}

/// Measures all sizes in every round.
pub fn run(bench: &Bench, rounds: u32, told: impl Fn(&str)) -> Result<Vec<Line>> {
    let mut filled = Vec::new();
    for size in SIZES.into_iter().filter(|size| *size > 0) {
        told(&format!("storing {} reports", thousands(size)));
        let database = bench.postgres.fresh()?;
        stored::fill(&database, size / REPORTS_EACH)?;
        filled.push((size, database));
    }
    let mut lines: Vec<_> = SIZES
        .into_iter()
        .flat_map(|size| [(size, false), (size, true)])
        .filter(|(size, old)| *size > 0 || !old)
        .map(|(size, old)| Line {
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
                    // Some more are sent than are counted.
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
            told(&format!(
                "round {round} of {rounds}: {}: {} per second",
                line.name(),
                number(cost.measured.reports)
            ));
            line.rounds.push(cost);
        }
    }
    Ok(lines)
}

fn cost(bench: &Bench, database: &Database<'_>, is_new: bool, stream: Stream) -> Result<Cost> {
    let receiver = bench.receiver_on(Some(database), is_new, &[])?;
    let (before, _) = database.reports()?;
    bench.postgres.checkpoint()?;
    let load = Load {
        connections: CONNECTIONS,
        // From the checkpoint on: everything is measured.
        warm_up: Duration::ZERO,
        enough: Some(REPORTS),
        stream,
        ..Load::new(receiver.public(), stream.id)
    };
    let probe = || {
        let moment = Moment::of(receiver.pid(), Some(&bench.postgres), Some(&receiver))?;
        anyhow::Ok((moment, database.logged()?))
    };
    let (loaded, began, ended) = load.run(probe)?;
    bench.check(
        loaded.taken + u64::try_from(before)?,
        Some(database),
        &receiver,
    )?;
    receiver.stop()?;
    let ((began, wal_began), (ended, wal_ended)) = (began?, ended?);
    #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
    let each = |from: i64, to: i64| {
        (loaded.requests > 0).then(|| (to - from) as f64 / loaded.requests as f64)
    };
    Ok(Cost {
        measured: moment::measured(&loaded, &began, &ended),
        wal_bytes: each(wal_began.0, wal_ended.0),
        wal_pages: each(wal_began.1, wal_ended.1),
    })
}

impl Line {
    /// The heads of [`cells`].
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
        format!("{} stored, {traffic}", thousands(self.size))
    }

    fn median(&self, field: fn(&Cost) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(field).collect())
    }
}

/// The lines of the table.
#[must_use]
pub fn cells(lines: &[Line]) -> Vec<[String; 8]> {
    let cpu = |line: &Line| line.median(|cost| cost.measured.report_cpu);
    let empty = lines.iter().find(|line| line.size == 0).and_then(cpu);
    let cells = |line: &Line| {
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

/// What the table does not say of itself.
pub const NOTES: &str = "\
Each line is 360,000 reports from 256 connections, as many as go, from a checkpoint on: what one
sender with 1,200 a second makes between two checkpoints. Stored messages have random ids and two
reports each; `vacuum analyze` was run after storing them. Processor time is that of a report; the
database's holds its background processes.
- new messages: each is sent, delivered and read, 1,536 reports apart.
- a third reads old messages: of every three reports two are of new messages, and one is the
  reading of a stored one; these are spread evenly over all that are stored, none twice.
- whole pages: how many pages a report the log took as a whole, because they changed for the first
  time since the checkpoint. Their bytes are among the WAL bytes.
The lines of one size share a database, which grows by 360,000 reports each time.
";

fn thousands(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
    if count < 1_000 {
        count.to_string()
    } else {
        number(Some(count as f64))
    }
}
