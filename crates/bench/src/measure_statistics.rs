//! What counting statistics costs, and how far it lags.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::http;
use crate::load::Load;
use crate::measure::Bench;
use crate::receiver::Receiver;
use crate::row::Measured;
use crate::sample::{UsageSample, measured};
use crate::wait::until;

/// How long catching up may take.
const CATCH_UP_LIMIT: Duration = Duration::from_mins(2);

/// What the receiver says about its statistics.
struct Counted {
    reports: u64,
    /// `None` if every report is counted.
    lag_seconds: Option<f64>,
}

impl Bench {
    /// Without `counted`, the receiver leaves statistics and other background work to a worker,
    /// which does not run.
    pub fn statistics(
        &self,
        load: impl Fn(SocketAddr) -> Load,
        on_postgres: bool,
        counted: bool,
    ) -> Result<Measured> {
        let database = self.database(on_postgres)?;
        let arguments: &[_] = if counted {
            &["serve"]
        } else {
            &["serve", "--no-workers"]
        };
        let mut receiver = self.started(database.as_ref(), true, &[], arguments)?;
        let postgres = on_postgres.then_some(&self.postgres);
        let probe = || UsageSample::take(receiver.pid(), postgres, Some(&receiver));
        let (result, before, after) = load(receiver.public()).run(probe)?;
        let (ended, at_the_end) = (Instant::now(), counted_by(&receiver)?);
        let mut measured = measured(&result, &before?, &after?);
        if counted {
            let caught_up = || counted_by(&receiver).is_ok_and(|it| it.reports == result.accepted);
            let complete = until(CATCH_UP_LIMIT, Duration::from_millis(20), caught_up);
            ensure!(
                complete,
                "the statistics do not catch up in {CATCH_UP_LIMIT:?}"
            );
            let left = result.accepted.saturating_sub(at_the_end.reports);
            measured.statistics_lag = Some(at_the_end.lag_seconds.unwrap_or_default());
            // A reader that is up to date does nothing for up to a second, so the rate of catching
            // up is seen only if more is left than arrives in that time.
            let is_behind = at_the_end.lag_seconds.is_some_and(|lag| lag > 1.0);
            measured.statistics_caught_up =
                is_behind.then(|| crate::load::per_second(left, ended.elapsed()));
        }
        self.check(result.accepted, database.as_ref(), &receiver)?;
        receiver.stop()?;
        Ok(measured)
    }
}

fn counted_by(receiver: &Receiver) -> Result<Counted> {
    let (status, text) = http::get(receiver.installation.operator, "/api/v1/stats")?;
    ensure!(status == 200, "the statistics answer {status}");
    let answer: Value = serde_json::from_str(&text)?;
    let reports = answer.pointer("/total/reports").and_then(Value::as_object);
    let reports = reports.context("the statistics have no reports")?.values();
    Ok(Counted {
        reports: reports.filter_map(Value::as_u64).sum(),
        lag_seconds: answer.get("lag_seconds").and_then(Value::as_f64),
    })
}
