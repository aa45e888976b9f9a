//! Everything that is measured, in alternation, so that changes of the machine affect all rows
//! alike.

use anyhow::Result;

use crate::load::Mode;
use crate::measure::{Bench, Reached, Start};
use crate::row::{Measured, Rate, Row, Subject};
use crate::table::number;

/// One sender of a contact center at its peak: 400 messages per second with three reports each.
pub const ONE_SENDER: u32 = 1_200;

/// What the receiver's peak is measured with.
const PEAK: Row = Row::peak(Subject::OnPostgres, 256);

/// What a single report is compared with, and so measured right before it.
pub const LONE_STATEMENT: Row = Row::peak(Subject::SingleStatements, 1);

/// At a fixed rate, where latency is meaningful.
pub const HALF_OF_PEAK: Row = Row {
    rate: Rate::HalfOfPeak,
    ..PEAK
};

/// Only answers to callers without credentials.
pub const CHALLENGES: Row = Row {
    mode: Mode::ChallengeOnly,
    ..PEAK
};

/// One sender beside password guessing.
pub const PASSWORD_GUESSING: Row = Row {
    rate: Rate::Fixed(ONE_SENDER),
    ..Row::peak(Subject::BesidePasswordGuessing, 64)
};

pub const HALF_OF_PEAK_BESIDE_GUESSING: Row = Row {
    subject: Subject::BesidePasswordGuessing,
    ..HALF_OF_PEAK
};

/// Batches of Infobip's. Few connections, as its windows allow: each waits for 500 reports.
pub const fn infobip(on_postgres: bool) -> Row {
    Row {
        mode: Mode::Batches,
        ..Row::peak(Subject::OfInfobip { on_postgres }, 4)
    }
}

/// At which rate the delay of events is measured.
pub const DELAY_RATE: u32 = 1_000;

/// Returns all rows. One that needs another's result follows it.
pub fn rows() -> Vec<Row> {
    let peaks = |subject| {
        let connections = [1, 64, 256, 1024].into_iter();
        connections.map(move |connections| Row::peak(subject, connections))
    };
    let two_steps = Row {
        mode: Mode::TwoSteps,
        ..PEAK
    };
    let two_steps_of_one_sender = Row {
        rate: Rate::Fixed(ONE_SENDER),
        connections: 64,
        ..two_steps
    };
    [LONE_STATEMENT]
        .into_iter()
        .chain(peaks(Subject::OnPostgres))
        .chain([HALF_OF_PEAK])
        .chain(peaks(Subject::OnSqlite))
        .chain([true, false].map(infobip))
        .chain(statistics_rows(true))
        .chain(statistics_rows(false))
        .chain([
            two_steps,
            two_steps_of_one_sender,
            CHALLENGES,
            PASSWORD_GUESSING,
            HALF_OF_PEAK_BESIDE_GUESSING,
        ])
        .chain(peaks(Subject::Ceiling))
        .chain([
            Row::peak(Subject::NoStore, 256),
            Row::peak(Subject::Batches(256), 1),
            Row::peak(Subject::BatchesAsReached, 1),
            Row::peak(Subject::SingleStatements, 64),
            Row::peak(Subject::OneTransactionEach, 256),
        ])
        .chain([true, false].into_iter().flat_map(event_rows))
        .collect()
}

/// The peak while statistics are counted, and while they are not.
pub fn statistics_rows(on_postgres: bool) -> [Row; 2] {
    [true, false].map(|counted| {
        let subject = Subject::Statistics {
            on_postgres,
            counted,
        };
        Row::peak(subject, 256)
    })
}

fn event_rows(on_postgres: bool) -> [Row; 6] {
    let receiver = |some, rate| Row {
        rate,
        ..Row::peak(Subject::Subscriptions { on_postgres, some }, 256)
    };
    [
        Row {
            rate: Rate::Fixed(DELAY_RATE),
            ..Row::peak(Subject::EventDelay { on_postgres }, 64)
        },
        Row::peak(Subject::Backlog { on_postgres }, 64),
        receiver(false, Rate::Peak),
        receiver(true, Rate::Peak),
        receiver(false, Rate::HalfOfPeak),
        receiver(true, Rate::HalfOfPeak),
    ]
}

/// One writer compared with two.
pub fn writers() -> Vec<Row> {
    let of = |connections| [1, 2].map(|count| Row::peak(Subject::Writers(count), connections));
    [64, 256].into_iter().flat_map(of).collect()
}

/// Returns the row whose result this one needs.
fn dependency(row: &Row) -> Option<Row> {
    match row.subject {
        Subject::Subscriptions { on_postgres, .. } if row.rate == Rate::HalfOfPeak => {
            let [_, _, peak, ..] = event_rows(on_postgres);
            Some(peak)
        }
        _ if row.rate == Rate::HalfOfPeak || row.subject == Subject::BatchesAsReached => Some(PEAK),
        _ => None,
    }
}

