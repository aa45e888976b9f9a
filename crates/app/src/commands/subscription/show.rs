//! Shows subscriptions.

use adapter_http::wire::{
    OperatorEventsView, RateView, SubscriptionDetailView, SubscriptionList, SubscriptionView,
};
use anyhow::Result;
use domain::SubscriptionId;
use ports::subscriptions::SubscriptionStatus;
use usecases::ManageSubscriptions;

use crate::output;

pub async fn list(manage: &ManageSubscriptions, json: bool) -> Result<()> {
    let all = manage.list().await?;
    if json {
        return output::json(&SubscriptionList::new(&all));
    }
    let rows = all.iter().map(|status| {
        vec![
            status.subscription.id.to_string(),
            status.pending.to_string(),
            status.dead.to_string(),
            output::time_or_never(status.last_delivered_at),
            state(status),
            status.subscription.url.to_string(),
            status.subscription.description.to_string(),
        ]
    });
    output::table(
        [
            "ID",
            "PENDING",
            "DEAD",
            "LAST DELIVERED",
            "STATE",
            "ENDPOINT",
            "DESCRIPTION",
        ],
        rows,
        "no subscriptions; `receiptd subscription add URL` adds one",
    );
    Ok(())
}

pub async fn show(manage: &ManageSubscriptions, json: bool, id: SubscriptionId) -> Result<()> {
    let status = manage.find(id).await?;
    let lag = manage.lag(&status).await?;
    let rates = manage.rates(id).await?;
    let events = manage.operator_events(&status.subscription).await?;
    let view = SubscriptionDetailView::new(&status, &lag, &rates, events.as_ref());
    if json {
        return output::json(&view);
    }
    let error = view.last_error.as_ref().map(|error| {
        let text = error.error.as_deref().unwrap_or_default();
        format!("{} {text}", output::time(&error.at))
    });
    output::fields(
        &format!("Subscription {id}"),
        [
            ("endpoint", view.subscription.url.clone()),
            ("state", state(&status)),
            ("events", selection(&view.subscription)),
            ("lag", output::lag(&view.lag)),
            (
                "pending",
                format!("{}, dead letters {}", view.open, view.dead),
            ),
            (
                "last delivered",
                output::time_or_never(view.last_delivered.as_ref()),
            ),
            ("attempts", attempts("minute", &view.rates.minute)),
            ("", attempts("hour", &view.rates.hour)),
            ("last error", error.unwrap_or_default()),
            (
                "operator events",
                view.operator_events
                    .as_ref()
                    .map(operator_events)
                    .unwrap_or_default(),
            ),
            ("worker", view.leased_by.clone().unwrap_or_default()),
        ],
    );
    Ok(())
}

fn operator_events(progress: &OperatorEventsView) -> String {
    let waiting = format!("{} waiting", progress.waiting);
    match &progress.failing_since {
        Some(since) => format!("{waiting}, failing since {}", output::time(since)),
        None => waiting,
    }
}

fn state(status: &SubscriptionStatus) -> String {
    let state = status.subscription.state;
    match (state.reason(), status.failing_since) {
        (Some(reason), _) => format!("{} ({reason})", state.as_str()),
        (None, Some(since)) => format!("failing since {}", output::time(since)),
        (None, None) => state.as_str().to_owned(),
    }
}

fn attempts(last: &str, rate: &RateView) -> String {
    let RateView {
        delivered,
        failed,
        since,
    } = rate;
    let since = output::time(since);
    format!("in the last {last} {delivered} delivered, {failed} failed (since {since})")
}

/// Describes which events a subscription selects.
fn selection(view: &SubscriptionView) -> String {
    let types = match view.types.join(", ") {
        all if all.is_empty() => "all".to_owned(),
        types => types,
    };
    let channels = match view.channels.join(", ") {
        all if all.is_empty() => "all channels".to_owned(),
        channels => format!("channels {channels}"),
    };
    format!("{types} of {channels}")
}
