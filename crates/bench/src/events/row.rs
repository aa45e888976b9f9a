//! What one row of the table of events is about, and what was measured of it.

use serde::Serialize;

use crate::table::{median, number};

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What is measured.
    pub subject: Subject,
    /// On PostgreSQL, or on the embedded database.
    pub on_postgres: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// From the answer to a report until its event is there, at a fixed rate.
    Delay,
    /// Events that were stored before, pushed as fast as they are taken.
    Backlog,
    /// Reports taken, as many as go.
    Most(Beside),
    /// Reports taken at half of the most that are taken beside nothing.
    HalfOfMost(Beside),
}

/// What else the receiver has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// Five subscriptions of everything, the target of one of which hangs.
    Subscriptions,
}

impl Row {
    /// What the row is called.
    #[must_use]
    pub fn name(self) -> String {
        let engine = if self.on_postgres {
            "PostgreSQL"
        } else {
            "SQLite"
        };
        let beside = |beside| match beside {
            Beside::Nothing => "",
            Beside::Subscriptions => ", 5 subscriptions",
        };
        match self.subject {
            Subject::Delay => format!("event after its 204, {engine}"),
            Subject::Backlog => format!("backlog pushed, {engine}"),
            Subject::Most(it) => format!("intake on {engine}, most{}", beside(it)),
            Subject::HalfOfMost(it) => format!("intake on {engine}, half{}", beside(it)),
        }
    }
}

/// What was measured, once or as medians.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measured {
    /// Reports a second.
    pub reports: Option<f64>,
    /// Events taken by subscribers a second.
    pub events: Option<f64>,
    /// The latency that half did not exceed, in milliseconds.
    pub p50: Option<f64>,
    /// The same for 99 of a hundred.
    pub p99: Option<f64>,
    /// The same for 999 of a thousand.
    pub p999: Option<f64>,
    /// Processor time of the receiver, in microseconds.
    pub receiver_cpu: Option<f64>,
    /// Processor time of the database, in microseconds.
    pub database_cpu: Option<f64>,
    /// Memory of the receiver, in MiB.
    pub memory: Option<f64>,
    /// Processors that load and subscribers took.
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
            events: of(|round| round.events),
            p50: of(|round| round.p50),
            p99: of(|round| round.p99),
            p999: of(|round| round.p999),
            receiver_cpu: of(|round| round.receiver_cpu),
            database_cpu: of(|round| round.database_cpu),
            memory: of(|round| round.memory),
            load_cpu: of(|round| round.load_cpu),
        }
    }

    /// The heads of [`Measured::cells`].
    pub const HEADER: [&'static str; 10] = [
        "",
        "reports/s",
        "events/s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "receiver µs",
        "database µs",
        "MiB",
        "load CPUs",
    ];

    /// A line of the table.
    #[must_use]
    pub fn cells(&self, row: Row) -> [String; 10] {
        [
            row.name(),
            number(self.reports),
            number(self.events),
            number(self.p50),
            number(self.p99),
            number(self.p999),
            number(self.receiver_cpu),
            number(self.database_cpu),
            number(self.memory),
            number(self.load_cpu),
        ]
    }
}