/// Leaves the table `reports` or `events`, or the rows whose names contain `only` and those that
/// they need.
pub fn select(rows: &mut Vec<Row>, only: &str) {
    match only {
        "reports" => rows.retain(|row| !row.is_about_events()),
        "events" => rows.retain(|row| row.is_about_events()),
        text => {
            let wanted = |row: &Row| row.name().contains(text);
            let needed: Vec<_> = rows
                .iter()
                .filter(|row| wanted(row))
                .filter_map(dependency)
                .collect();
            rows.retain(|row| wanted(row) || needed.contains(row));
        }
    }
}

#[derive(Default)]
pub struct Results {
    /// The rows and their rounds.
    pub rows: Vec<(Row, Vec<Measured>)>,
    /// Starts on an empty database: on PostgreSQL and on SQLite.
    pub starts: [Vec<Start>; 2],
    failures: Failures,
}

impl Results {
    /// Measures all rows in every round. A failed measurement is left out and reported by
    /// [`Results::check`].
    pub fn measure(bench: &Bench, rows: Vec<Row>, rounds: u32, progress: impl Fn(&str)) -> Self {
        let starts = rows.iter().any(|row| !row.is_about_events());
        let mut results = Self {
            rows: rows.into_iter().map(|row| (row, Vec::new())).collect(),
            ..Self::default()
        };
        let mut stream = 0;
        for round in 1..=rounds {
            for (on_postgres, measured) in [true, false].into_iter().zip(&mut results.starts) {
                if starts {
                    let start = bench.start(on_postgres);
                    measured.extend(results.failures.sort("start on an empty database", start));
                }
            }
            let mut reached = Reached::default();
            for (row, measured) in &mut results.rows {
                stream += 1;
                let name = format!("{}, {} connections", row.name(), row.connections);
                let line = format!("round {round} of {rounds}: {name}");
                let Some(result) = results
                    .failures
                    .sort(&name, bench.row(*row, stream, reached))
                else {
                    progress(&format!("{line}: FAILED"));
                    continue;
                };
                let is_peak = matches!(row.subject, Subject::Subscriptions { some: false, .. });
                if *row == PEAK || (is_peak && row.rate == Rate::Peak) {
                    reached = Reached {
                        batch: result.batch,
                        peak: result.reports,
                    };
                }
                let rate = result.requests.or(result.events).or(result.reports);
                progress(&format!("{line}: {} per second", number(rate)));
                measured.push(result);
            }
        }
        results
    }

    /// Returns the rows of one of the tables.
    pub fn table(&self, of_events: bool) -> impl Iterator<Item = &(Row, Vec<Measured>)> {
        let rows = self.rows.iter();
        rows.filter(move |(row, _)| row.is_about_events() == of_events)
    }

    /// Fails with the names of all failed measurements, if there are any.
    pub fn check(self) -> Result<()> {
        self.failures.check()
    }
}

/// Errors of measurements, reported at the end so that other results are not lost.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    /// Returns the result, or records that measuring `name` failed.
    fn sort<T>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        let failed = |error| self.0.push(format!("{name}: {error:#}"));
        result.map_err(failed).ok()
    }

    fn check(self) -> Result<()> {
        anyhow::ensure!(
            self.0.is_empty(),
            "{} measurements failed:\n  {}",
            self.0.len(),
            self.0.join("\n  ")
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn failures_keep_results_and_are_reported_at_the_end() {
        let mut failures = Failures::default();
        assert_eq!(failures.sort("good", Ok(1)), Some(1));
        assert_eq!(failures.sort::<u8>("bad", Err(anyhow!("no room"))), None);
        let message = failures.check().unwrap_err().to_string();
        assert!(message.contains("bad: no room"), "{message}");
        assert!(Failures::default().check().is_ok());
    }

    #[test]
    fn selected_rows_bring_the_row_they_depend_on() {
        let selected = |part| {
            let mut selected = rows();
            select(&mut selected, part);
            selected
        };
        let half = selected("50 % of peak");
        for row in [
            PEAK,
            HALF_OF_PEAK,
            event_rows(false)[2],
            event_rows(false)[4],
        ] {
            assert!(half.contains(&row), "{row:?} in {half:?}");
        }
        let sqlite = selected("receiver on SQLite");
        assert!(!sqlite.contains(&PEAK) && sqlite.len() == 11, "{sqlite:?}");
        assert!(selected("no such row").is_empty());
        assert_eq!(selected("events").len(), 12);
        assert_eq!(selected("reports").len() + 12, rows().len());
    }

    #[test]
    fn names_of_rows_are_unique_in_their_table() {
        let rows = rows();
        let name = |row: &Row| (row.is_about_events(), row.name(), row.connections);
        let names: HashSet<_> = rows.iter().map(name).collect();
        assert_eq!(names.len(), rows.len());
    }
}
