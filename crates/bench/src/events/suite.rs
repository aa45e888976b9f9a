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
        Subject::QueueSaturation,
        Subject::Peak(Beside::Nothing),
        Subject::Peak(Beside::Subscriptions),
        Subject::HalfOfPeak(Beside::Nothing),
        Subject::HalfOfPeak(Beside::Subscriptions),
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
        let is_needed = row.subject == Subject::Peak(Beside::Nothing)
            && wanted.iter().any(|it| {
                it.on_postgres == row.on_postgres && matches!(it.subject, Subject::HalfOfPeak(_))
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
        let mut peak = None;
        for (row, measured) in &mut results {
            stream += 1;
            let name = row.name();
            let progress = format!("round {round} of {rounds}: {name}");
            let result = bench.events(*row, stream, peak, backlog);
            let Some(result) = failures.sort(&name, result) else {
                told(&format!("{progress}: FAILED"));
                continue;
            };
            if row.subject == Subject::Peak(Beside::Nothing) {
                peak = result.reports;
            }
            told(&format!(
                "{progress}: {} reports and {} events per second",
                number(result.reports),
                number(result.events),
            ));
            measured.push(result);
        }
    }
    results
}

/// Explains the rows of the table of events.
pub const NOTES: &str = "\
- event after its 204: from the integrator's answer until the subscriber has the event;
  1,000 reports per second, 64 connections.
- backlog delivered: events stored before, delivered to a new subscription; CPU time is per
  event there, per report elsewhere.
- receiver: 256 connections at peak, or at 50 % of the peak measured without subscriptions. The
  5 subscriptions receive every event; the endpoint of one hangs.
Every event was delivered in the order of its message; only the receiver rows end before that.
";
