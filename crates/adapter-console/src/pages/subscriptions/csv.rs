//! The deliveries of a subscription as CSV.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::Delivery;
use domain::page::PageSize;

use super::deliveries::filter;
use crate::console::Console;
use crate::csv::{self, CsvRows};
use crate::error::PageError;
use crate::visit::Visit;

/// Exports the deliveries that the filter in the query passes, such as the dead letters.
pub(crate) async fn export(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = super::subscription_id(&path)?;
    let filter = filter(id, &visit.query)?;
    let subscriptions = &console.state.subscriptions;
    console.run(subscriptions.find(id)).await?;
    csv::audit(&console, &visit, &format!("deliveries of {id}")).await?;
    let mut rows = CsvRows::new();
    rows.row([
        "created_at",
        "finished_at",
        "event",
        "channel_id",
        "message_sid",
        "state",
        "attempts",
        "last_error",
    ]);
    let mut after = None;
    for _ in 0..csv::MAX_PAGES {
        let page = subscriptions.deliveries(&filter, after, PageSize::MAX);
        let page = console.run(page).await?;
        for delivery in &page.items {
            rows.row(cells(delivery));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(rows.download("deliveries.csv"))
}

fn cells(delivery: &Delivery) -> [String; 8] {
    let error = delivery.attempts.last_error();
    let error = error.and_then(|attempt| attempt.error.as_ref());
    let finished = delivery.finished_at.map(|at| at.to_string());
    [
        delivery.created_at.to_string(),
        finished.unwrap_or_default(),
        delivery.event_type.as_str().to_owned(),
        delivery.message.channel.to_string(),
        delivery.message.sid.to_string(),
        delivery.state.as_str().to_owned(),
        delivery.attempts.count().to_string(),
        error.map(ToString::to_string).unwrap_or_default(),
    ]
}
