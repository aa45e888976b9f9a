//! The ratios of interest: they say more than rates do, since both sides were
//! measured on the same machine in the same minutes.

use serde::Serialize;

use crate::measure::Start;
use crate::row::{Measured, Row, Subject};
use crate::suite::{self, ONE_SENDER, Results};
use crate::table::median;

/// One figure that follows from the medians.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// What it is.
    pub name: &'static str,
    /// Its value.
    pub value: Option<f64>,
}

/// All that follow from what was measured.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a list")]
pub fn of(results: &Results) -> Vec<Ratio> {
    let find = |row: Row| {
        let found = results.rows.iter().find(|(each, _)| *each == row);
        found
            .map(|(_, rounds)| Measured::medians(rounds))
            .unwrap_or_default()
    };
    let flood = |subject, connections| find(Row::flood(subject, connections));
    let receiver = flood(Subject::OnPostgres, 256);
    let ceiling = flood(Subject::Ceiling, 256);
    let lone = flood(Subject::OnPostgres, 1);
    let statement = find(suite::LONE_STATEMENT);
    let challenge = find(suite::CHALLENGES);
    let guesses = find(suite::PASSWORD_GUESSING);
    let half = find(suite::HALF_OF_PEAK);
    let writers = |count, connections| flood(Subject::Writers(count), connections).reports;
    let divided =
        |above: Option<f64>, below: Option<f64>| Some(above? / below.filter(|it| *it > 0.0)?);
    let start = |place: usize, field: fn(&Start) -> f64| {
        results
            .starts
            .get(place)
            .and_then(|starts| median(starts.iter().map(field).collect()))
    };
    let ratio = |name, value| Ratio { name, value };
    let all = vec![
        ratio(
            "PostgreSQL at 256 ÷ floor (batches of 256)",
            divided(receiver.reports, flood(Subject::Batches(256), 1).reports),
        ),
        ratio(
            "PostgreSQL at 256 ÷ floor (batches of the same size)",
            divided(
                receiver.reports,
                flood(Subject::BatchesAsReached, 1).reports,
            ),
        ),
        ratio(
            "PostgreSQL at 256 ÷ one report per statement",
            divided(
                receiver.reports,
                flood(Subject::SingleStatements, 64).reports,
            ),
        ),
        ratio(
            "PostgreSQL at 256 ÷ one transaction per request",
            divided(
                receiver.reports,
                flood(Subject::OneTransactionEach, 256).reports,
            ),
        ),
        ratio(
            "PostgreSQL at 256 ÷ HTTP ceiling",
            divided(receiver.requests, ceiling.requests),
        ),
        ratio(
            "PostgreSQL at 256 ÷ HTTP and ingest queue, no store",
            divided(receiver.requests, flood(Subject::NoStore, 256).requests),
        ),
        ratio(
            "SQLite at 64 ÷ PostgreSQL at 64",
            divided(
                flood(Subject::OnSqlite, 64).reports,
                flood(Subject::OnPostgres, 64).reports,
            ),
        ),
        ratio(
            "p99 ÷ p50 on PostgreSQL at 256",
            divided(receiver.p99, receiver.p50),
        ),
        ratio("p99 on PostgreSQL at 50 % of peak, ms", half.p99),
        ratio(
            "a single report on PostgreSQL ÷ a single statement (p50)",
            divided(lone.p50, statement.p50),
        ),
        ratio(
            "a single report on PostgreSQL − a single statement (p50), ms",
            lone.p50
                .zip(statement.p50)
                .map(|(report, statement)| report - statement),
        ),
        ratio(
            "good traffic kept beside password guessing",
            guesses
                .reports
                .map(|reports| reports / f64::from(ONE_SENDER)),
        ),
        ratio(
            "50 % of peak kept beside password guessing",
            divided(
                find(suite::HALF_OF_PEAK_BESIDE_GUESSING).reports,
                half.reports,
            ),
        ),
        ratio("memory grown beside password guessing, MiB", guesses.grown),
        ratio(
            "2 writers ÷ 1 at 64",
            divided(writers(2, 64), writers(1, 64)),
        ),
        ratio(
            "2 writers ÷ 1 at 256",
            divided(writers(2, 256), writers(1, 256)),
        ),
        ratio(
            "401 ÷ HTTP ceiling at 256",
            divided(challenge.requests, ceiling.requests),
        ),
        ratio(
            "CPU a report, receiver and PostgreSQL, µs",
            receiver.report_cpu,
        ),
        ratio("memory at 256 on PostgreSQL, MiB", receiver.memory),
        ratio(
            "memory idle on PostgreSQL, MiB",
            start(0, |start| start.idle_mib),
        ),
        ratio(
            "memory idle on SQLite, MiB",
            start(1, |start| start.idle_mib),
        ),
        ratio(
            "start on an empty PostgreSQL database, ms",
            start(0, |start| start.ready_ms),
        ),
        ratio(
            "start on an empty SQLite file, ms",
            start(1, |start| start.ready_ms),
        ),
    ];
    all.into_iter()
        .filter(|ratio| ratio.value.is_some())
        .collect()
}
