//! Shows and retries the deliveries of subscriptions.

use adapter_http::wire::{self, DeliveryList, DeliveryView, RetryView};
use anyhow::{Context as _, Result};
use domain::delivery::DeliveryFilter;
use domain::{DeliveryKey, SubscriptionId};
use usecases::ManageSubscriptions;

use super::manage;
use crate::cli::{DeliveryCommand, DeliveryFilterArgs, PageArgs};
use crate::commands::installation::with_stores;
use crate::commands::{event_options, page};
use crate::config::Settings;
use crate::{output, view};

pub async fn run(settings: &Settings, json: bool, command: DeliveryCommand) -> Result<()> {
    with_stores(settings, async |stores| {
        let manage = manage::create(settings, stores).await?;
        match command {
            DeliveryCommand::Show(arg) => show(&manage, json, parse(&arg.id)?).await,
            DeliveryCommand::Retry(arg) => {
                manage.retry(parse(&arg.id)?).await?;
                print_retried(json, 1)
            }
        }
    })
    .await
}

fn parse(id: &str) -> Result<DeliveryKey> {
    let parsed = id.parse::<DeliveryKey>().ok();
    parsed.with_context(|| {
        format!("{id:?} is not a delivery id; `receiptd subscription deliveries` shows them")
    })
}

fn filter(subscription: SubscriptionId, args: &DeliveryFilterArgs) -> Result<DeliveryFilter> {
    let state = args.state.as_deref().map(str::parse).transpose();
    let event_type = args.event_type.as_deref().map(str::parse).transpose();
    let time = |name: &str, text: Option<&str>| {
        text.map(|text| event_options::time(name, text)).transpose()
    };
    Ok(DeliveryFilter {
        subscription,
        state: state.context("--state")?,
        message: event_options::message(args.message.as_deref())?,
        event_type: event_type.context("--type")?,
        since: time("--since", args.since.as_deref())?,
        until: time("--until", args.until.as_deref())?,
    })
}

pub async fn list(
    manage: &ManageSubscriptions,
    json: bool,
    subscription: SubscriptionId,
    args: &DeliveryFilterArgs,
    wanted: &PageArgs,
) -> Result<()> {
    let filter = filter(subscription, args)?;
    let (size, after) = page::parse(wanted, wire::next)?;
    let mut found = manage.deliveries(&filter, after, size).await?;
    // A page without a match is not the last while it has a next one.
    while let (true, Some(next)) = (found.items.is_empty(), found.next) {
        found = manage.deliveries(&filter, Some(next), size).await?;
    }
    view::list(
        json,
        &DeliveryList::new(&found),
        &[
            ("ID", "id"),
            ("CREATED", "created"),
            ("EVENT", "event_type"),
            ("CHANNEL", "channel_id"),
            ("MESSAGE", "message_sid"),
            ("STATE", "state"),
            ("ATTEMPTS", "attempt_count"),
            ("NEXT ATTEMPT", "next_attempt"),
            ("LAST ERROR", "attempts.last.error"),
        ],
        "no deliveries; check the filters, or `receiptd subscription show` for the lag",
    )
}

pub async fn retry_all(
    manage: &ManageSubscriptions,
    json: bool,
    subscription: SubscriptionId,
    args: &DeliveryFilterArgs,
) -> Result<()> {
    let filter = filter(subscription, args)?;
    print_retried(json, manage.retry_all(&filter).await?)
}

fn print_retried(json: bool, retried: u64) -> Result<()> {
    if json {
        return output::json(&RetryView { retried });
    }
    output::line(match retried {
        1 => "1 delivery will be retried.".to_owned(),
        count => format!("{count} deliveries will be retried."),
    });
    Ok(())
}

async fn show(manage: &ManageSubscriptions, json: bool, key: DeliveryKey) -> Result<()> {
    let delivery = DeliveryView::new(&manage.delivery(key).await?);
    view::show(
        json,
        &format!("Delivery {}", delivery.id),
        &delivery,
        &[
            ("event", "event_type"),
            ("event id", "event_id"),
            ("channel", "channel_id"),
            ("message", "message_sid"),
            ("revision", "revision"),
            ("state", "state"),
            ("created", "created"),
            ("finished", "finished"),
            ("attempts", "attempt_count"),
            ("next attempt", "next_attempt"),
        ],
    )?;
    if !json {
        view::table(
            &delivery.attempts,
            &[
                ("TIME", "at"),
                ("MS", "took_ms"),
                ("STATUS", "status"),
                ("ERROR", "error"),
                ("ANSWER", "answer"),
            ],
            "no attempts yet",
        )?;
    }
    Ok(())
}
