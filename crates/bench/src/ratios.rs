//! The ratios of interest. They say more than rates do, since both sides were measured on the same
//! machine in the same minutes.

use serde::Serialize;

use crate::measure::Start;
use crate::row::{Measured, Rate, Row, Subject};
use crate::suite::{self, ONE_SENDER, Results};
use crate::table::median;

#[derive(Debug, Serialize)]
pub struct Ratio {
    pub name: &'static str,
    pub value: Option<f64>,
}

/// Returns all ratios of the medians whose rows were measured.
pub fn of(results: &Results) -> Vec<Ratio> {
    let reports = of_reports(results).into_iter().chain(of_guessing(results));
    let reports = reports.chain(of_costs(results));
    let statistics = [true, false].into_iter();
    let statistics = statistics.flat_map(|on_postgres| of_statistics(results, on_postgres));
    let batches = [true, false].into_iter();
    let batches = batches.flat_map(|on_postgres| of_batches(results, on_postgres));
    let all = reports.chain(statistics).chain(batches);
    let all = all.chain(of_events(results));
    let all = all.map(|(name, value)| Ratio { name, value });
    all.filter(|ratio| ratio.value.is_some()).collect()
}

fn find(results: &Results, row: Row) -> Measured {
    let found = results.rows.iter().find(|(each, _)| *each == row);
    let found = found.map(|(_, rounds)| Measured::medians(rounds));
    found.unwrap_or_default()
}

fn divided(above: Option<f64>, below: Option<f64>) -> Option<f64> {
    Some(above? / below.filter(|it| *it > 0.0)?)
}

fn of_reports(results: &Results) -> Vec<(&'static str, Option<f64>)> {
    let find = |row| find(results, row);
    let peak = |subject, connections| find(Row::peak(subject, connections));
    let reports = |subject, connections| peak(subject, connections).reports;
    let receiver = peak(Subject::OnPostgres, 256);
    let over = |subject, connections| divided(receiver.reports, reports(subject, connections));
    let ceiling = peak(Subject::Ceiling, 256).requests;
    let lone = peak(Subject::OnPostgres, 1).p50;
    let statement = find(suite::LONE_STATEMENT).p50;
    let half = find(suite::HALF_OF_PEAK);
    let no_store = peak(Subject::NoStore, 256).requests;
    vec![
        (
            "PostgreSQL at 256 ÷ floor (batches of 256)",
            over(Subject::Batches(256), 1),
        ),
        (
            "PostgreSQL at 256 ÷ floor (batches of the same size)",
            over(Subject::BatchesAsReached, 1),
        ),
        (
            "PostgreSQL at 256 ÷ one report per statement",
            over(Subject::SingleStatements, 64),
        ),
        (
            "PostgreSQL at 256 ÷ one transaction per request",
            over(Subject::OneTransactionEach, 256),
        ),
        (
            "PostgreSQL at 256 ÷ HTTP ceiling",
            divided(receiver.requests, ceiling),
        ),
        (
            "PostgreSQL at 256 ÷ HTTP and ingest queue, no store",
            divided(receiver.requests, no_store),
        ),
        (
            "SQLite at 64 ÷ PostgreSQL at 64",
            divided(
                reports(Subject::OnSqlite, 64),
                reports(Subject::OnPostgres, 64),
            ),
        ),
        (
            "p99 ÷ p50 on PostgreSQL at 256",
            divided(receiver.p99, receiver.p50),
        ),
        ("p99 on PostgreSQL at 50 % of peak, ms", half.p99),
        (
            "a single report on PostgreSQL ÷ a single statement (p50)",
            divided(lone, statement),
        ),
        (
            "a single report on PostgreSQL − a single statement (p50), ms",
            lone.zip(statement)
                .map(|(report, statement)| report - statement),
        ),
    ]
}

/// Returns what guessing passwords costs the others.
fn of_guessing(results: &Results) -> Vec<(&'static str, Option<f64>)> {
    let find = |row| find(results, row);
    let guesses = find(suite::PASSWORD_GUESSING);
    let half = find(suite::HALF_OF_PEAK);
    let half_beside_guessing = find(suite::HALF_OF_PEAK_BESIDE_GUESSING);
    vec![
        (
            "good traffic kept beside password guessing",
            divided(guesses.reports, Some(f64::from(ONE_SENDER))),
        ),
        (
            "50 % of peak kept beside password guessing",
            divided(half_beside_guessing.reports, half.reports),
        ),
        ("memory grown beside password guessing, MiB", guesses.grown),
    ]
}

