//! Everything that is measured, in alternation: a change of the machine's mood
//! meets all rows alike.

use anyhow::Result;

use crate::load::Mode;
use crate::measure::{Bench, Reached, Start};
use crate::row::{Measured, Rate, Row, Subject};

/// One sender of a contact centre at its most: 400 messages a second with
/// three reports each.
pub const ONE_SENDER: u32 = 1_200;

/// What the receiver's most is measured with.
const MOST: Row = Row::flood(Subject::OnPostgres, 256);

/// From how many connections single statements are sent.
const CLIENTS: usize = 64;

/// The rows of the table. One that needs another's result follows it.
#[must_use]
pub fn rows() -> Vec<Row> {
    let of = |subject| {
        let steps = [1, 64, 256, 1024].into_iter();
        steps.map(move |connections| Row::flood(subject, connections))
    };
    [LONE_STATEMENT]
        .into_iter()
        .chain(of(Subject::OnPostgres))
        .chain([HALF])
        .chain(of(Subject::OnSqlite))
        .chain([
            special(Mode::TwoSteps, 256, Rate::Most),
            special(Mode::TwoSteps, 64, Rate::Fixed(ONE_SENDER)),
            CHALLENGES,
            GUESSES,
            MANY_BESIDE_GUESSES,
        ])
        .chain(of(Subject::Ceiling))
        .chain([
            Row::flood(Subject::NoStore, 256),
            Row::flood(Subject::Batches(256), 1),
            Row::flood(Subject::BatchesAsReached, 1),
            Row::flood(Subject::SingleStatements, CLIENTS),
            Row::flood(Subject::OneTransactionEach, 256),
        ])
        .collect()
}

/// What a lone report is compared with, and so measured right before it.
pub(crate) const LONE_STATEMENT: Row = Row::flood(Subject::SingleStatements, 1);

/// Half of the receiver's most, at a fixed rate: what a latency is worth.
pub(crate) const HALF: Row = special(Mode::AtOnce, 256, Rate::HalfOfMost);

/// Nothing but answers to callers who show nothing.
pub(crate) const CHALLENGES: Row = special(Mode::ChallengeOnly, 256, Rate::Most);

/// One sender beside many who guess passwords.
pub(crate) const GUESSES: Row = Row {
    subject: Subject::BesideGuesses,
    ..special(Mode::AtOnce, 64, Rate::Fixed(ONE_SENDER))
};

/// Half of the receiver's most beside them.
pub(crate) const MANY_BESIDE_GUESSES: Row = Row {
    subject: Subject::BesideGuesses,
    ..HALF
};

const fn special(mode: Mode, connections: usize, rate: Rate) -> Row {
    Row {
        subject: Subject::OnPostgres,
        mode,
        connections,
        rate,
    }
}

/// One writer beside two.
#[must_use]
pub fn writers() -> Vec<Row> {
    let of = |connections| [1, 2].map(|count| Row::flood(Subject::Writers(count), connections));
    [64, 256].into_iter().flat_map(of).collect()
}

/// All that was measured.
#[derive(Default)]
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
        let mut reached = Reached::default();
        for (row, measured) in &mut results.rows {
            stream += 1;
            let result = bench.row(*row, stream, reached)?;
            if *row == MOST {
                reached = Reached {
                    batch: result.batch,
                    most: result.reports,
                };
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
