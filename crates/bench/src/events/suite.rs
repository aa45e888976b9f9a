//! Everything that is measured of events, in alternation.

use super::row::{Beside, Row, Subject};
use crate::measure::Bench;
use crate::row::Measured;
use crate::suite::Failures;
use crate::table::number;

/// The rows of the table. One that needs another's result follows it.
#[must_use]
pub fn rows() -> Vec<Row> {
    let subjects = [
        Subject::Delay,
        Subject::Backlog,
        Subject::Most(Beside::Nothing),
        Subject::Most(Beside::Subscriptions),
        Subject::HalfOfMost(Beside::Nothing),
        Subject::HalfOfMost(Beside::Subscriptions),
    ];
    let on = |on_postgres| {
        subjects.map(|subject| Row {
            subject,
            on_postgres,
        })
    };
    [true, false].into_iter().flat_map(on).collect()
}

/// The rows and their rounds.
pub type Results = Vec<(Row, Vec<Measured>)>;

/// Leaves the rows whose names contain `part`, and those that they need the results of.
pub fn select(rows: &mut Vec<Row>, part: &str) {
    let wanted: Vec<_> = rows
        .iter()
        .filter(|row| row.name().contains(part))
        .copied()
        .collect();
    rows.retain(|row| {
        let is_needed = row.subject == Subject::Most(Beside::Nothing)
            && wanted.iter().any(|it| {
                it.on_postgres == row.on_postgres && matches!(it.subject, Subject::HalfOfMost(_))
            });
        wanted.contains(row) || is_needed
    });
}

/// Measures all rows in every round. A backlog has so many events. `told` hears
/// of each row as it is done. A row that fails is left out of that round and noted in `failures`.
pub fn run(
    bench: &Bench,
    rows: Vec<Row>,
    rounds: u32,
    backlog: u64,
    failures: &mut Failures,
    told: impl Fn(&str),
) -> Results {
    let rows = rows.into_iter().map(|row| (row, Vec::new()));
    let mut results: Results = rows.collect();
    // Not those of the other table.
    let mut stream = 1 << 40;
    for round in 1..=rounds {
        let mut most = None;
        for (row, measured) in &mut results {
            stream += 1;
            let name = row.name();
            let progress = format!("round {round} of {rounds}: {name}");
            let result = bench.events(*row, stream, most, backlog);
            let Some(result) = failures.sort(&name, result) else {
                told(&format!("{progress}: FAILED"));
                continue;
            };
            if row.subject == Subject::Most(Beside::Nothing) {
                most = result.reports;
            }
            told(&format!(
                "{progress}: {} reports and {} events a second",
                number(result.reports),
                number(result.events),
            ));
            measured.push(result);
        }
    }
    results
}

/// What the table does not say of itself.
pub const NOTES: &str = "\
- event after its 204: from when the integrator had its answer until the subscriber had the event;
  1,000 reports a second, 64 connections.
- backlog pushed: events stored before, pushed to a new subscription from the first to the last;
  processor time is that of an event, elsewhere that of a report.
- intake: 256 connections, as many as go, or half of what went beside nothing in the same round;
  latency is that of a report. The 5 subscriptions are of everything; the target of one hangs.
Every event was told, in the order of its message; only intake beside subscriptions ends before.
";
