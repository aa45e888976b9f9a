//! The rows of both tables, and what is measured for each.

use serde::Serialize;

use crate::load::Mode;
use crate::table::{median, number};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The receiver on PostgreSQL.
    OnPostgres,
    /// The receiver on PostgreSQL with so many writers.
    Writers(u8),
    /// The receiver on PostgreSQL while 64 more connections send wrong passwords as fast as they
    /// are refused.
    BesidePasswordGuessing,
    /// The receiver on its embedded database.
    OnSqlite,
    /// The receiver, whose channel is one of Infobip's. The other rows are of Twilio's reports.
    OfInfobip { on_postgres: bool },
    /// The receiver, which counts statistics or leaves that to another process.
    Statistics { on_postgres: bool, counted: bool },
    /// The receiver on PostgreSQL without group commit: 16 writers that each record one report in
    /// one transaction.
    OneTransactionEach,
    /// HTTP alone: authentication, parsing and answer.
    Ceiling,
    /// HTTP and the ingest queue over a store that records nothing.
    NoStore,
    /// Batches of this size directly into PostgreSQL from one connection.
    Batches(usize),
    /// Batches as large as the receiver's were, from one connection.
    BatchesAsReached,
    /// One report per statement directly into PostgreSQL, from many connections.
    SingleStatements,
    /// From the answer to a report until its event arrives.
    EventDelay { on_postgres: bool },
    /// Stored events, delivered at saturation.
    Backlog { on_postgres: bool },
    /// The receiver in the table of events, optionally with five subscriptions to all events. The
    /// endpoint of one of them hangs.
    Subscriptions { on_postgres: bool, some: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub subject: Subject,
    pub mode: Mode,
    pub connections: usize,
    pub rate: Rate,
}

/// How many reports are sent per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As many as the receiver accepts.
    Peak,
    Fixed(u32),
    /// Half of the peak in the same round.
    HalfOfPeak,
}

impl Row {
    /// Reports with credentials at saturation.
    pub const fn peak(subject: Subject, connections: usize) -> Self {
        Self {
            subject,
            mode: Mode::AtOnce,
            connections,
            rate: Rate::Peak,
        }
    }

    /// Returns whether it belongs to the table of events.
    pub const fn is_about_events(self) -> bool {
        matches!(
            self.subject,
            Subject::EventDelay { .. } | Subject::Backlog { .. } | Subject::Subscriptions { .. }
        )
    }

