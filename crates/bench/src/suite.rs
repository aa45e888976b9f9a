//! Everything that is measured, in alternation: a change of the machine's mood
//! meets all rows alike.

use anyhow::{Error, Result};

use crate::load::Mode;
use crate::measure::{Bench, Reached, Start};
use crate::row::{Measured, Rate, Row, Subject};

/// One sender of a contact centre at its peak: 400 messages a second with
/// three reports each.
pub const ONE_SENDER: u32 = 1_200;

/// What the receiver's peak is measured with.
const PEAK: Row = Row::flood(Subject::OnPostgres, 256);

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
        .chain([HALF_OF_PEAK])
        .chain(of(Subject::OnSqlite))
        .chain([
            special(Mode::TwoSteps, 256, Rate::Peak),
            special(Mode::TwoSteps, 64, Rate::Fixed(ONE_SENDER)),
            CHALLENGES,
            PASSWORD_GUESSING,
            HALF_OF_PEAK_BESIDE_GUESSING,
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

/// What a single report is compared with, and so measured right before it.
pub(crate) const LONE_STATEMENT: Row = Row::flood(Subject::SingleStatements, 1);

/// Half of the receiver's peak, at a fixed rate, where latency is meaningful.
pub(crate) const HALF_OF_PEAK: Row = special(Mode::AtOnce, 256, Rate::HalfOfPeak);

/// Nothing but answers to callers who show nothing.
pub(crate) const CHALLENGES: Row = special(Mode::ChallengeOnly, 256, Rate::Peak);

/// One sender beside many who guess passwords.
pub(crate) const PASSWORD_GUESSING: Row = Row {
    subject: Subject::BesidePasswordGuessing,
    ..special(Mode::AtOnce, 64, Rate::Fixed(ONE_SENDER))
};

/// The same beside password guessing.
pub(crate) const HALF_OF_PEAK_BESIDE_GUESSING: Row = Row {
    subject: Subject::BesidePasswordGuessing,
    ..HALF_OF_PEAK
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

/// What was measured before a failure is kept; these are the failures, to be reported at the end.
#[derive(Default)]
pub struct Failures(Vec<String>);

impl Failures {
    /// Keeps a result, or notes that measuring `name` failed.
    pub fn sort<T>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(name, &error)).ok()
    }

    fn add(&mut self, name: &str, error: &Error) {
        self.0.push(format!("{name}: {error:#}"));
    }

    /// An error that names every failure; `Ok` if there was none.
    pub fn into_result(self) -> Result<()> {
        anyhow::ensure!(
            self.0.is_empty(),
            "{} measurements failed:\n  {}",
            self.0.len(),
            self.0.join("\n  ")
        );
        Ok(())
    }
}

/// Measures all rows in every round. `told` hears of each as it is done. A row that fails is
/// left out of that round and noted in `failures`.
pub fn run(
    bench: &Bench,
    rows: Vec<Row>,
    rounds: u32,
    failures: &mut Failures,
    told: impl Fn(&str),
) -> Results {
    let rows = rows.into_iter().map(|row| (row, Vec::new())).collect();
    let mut results = Results {
        rows,
        starts: [Vec::new(), Vec::new()],
    };
    let mut stream = 0;
    for round in 1..=rounds {
        for (on_postgres, starts) in [true, false].into_iter().zip(&mut results.starts) {
            starts.extend(failures.sort("start on an empty database", bench.start(on_postgres)));
        }
        let mut reached = Reached::default();
        for (row, measured) in &mut results.rows {
            stream += 1;
            let name = format!("{}, {} connections", row.name(), row.connections);
            let progress = format!("round {round} of {rounds}: {name}");
            let Some(result) = failures.sort(&name, bench.row(*row, stream, reached)) else {
                told(&format!("{progress}: FAILED"));
                continue;
            };
            if *row == PEAK {
                reached = Reached {
                    batch: result.batch,
                    peak: result.reports,
                };
            }
            let rate = crate::table::number(result.requests.or(result.reports));
            told(&format!("{progress}: {rate} per second"));
            measured.push(result);
        }
    }
    results
}

/// Leaves the rows whose names contain `part`, and those that they need the results of.
pub fn select(rows: &mut Vec<Row>, part: &str) {
    let wanted = |row: &Row| row.name().contains(part);
    let needs_peak = rows.iter().any(|row| {
        wanted(row) && (row.rate == Rate::HalfOfPeak || row.subject == Subject::BatchesAsReached)
    });
    rows.retain(|row| wanted(row) || (needs_peak && *row == PEAK));
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn failures_keep_results_and_are_reported_at_the_end() {
        let mut failures = Failures::default();
        assert_eq!(failures.sort("good", Ok(1)), Some(1));
        assert_eq!(failures.sort::<u8>("bad", Err(anyhow!("no room"))), None);
        let message = failures.into_result().unwrap_err().to_string();
        assert!(message.contains("bad: no room"), "{message}");
        assert!(Failures::default().into_result().is_ok());
    }

    #[test]
    fn selected_rows_bring_the_row_they_depend_on() {
        let selected = |part| {
            let mut selected = rows();
            select(&mut selected, part);
            selected
        };
        let half = selected("50 % of peak");
        assert!(
            half.contains(&PEAK) && half.contains(&HALF_OF_PEAK),
            "{half:?}"
        );
        assert!(
            selected("SQLite")
                .iter()
                .all(|row| row.subject == Subject::OnSqlite)
        );
        assert!(selected("no such row").is_empty());
    }
}
