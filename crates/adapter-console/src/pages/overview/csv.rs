//! The counts of the overview as CSV: one row for each interval.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::DeliveryStatus;
use domain::error_code::explain;
use domain::statistics::{Outcome, StatusLabel};

use super::range::Selection;
use super::show::integrator;
use crate::console::Console;
use crate::csv::{self, CsvRows};
use crate::error::PageError;
use crate::pages::messages::explain::who_must_act;
use crate::visit::Visit;

/// Exports the counts of the time that the query names.
pub(crate) async fn export(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    let selection = Selection::parse(&visit.query, &visit.times)?;
    csv::audit(&console, &visit, "overview").await?;
    let report = console
        .run(console.state.statistics.read(&selection.query))
        .await?;
    let mut rows = CsvRows::new();
    let outcomes = Outcome::ALL.map(|outcome| format!("messages_{}", outcome.as_str()));
    let statuses = DeliveryStatus::ALL.map(|status| format!("reports_{}", status.as_str()));
    let head = ["interval_start".to_owned(), "messages".to_owned()];
    rows.row(head.into_iter().chain(outcomes).chain(statuses));
    for (start, counts) in &report.intervals {
        let outcomes = Outcome::ALL.map(|outcome| counts.messages_with(outcome).to_string());
        let reported = DeliveryStatus::ALL.map(|status| {
            let label = StatusLabel::Delivery(status);
            counts
                .reports
                .get(&label)
                .copied()
                .unwrap_or_default()
                .to_string()
        });
        let head = [start.to_string(), counts.total_messages().to_string()];
        rows.row(head.into_iter().chain(outcomes).chain(reported));
    }
    Ok(rows.download("overview.csv"))
}

/// Exports all error codes of the time that the query names, the most frequent first.
pub(crate) async fn export_codes(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    let selection = Selection::parse(&visit.query, &visit.times)?;
    csv::audit(&console, &visit, "error codes").await?;
    let channels = console.channels().await?;
    let integrator = integrator(&channels);
    let total = console.state.statistics.read_total(&selection.query);
    let total = console.run(total).await?;
    let mut counted: Vec<_> = total.errors.iter().collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut rows = CsvRows::new();
    rows.row(["code", "title", "who_must_act", "messages"]);
    for (code, count) in counted {
        let explained = integrator.map(|name| explain(name, code));
        let title = explained.as_ref().map_or("", |found| found.title);
        let actor = explained.as_ref().map_or("", who_must_act);
        rows.row([code.as_str(), title, actor, &count.to_string()]);
    }
    Ok(rows.download("codes.csv"))
}
