//! What one row of the table of events is about, and what is shown of it.

use crate::row::Measured;
use crate::table::number;

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
    QueueSaturation,
    /// Reports accepted at saturation.
    Peak(Beside),
    /// Reports accepted at 50 % of the peak measured without subscriptions.
    HalfOfPeak(Beside),
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
            Subject::QueueSaturation => format!("backlog delivered, {engine}"),
            Subject::Peak(it) => format!("receiver on {engine}, peak{}", beside(it)),
            Subject::HalfOfPeak(it) => format!("receiver on {engine}, 50 % of peak{}", beside(it)),
        }
    }

    /// The heads of [`Row::cells`].
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
    pub fn cells(self, measured: &Measured) -> [String; 10] {
        [
            self.name(),
            number(measured.reports),
            number(measured.events),
            number(measured.p50),
            number(measured.p99),
            number(measured.p999),
            number(measured.receiver_cpu),
            number(measured.database_cpu),
            number(measured.memory),
            number(measured.load_cpu),
        ]
    }
}
