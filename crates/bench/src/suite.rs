//! Everything that is measured, in alternation: a change of the machine's mood
//! meets all rows alike.

use anyhow::Result;

use crate::load::Mode;
use crate::measure::{Bench, Start};
use crate::row::{Measured, Row, Subject};

/// One sender of a contact centre at its most: 400 messages a second with
/// three reports each.
const ONE_SENDER: u32 = 1_200;

/// From how many connections single statements are sent.
const CLIENTS: usize = 64;

/// The rows of the table. One that needs another's result follows it.
#[must_use]
pub fn rows(full: bool) -> Vec<Row> {
    let steps = if full {
        &[1, 64, 256, 1024][..]
    } else {
        &[1, 64, 256]
    };
    let of = |subject| {
        steps
            .iter()
            .map(move |connections| Row::flood(subject, *connections))
    };
    let special = |mode, connections, rate| Row {
        subject: Subject::OnPostgres,
        mode,
        connections,
        rate,
    };
    of(Subject::OnPostgres)
        .chain(of(Subject::OnSqlite))
        .chain([
            special(Mode::TwoSteps, 256, None),
            special(Mode::TwoSteps, 64, Some(ONE_SENDER)),
            special(Mode::ChallengeOnly, 256, None),
        ])
        .chain(of(Subject::Ceiling))
        .chain([
            Row::flood(Subject::Batches(256), 1),
            Row::flood(Subject::BatchesAsReached, 1),
            Row::flood(Subject::SingleStatements, CLIENTS),
            Row::flood(Subject::OneTransactionEach, 256),
        ])
        .collect()
}

/// All that was measured.
pub struct Results {
    /// The rows and their rounds.
    pub rows: Vec<(Row, Vec<Measured>)>,
    /// Starts on an empty database: on PostgreSQL and on the embedded one.
    pub starts: [Vec<Start>; 2],
}

/// Measures all rows in every round. `told` hears of each as it is done.
pub fn run(bench: &Bench, rows: Vec<Row>, rounds: u32, told: impl Fn(&str)) -> Result<Results> {
    let rows = rows.into_iter().map(|row| (row, Vec::new())).collect();
    let mut results = Results {
        rows,
        starts: [Vec::new(), Vec::new()],
    };
    let mut stream = 0;
    for round in 1..=rounds {
        for (on_postgres, starts) in [true, false].into_iter().zip(&mut results.starts) {
            starts.push(bench.start(on_postgres)?);
        }
        let mut reached = None;
        for (row, measured) in &mut results.rows {
            stream += 1;
            let result = bench.row(*row, stream, reached)?;
            if *row == Row::flood(Subject::OnPostgres, 256) {
                reached = result.batch;
            }
            told(&format!(
                "round {round} of {rounds}: {}, {} connections: {} a second",
                row.name(),
                row.connections,
                crate::table::number(result.requests.or(result.reports)),
            ));
            measured.push(result);
        }
    }
    Ok(results)
}