    pub fn name(self) -> String {
        let engine = |on_postgres| if on_postgres { "PostgreSQL" } else { "SQLite" };
        let subject = match self.subject {
            Subject::OnPostgres => "receiver on PostgreSQL".to_owned(),
            Subject::Writers(1) => "receiver on PostgreSQL, 1 writer".to_owned(),
            Subject::Writers(count) => format!("receiver on PostgreSQL, {count} writers"),
            Subject::BesidePasswordGuessing => {
                "receiver on PostgreSQL beside password guessing".to_owned()
            }
            Subject::OnSqlite => "receiver on SQLite".to_owned(),
            Subject::OfInfobip { on_postgres } => format!("receiver on {}", engine(on_postgres)),
            Subject::Statistics {
                on_postgres,
                counted,
            } => {
                let not = if counted { "" } else { "not " };
                format!(
                    "receiver on {}, statistics {not}counted",
                    engine(on_postgres)
                )
            }
            Subject::OneTransactionEach => "one transaction per request".to_owned(),
            Subject::Ceiling => "HTTP ceiling".to_owned(),
            Subject::NoStore => "HTTP and ingest queue, no store".to_owned(),
            Subject::Batches(size) => format!("floor: batches of {size}, no HTTP"),
            Subject::BatchesAsReached => "floor: batches of the same size, no HTTP".to_owned(),
            Subject::SingleStatements => "one report per statement, no HTTP".to_owned(),
            Subject::EventDelay { on_postgres } => {
                return format!("event after its 204, {}", engine(on_postgres));
            }
            Subject::Backlog { on_postgres } => {
                return format!("backlog delivered, {}", engine(on_postgres));
            }
            Subject::Subscriptions { on_postgres, some } => {
                let half = self.rate == Rate::HalfOfPeak;
                let rate = if half { "50 % of peak" } else { "peak" };
                let beside = if some { ", 5 subscriptions" } else { "" };
                return format!("receiver on {}, {rate}{beside}", engine(on_postgres));
            }
        };
        let mode = match self.mode {
            Mode::AtOnce => "",
            Mode::TwoSteps => ", two steps",
            Mode::Batches => ", Infobip batches of 500",
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
    /// Reports per second.
    pub reports: Option<f64>,
    /// Requests per second.
    pub requests: Option<f64>,
    /// Events per second that subscribers accepted.
    pub events: Option<f64>,
    /// Percentiles of the latency of reports, in milliseconds.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    pub p999: Option<f64>,
    /// Processor time of the receiver per report, in microseconds.
    pub receiver_report_cpu: Option<f64>,
    /// Processor time of the receiver per request (for stored events, per event), in microseconds.
    pub receiver_cpu: Option<f64>,
    /// The same of the database; without HTTP, per report.
    pub database_cpu: Option<f64>,
    /// Processor time of both together per report, in microseconds.
    pub report_cpu: Option<f64>,
    /// Memory of the receiver, in MiB.
    pub memory: Option<f64>,
    /// How much that grew during password guessing, in MiB.
    pub grown: Option<f64>,
    /// Reports per commit, on average.
    pub batch: Option<f64>,
    /// Processors that the load itself used.
    pub load_cpu: Option<f64>,
    /// Age of the oldest report that was not counted in the statistics when the load ended, in
    /// seconds.
    pub statistics_lag: Option<f64>,
    /// Reports per second that were counted from then on; `None` if all were counted.
    pub statistics_caught_up: Option<f64>,
}

/// The header of a column, and its value.
pub type Column = (&'static str, fn(&Measured) -> Option<f64>);

pub const REPORT_COLUMNS: &[Column] = &[
    ("reports/s", |it| it.reports),
    ("requests/s", |it| it.requests),
    ("p50 ms", |it| it.p50),
    ("p99 ms", |it| it.p99),
    ("p99.9 ms", |it| it.p999),
    ("receiver µs", |it| it.receiver_cpu),
    ("database µs", |it| it.database_cpu),
    ("MiB", |it| it.memory),
    ("batch", |it| it.batch),
    ("load CPUs", |it| it.load_cpu),
];

pub const EVENT_COLUMNS: &[Column] = &[
    ("reports/s", |it| it.reports),
    ("events/s", |it| it.events),
    ("p50 ms", |it| it.p50),
    ("p99 ms", |it| it.p99),
    ("p99.9 ms", |it| it.p999),
    ("receiver µs", |it| it.receiver_cpu),
    ("database µs", |it| it.database_cpu),
    ("MiB", |it| it.memory),
    ("load CPUs", |it| it.load_cpu),
];

impl Measured {
    /// Returns the medians of several rounds, each value for itself.
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
            receiver_report_cpu: of(|round| round.receiver_report_cpu),
            receiver_cpu: of(|round| round.receiver_cpu),
            database_cpu: of(|round| round.database_cpu),
            report_cpu: of(|round| round.report_cpu),
            memory: of(|round| round.memory),
            grown: of(|round| round.grown),
            batch: of(|round| round.batch),
            load_cpu: of(|round| round.load_cpu),
            statistics_lag: of(|round| round.statistics_lag),
            statistics_caught_up: of(|round| round.statistics_caught_up),
        }
    }

    pub fn cells(&self, columns: &[Column]) -> Vec<String> {
        let values = columns.iter().map(|(_, value)| value(self));
        values.map(number).collect()
    }
}
