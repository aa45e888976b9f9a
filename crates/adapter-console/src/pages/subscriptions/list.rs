//! The list of subscriptions.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::access::Permission;
use usecases::Lag;

use super::condition;
use crate::console::Console;
use crate::error::PageError;
use crate::html::Html;
use crate::number::grouped;
use crate::page::{self, Page, Section};
use crate::time::duration;
use crate::visit::Visit;

struct Row {
    path: String,
    label: String,
    url: String,
    condition: Html,
    evidence: Html,
    lag: String,
    pending: String,
    dead: String,
    dead_path: Option<String>,
}

#[derive(Template)]
#[template(path = "subscriptions/list.html")]
struct SubscriptionsPage {
    page: Page,
    rows: Vec<Row>,
    may_change: bool,
}

/// Shows all subscriptions with their lag and condition.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let subscriptions = &console.state.subscriptions;
    let found = console.run(subscriptions.list()).await?;
    let mut rows = Vec::with_capacity(found.len());
    for status in &found {
        let lag = console.run(subscriptions.lag(status)).await?;
        let subscription = &status.subscription;
        let path = super::path(subscription.id);
        rows.push(Row {
            label: super::label(subscription),
            url: subscription.url.to_string(),
            condition: condition::look(status).chip(),
            evidence: condition::evidence(status, &visit.times),
            lag: lag_text(&lag),
            pending: grouped(status.pending),
            dead: grouped(status.dead),
            dead_path: (status.dead > 0).then(|| format!("{path}?state=dead#deliveries")),
            path,
        });
    }
    page::show(&SubscriptionsPage {
        page: visit.page("Subscriptions", Section::Subscriptions),
        rows,
        may_change: visit.viewer.may(Permission::Change),
    })
}

/// Returns how far a subscription lags the log, in events and time.
pub(super) fn lag_text(lag: &Lag) -> String {
    if lag.events == 0 && !lag.more {
        return "none".to_owned();
    }
    let more = if lag.more { "at least " } else { "" };
    let seconds = i64::try_from(lag.seconds).unwrap_or(i64::MAX);
    let since = duration(seconds.saturating_mul(1_000_000));
    format!("{more}{} events, {since}", grouped(lag.events))
}
