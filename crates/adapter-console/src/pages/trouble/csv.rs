//! Troubles as CSV: the open ones, and those resolved in the last 30 days.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::page::PageSize;
use domain::trouble::Trouble;
use ports::troubles::TroubleFilter;

use super::Subjects;
use crate::console::{Console, names};
use crate::csv::{self, CsvRows};
use crate::error::PageError;
use crate::visit::Visit;

/// Exports the troubles: the open and snoozed ones, then the resolved ones, the newest first.
pub(crate) async fn export(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    csv::audit(&console, &visit, "troubles").await?;
    let troubles = &console.state.troubles;
    let mut all = console.run(troubles.open()).await?;
    let filter = TroubleFilter {
        resolved: Some(true),
        channel: None,
    };
    let mut after = None;
    for _ in 0..csv::MAX_PAGES {
        let page = console.run(troubles.list(&filter, after, PageSize::MAX));
        let page = page.await?;
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let names = names(&console.channels().await?);
    let subscriptions = console.run(console.state.subscriptions.list()).await?;
    let subjects = Subjects::new(&names, &subscriptions);
    let mut rows = CsvRows::new();
    rows.row([
        "state",
        "kind",
        "about",
        "seen",
        "since",
        "opened_at",
        "resolved_at",
    ]);
    for trouble in &all {
        rows.row(cells(&visit, &subjects, trouble));
    }
    Ok(rows.download("trouble.csv"))
}

fn cells(visit: &Visit, subjects: &Subjects<'_>, trouble: &Trouble) -> [String; 7] {
    let resolved = trouble.state.resolved_at();
    let state = match resolved {
        Some(_) => "resolved",
        None if trouble.is_snoozed(visit.times.now()) => "snoozed",
        None => "open",
    };
    let opened = trouble.state.opened_at();
    [
        state.to_owned(),
        trouble.key.kind.as_str().to_owned(),
        subjects.name(&trouble.key.subject),
        trouble.finding.seen.clone(),
        trouble.finding.since.to_string(),
        opened.map(|at| at.to_string()).unwrap_or_default(),
        resolved.map(|at| at.to_string()).unwrap_or_default(),
    ]
}