/// Writers, challenges, and what the program costs when it starts and while it runs.
fn of_costs(results: &Results) -> Vec<(&'static str, Option<f64>)> {
    let peak = |subject, connections| find(results, Row::peak(subject, connections));
    let receiver = peak(Subject::OnPostgres, 256);
    let ceiling = peak(Subject::Ceiling, 256).requests;
    let challenges = find(results, suite::CHALLENGES).requests;
    let two_writers = |connections| {
        let [one, two] = [1, 2].map(|count| peak(Subject::Writers(count), connections).reports);
        divided(two, one)
    };
    let start =
        |starts: &[Start], field: fn(&Start) -> f64| median(starts.iter().map(field).collect());
    let [on_postgres, on_sqlite] = &results.starts;
    let [idle, ready]: [fn(&Start) -> f64; 2] = [|start| start.idle_mib, |start| start.ready_ms];
    vec![
        ("2 writers ÷ 1 at 64", two_writers(64)),
        ("2 writers ÷ 1 at 256", two_writers(256)),
        ("401 ÷ HTTP ceiling at 256", divided(challenges, ceiling)),
        (
            "CPU a report, receiver and PostgreSQL, µs",
            receiver.report_cpu,
        ),
        ("memory at 256 on PostgreSQL, MiB", receiver.memory),
        ("memory idle on PostgreSQL, MiB", start(on_postgres, idle)),
        ("memory idle on SQLite, MiB", start(on_sqlite, idle)),
        (
            "start on an empty PostgreSQL database, ms",
            start(on_postgres, ready),
        ),
        ("start on an empty SQLite file, ms", start(on_sqlite, ready)),
    ]
}

/// Returns what a report costs in a batch of Infobip's, compared with a single one of Twilio's.
fn of_batches(results: &Results, on_postgres: bool) -> Vec<(&'static str, Option<f64>)> {
    let batches = find(results, suite::infobip(on_postgres));
    let subject = if on_postgres {
        Subject::OnPostgres
    } else {
        Subject::OnSqlite
    };
    let single = |connections| find(results, Row::peak(subject, connections));
    let [one, many] = [1, 256].map(single);
    let of_both = |single: &Measured| divided(batches.report_cpu, single.report_cpu);
    if !on_postgres {
        return vec![
            (
                "CPU a report, Infobip batch ÷ single, one connection, SQLite",
                of_both(&one),
            ),
            (
                "CPU a report, Infobip batch ÷ single, 256 connections, SQLite",
                of_both(&many),
            ),
        ];
    }
    vec![
        (
            "CPU a report, Infobip batch ÷ single, one connection, PostgreSQL",
            of_both(&one),
        ),
        (
            "CPU a report, Infobip batch ÷ single, 256 connections, PostgreSQL",
            of_both(&many),
        ),
        (
            "the same of the receiver alone",
            divided(batches.receiver_report_cpu, many.receiver_report_cpu),
        ),
    ]
}

fn of_statistics(results: &Results, on_postgres: bool) -> [(&'static str, Option<f64>); 3] {
    let [counted, not] = suite::statistics_rows(on_postgres).map(|row| find(results, row));
    let names = if on_postgres {
        [
            "peak with statistics counted ÷ not counted, PostgreSQL",
            "statistics behind at the end of the load on PostgreSQL, s",
            "reports counted per second afterwards ÷ peak, PostgreSQL",
        ]
    } else {
        [
            "peak with statistics counted ÷ not counted, SQLite",
            "statistics behind at the end of the load on SQLite, s",
            "reports counted per second afterwards ÷ peak, SQLite",
        ]
    };
    let values = [
        divided(counted.reports, not.reports),
        counted.statistics_lag,
        divided(counted.statistics_caught_up, counted.reports),
    ];
    let [cost, lag, caught_up] = names;
    let [of_cost, of_lag, of_caught_up] = values;
    [(cost, of_cost), (lag, of_lag), (caught_up, of_caught_up)]
}

fn of_events(results: &Results) -> [(&'static str, Option<f64>); 8] {
    let row = |subject, rate| {
        let found = results.rows.iter();
        let mut found = found.filter(|(row, _)| row.subject == subject && row.rate == rate);
        let found = found.next().map(|(_, rounds)| Measured::medians(rounds));
        found.unwrap_or_default()
    };
    let delay = |on_postgres| {
        let rate = Rate::Fixed(suite::DELAY_RATE);
        row(Subject::EventDelay { on_postgres }, rate).p99
    };
    let backlog = |on_postgres| row(Subject::Backlog { on_postgres }, Rate::Peak).events;
    let beside = |on_postgres, rate| {
        let [with, without] = [true, false]
            .map(|some| row(Subject::Subscriptions { on_postgres, some }, rate).reports);
        divided(with, without)
    };
    [
        ("event after its 204 on PostgreSQL, p99, ms", delay(true)),
        ("event after its 204 on SQLite, p99, ms", delay(false)),
        ("events delivered per second on PostgreSQL", backlog(true)),
        ("events delivered per second on SQLite", backlog(false)),
        (
            "50 % of peak beside 5 subscriptions ÷ beside none, PostgreSQL",
            beside(true, Rate::HalfOfPeak),
        ),
        (
            "50 % of peak beside 5 subscriptions ÷ beside none, SQLite",
            beside(false, Rate::HalfOfPeak),
        ),
        (
            "peak beside 5 subscriptions ÷ beside none, PostgreSQL",
            beside(true, Rate::Peak),
        ),
        (
            "peak beside 5 subscriptions ÷ beside none, SQLite",
            beside(false, Rate::Peak),
        ),
    ]
}
