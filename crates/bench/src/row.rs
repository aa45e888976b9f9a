//! What one row of the table is about, and what was measured of it.

use serde::Serialize;

use crate::load::Mode;
use crate::table::{median, number};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The receiver on PostgreSQL.
    OnPostgres,
    /// The receiver on PostgreSQL with so many writers.
    Writers(u8),
    /// The receiver on PostgreSQL, while 64 more connections guess passwords as
    /// fast as they are refused.
    BesidePasswordGuessing,
    /// The receiver on its embedded database.
    OnSqlite,
    /// The receiver on PostgreSQL with group commit switched off: 16 writers
    /// that each record one report in one transaction.
    OneTransactionEach,
    /// HTTP alone: proof, form and answer.
    Ceiling,
    /// HTTP and the intake, over a store that records nothing.
    NoStore,
    /// Batches of this size straight into PostgreSQL from one connection.
    Batches(usize),
    /// Batches as large as the receiver's were, from one connection.
    BatchesAsReached,
    /// One report a statement straight into PostgreSQL, from many connections.
    SingleStatements,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is measured.
    pub subject: Subject,
    /// How reports are sent.
    pub mode: Mode,
    /// From how many connections.
    pub connections: usize,
    /// How many a second.
    pub rate: Rate,
}

/// How many reports are sent a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As many as the receiver accepts.
    Peak,
    /// So many.
    Fixed(u32),
    /// Half of the peak that the receiver reached in the same round.
    HalfOfPeak,
}

impl Row {
    /// As many reports as go, with credentials.
    #[must_use]
    pub const fn flood(subject: Subject, connections: usize) -> Self {
        Self {
            subject,
            mode: Mode::AtOnce,
            connections,
            rate: Rate::Peak,
        }
    }

    /// What the row is called.
    #[must_use]
    pub fn name(self) -> String {
        let subject = match self.subject {
            Subject::OnPostgres => "receiver on PostgreSQL".to_owned(),
            Subject::Writers(1) => "receiver on PostgreSQL, 1 writer".to_owned(),
            Subject::Writers(count) => format!("receiver on PostgreSQL, {count} writers"),
            Subject::BesidePasswordGuessing => {
                "receiver on PostgreSQL beside password guessing".to_owned()
            }
            Subject::OnSqlite => "receiver on SQLite".to_owned(),
            Subject::OneTransactionEach => "one transaction per request".to_owned(),
            Subject::Ceiling => "HTTP ceiling".to_owned(),
            Subject::NoStore => "HTTP and ingest queue, no store".to_owned(),
            Subject::Batches(size) => format!("floor: batches of {size}, no HTTP"),
            Subject::BatchesAsReached => "floor: batches of the same size, no HTTP".to_owned(),
            Subject::SingleStatements => "one report per statement, no HTTP".to_owned(),
        };
        let mode = match self.mode {
            Mode::AtOnce => "",
            Mode::TwoSteps => ", two steps",
            Mode::ChallengeOnly => ", 401 only",
            Mode::WrongPassword => ", wrong passwords",
        };
        let rate = match self.rate {
            Rate::Peak => String::new(),
            Rate::Fixed(rate) => format!(", {rate} per second"),
            Rate::HalfOfPeak => ", 50 % of peak".to_owned(),
        };
        format!("{subject}{mode}{rate}")
    }
}

/// What was measured, once or as medians.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// Reports a second.
    pub reports: Option<f64>,
    /// Requests a second.
    pub requests: Option<f64>,
    /// Events taken by subscribers a second.
    pub events: Option<f64>,
    /// The latency that half of the reports did not exceed, in milliseconds.
    pub p50: Option<f64>,
    /// The same for 99 of a hundred.
    pub p99: Option<f64>,
    /// The same for 999 of a thousand.
    pub p999: Option<f64>,
    /// Processor time of the receiver for a request (in the table of events for
    /// what the row is about), in microseconds.
    pub receiver_cpu: Option<f64>,
    /// Processor time of the database for a request (where there is no HTTP,
    /// for a report), in microseconds.
    pub database_cpu: Option<f64>,
    /// Processor time of both together for a report, in microseconds.
    pub report_cpu: Option<f64>,
    /// Memory of the receiver, in MiB.
    pub memory: Option<f64>,
    /// How much that grew while passwords were guessed, in MiB.
    pub grown: Option<f64>,
    /// Reports in one commit, on average.
    pub batch: Option<f64>,
    /// Processors the load itself took.
    pub load_cpu: Option<f64>,
}

impl Measured {
    /// The medians of several rounds, each for itself.
    #[must_use]
    pub fn medians(rounds: &[Self]) -> Self {
        let of =
            |field: fn(&Self) -> Option<f64>| median(rounds.iter().filter_map(field).collect());
        Self {
            reports: of(|round| round.reports),
            requests: of(|round| round.requests),
            events: of(|round| round.events),
            p50: of(|round| round.p50),
            p99: of(|round| round.p99),
            p999: of(|round| round.p999),
            receiver_cpu: of(|round| round.receiver_cpu),
            database_cpu: of(|round| round.database_cpu),
            report_cpu: of(|round| round.report_cpu),
            memory: of(|round| round.memory),
            grown: of(|round| round.grown),
            batch: of(|round| round.batch),
            load_cpu: of(|round| round.load_cpu),
        }
    }

    /// The heads of [`Measured::cells`].
    pub const HEADER: [&'static str; 12] = [
        "",
        "connections",
        "reports/s",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "receiver µs",
        "database µs",
        "MiB",
        "batch",
        "load CPUs",
    ];

    /// A line of the table.
    #[must_use]
    pub fn cells(&self, row: Row) -> [String; 12] {
        [
            row.name(),
            row.connections.to_string(),
            number(self.reports),
            number(self.requests),
            number(self.p50),
            number(self.p99),
            number(self.p999),
            number(self.receiver_cpu),
            number(self.database_cpu),
            number(self.memory),
            number(self.batch),
            number(self.load_cpu),
        ]
    }
}
