//! What follows from the table of events.

use super::row::{Beside, Row, Subject};
use super::suite::Results;
use crate::ratios::Ratio;
use crate::row::Measured;

/// All that follow from what was measured.
#[must_use]
pub fn of(results: &Results) -> Vec<Ratio> {
    let find = |on_postgres, subject| {
        let row = Row {
            subject,
            on_postgres,
        };
        let found = results.iter().find(|(each, _)| *each == row);
        found
            .map(|(_, rounds)| Measured::medians(rounds))
            .unwrap_or_default()
    };
    let slower = |on_postgres, of: fn(Beside) -> Subject, field: fn(&Measured) -> Option<f64>| {
        let with = field(&find(on_postgres, of(Beside::Subscriptions)))?;
        let without = field(&find(on_postgres, of(Beside::Nothing)))?;
        (without > 0.0).then_some(with / without)
    };
    let ratio = |name, value| Ratio { name, value };
    let rate = |measured: &Measured| measured.reports;
    let all = vec![
        ratio(
            "event after its 204 on PostgreSQL, p99, ms",
            find(true, Subject::Delay).p99,
        ),
        ratio(
            "event after its 204 on SQLite, p99, ms",
            find(false, Subject::Delay).p99,
        ),
        ratio(
            "events delivered per second on PostgreSQL",
            find(true, Subject::QueueSaturation).events,
        ),
        ratio(
            "events delivered per second on SQLite",
            find(false, Subject::QueueSaturation).events,
        ),
        ratio(
            "50 % of peak beside 5 subscriptions ÷ beside none, PostgreSQL",
            slower(true, Subject::HalfOfPeak, rate),
        ),
        ratio(
            "50 % of peak beside 5 subscriptions ÷ beside none, SQLite",
            slower(false, Subject::HalfOfPeak, rate),
        ),
        ratio(
            "peak beside 5 subscriptions ÷ beside none, PostgreSQL",
            slower(true, Subject::Peak, rate),
        ),
        ratio(
            "peak beside 5 subscriptions ÷ beside none, SQLite",
            slower(false, Subject::Peak, rate),
        ),
    ];
    all.into_iter()
        .filter(|ratio| ratio.value.is_some())
        .collect()
}
