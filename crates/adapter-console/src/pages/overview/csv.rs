//! The counts of the overview as CSV: one row for each interval.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use domain::DeliveryStatus;
use domain::statistics::{Outcome, StatusLabel};

use super::range::Selection;
use crate::console::Console;
use crate::csv::CsvRows;
use crate::error::PageError;
use crate::visit::Visit;

/// Exports the counts of the time that the query names.
pub(crate) async fn export(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    let selection = Selection::parse(&visit.query, &visit.times)?;
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
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"overview.csv\"",
        ))
        .body(rows.into_bytes()))
}
