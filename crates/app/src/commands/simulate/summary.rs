//! The result of a simulation, for people and for programs.

use std::collections::BTreeMap;

use domain::DeliveryStatus;
use serde::Serialize;
use traffic::plan::RunId;

use super::compare::{Comparison, Difference, ShownCount};
use super::tally::Tally;
use crate::output;

#[derive(Serialize)]
pub struct Summary {
    seed: u64,
    run: String,
    messages: usize,
    reports: usize,
    reports_taken: usize,
    not_taken: BTreeMap<String, u64>,
    answers: BTreeMap<u16, u64>,
    retries: u64,
    /// Reports that were sent again although they had been accepted.
    redelivered: u64,
    seconds: f64,
    reports_per_second: f64,
    latency_ms: ReportLatency,
    statuses: Vec<StatusCount>,
    contradicted: ShownCount,
    differing_messages: u64,
    differences: Vec<Difference>,
}

/// How much was planned.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlannedTraffic {
    pub messages: usize,
    pub reports: usize,
}

/// From the first request of a report to success.
#[derive(Serialize)]
struct ReportLatency {
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

#[derive(Serialize)]
struct StatusCount {
    /// `None` if no report had a known status.
    status: Option<String>,
    #[serde(flatten)]
    messages: ShownCount,
}

impl Summary {
    pub fn new(
        planned: PlannedTraffic,
        seed: u64,
        run: RunId,
        tally: &Tally,
        comparison: &Comparison,
    ) -> Self {
        let rank = |word: &Option<String>| {
            word.as_deref()
                .and_then(|word| word.parse::<DeliveryStatus>().ok())
                .map(DeliveryStatus::rank)
        };
        let mut statuses: Vec<_> = comparison
            .statuses
            .iter()
            .map(|(status, messages)| StatusCount {
                status: status.clone(),
                messages: *messages,
            })
            .collect();
        statuses.sort_by_key(|each| rank(&each.status));
        Self {
            seed,
            run: run.to_string(),
            messages: planned.messages,
            reports: planned.reports,
            reports_taken: tally.reports_accepted(),
            not_taken: tally.failures.clone(),
            answers: tally.answers.clone(),
            retries: tally.retries,
            redelivered: tally.redelivered.values().sum(),
            seconds: tally.took.as_secs_f64(),
            reports_per_second: tally.rate(),
            latency_ms: ReportLatency {
                p50: tally.latency(500),
                p99: tally.latency(990),
                max: tally.latency(1000),
            },
            statuses,
            contradicted: comparison.contradicted,
            differing_messages: comparison.differing,
            differences: comparison.differences.clone(),
        }
    }

    pub fn print(&self) {
        let row = |name: &str, count: ShownCount| {
            let mark = if count.expected == count.shown {
                ""
            } else {
                "differs"
            };
            vec![
                name.to_owned(),
                count.expected.to_string(),
                count.shown.to_string(),
                mark.to_owned(),
            ]
        };
        let statuses = self
            .statuses
            .iter()
            .map(|each| row(each.status.as_deref().unwrap_or("(none)"), each.messages));
        let rows = statuses.chain([row("contradicted", self.contradicted)]);
        output::table(["STATUS", "EXPECTED", "SHOWN", ""], rows, "");

        let ms = |latency: Option<f64>| latency.map_or("-".to_owned(), |it| format!("{it:.1} ms"));
        output::line(format!(
            "{} of {} reports accepted in {:.1} s, {:.0} per second; p50 {}, p99 {}, longest {}",
            self.reports_taken,
            self.reports,
            self.seconds,
            self.reports_per_second,
            ms(self.latency_ms.p50),
            ms(self.latency_ms.p99),
            ms(self.latency_ms.max),
        ));
        let answers: Vec<_> = self
            .answers
            .iter()
            .map(|(status, count)| format!("{count} × {status}"))
            .collect();
        output::line(format!(
            "Answers: {}; repeated calls: {}; reports sent again: {}",
            answers.join(", "),
            self.retries,
            self.redelivered
        ));
        for (why, count) in &self.not_taken {
            output::line(format!("Not accepted: {count} ({why})"));
        }
        if self.differing_messages == 0 {
            output::line("Every message is shown as it was reported.");
            return;
        }
        output::line(format!(
            "{} messages differ; the first differences:",
            self.differing_messages
        ));
        let rows = self.differences.iter().map(|each| {
            vec![
                each.message_sid.clone(),
                each.what.to_owned(),
                each.expected.clone(),
                each.shown.clone(),
            ]
        });
        output::table(["MESSAGE", "WHAT", "EXPECTED", "SHOWN"], rows, "");
    }
}
