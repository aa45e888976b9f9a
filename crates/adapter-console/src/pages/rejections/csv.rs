//! Rejected reports as CSV.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::page::PageSize;

use crate::console::Console;
use crate::csv::{self, CsvRows};
use crate::error::PageError;
use crate::visit::Visit;

/// Exports the rejections of the channel in the query, or of all, the newest first. Their values
/// were masked when they were stored.
pub(crate) async fn export(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    let channel = super::show::channel(&visit.query)?;
    csv::audit(&console, &visit, "rejections").await?;
    let mut rows = CsvRows::new();
    rows.row(["arrived_at", "channel_id", "reason", "detail", "fields"]);
    let mut after = None;
    for _ in 0..csv::MAX_PAGES {
        let rejections = &console.state.rejections;
        let page = rejections.run(channel.as_ref(), after, PageSize::MAX);
        let page = console.run(page).await?;
        for stored in &page.items {
            let rejection = &stored.rejection;
            let fields = rejection.fields.iter();
            let fields: Vec<_> = fields
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            rows.row([
                rejection.arrived_at.to_string().as_str(),
                rejection.channel.as_str(),
                rejection.reason.as_str(),
                &rejection.detail,
                &fields.join("; "),
            ]);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(rows.download("rejections.csv"))
}
