//! What became of events at a subscription, and trying again.

use adapter_http::wire::{self, DeliveryList, DeliveryView, RetryView};
use anyhow::{Context as _, Result};
use domain::delivery::DeliveryFilter;
use domain::{DeliveryKey, SubscriptionId, Timestamp};
use usecases::ManageSubscriptions;

use super::{manage, message_key};
use crate::cli::{DeliveryCommand, DeliveryFilterArgs, PageArgs};
use crate::commands::{hint_of, page};
use crate::composition::Stores;
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: DeliveryCommand) -> Result<()> {
    let stores = Stores::open(settings).await?;
    let outcome = match manage(settings, &stores).await {
        Ok(manage) => execute(&manage, json, command).await,
        Err(error) => Err(error),
    };
    stores.close().await;
    outcome
}

async fn execute(manage: &ManageSubscriptions, json: bool, command: DeliveryCommand) -> Result<()> {
    match command {
        DeliveryCommand::Show { id } => show(manage, json, parse(&id)?).await,
        DeliveryCommand::Retry { id } => {
            manage.retry(parse(&id)?).await?;
            print_retried(json, 1)
        }
    }
}

fn parse(id: &str) -> Result<DeliveryKey> {
    let parsed = id.parse::<DeliveryKey>().ok();
    parsed.with_context(|| {
        format!("{id:?} is no delivery id; `receiptd subscription deliveries` shows them")
    })
}

fn filter(subscription: SubscriptionId, args: &DeliveryFilterArgs) -> Result<DeliveryFilter> {
    let state = args.state.as_deref().map(str::parse).transpose();
    let event_type = args.event_type.as_deref().map(str::parse).transpose();
    let time = |text: &Option<String>| text.as_deref().map(Timestamp::parse).transpose();
    Ok(DeliveryFilter {
        subscription,
        state: state.context("--state")?,
        message: message_key(args.message.as_deref())?,
        event_type: event_type.context("--type")?,
        since: time(&args.since).context("--since")?,
        until: time(&args.until).context("--until")?,
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
    let (size, after) = page(wanted, wire::next)?;
    let list = DeliveryList::new(&manage.deliveries(&filter, after, size).await?);
    if json {
        return output::json(&list);
    }
    let rows = list.items.into_iter().map(|view| {
        let newest = view.attempts.last();
        let said = newest.and_then(|attempt| attempt.error.clone());
        [
            view.id,
            view.created,
            view.event_type.to_owned(),
            view.channel_id,
            view.message_sid,
            view.state.to_owned(),
            view.attempt_count.to_string(),
            view.next_attempt.unwrap_or_default(),
            said.unwrap_or_default(),
        ]
    });
    output::table(
        [
            "ID",
            "FIRST DEALT WITH",
            "EVENT",
            "CHANNEL",
            "MESSAGE",
            "STATE",
            "TRIES",
            "NEXT TRY",
            "LAST ERROR",
        ],
        rows,
    );
    hint_of(list.next.as_deref());
    Ok(())
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
        1 => "1 delivery is tried again.".to_owned(),
        count => format!("{count} deliveries are tried again."),
    });
    Ok(())
}

async fn show(manage: &ManageSubscriptions, json: bool, key: DeliveryKey) -> Result<()> {
    let view = DeliveryView::new(&manage.delivery(key).await?);
    if json {
        return output::json(&view);
    }
    output::line(format!("Delivery {}", view.id));
    output::line(format!(
        "  event      {} {}",
        view.event_type, view.event_id
    ));
    output::line(format!(
        "  message    {} on channel {}, revision {}",
        view.message_sid, view.channel_id, view.revision
    ));
    output::line(format!(
        "  state      {} since {}, tried {} times",
        view.state,
        view.finished.as_deref().unwrap_or(&view.created),
        view.attempt_count
    ));
    if let Some(next) = &view.next_attempt {
        output::line(format!("  next try   {next}"));
    }
    let rows = view.attempts.into_iter().map(|attempt| {
        [
            attempt.at,
            attempt.took_ms.to_string(),
            attempt
                .status
                .map_or_else(String::new, |status| status.to_string()),
            attempt.error.unwrap_or_default(),
            attempt.answer.unwrap_or_default(),
        ]
    });
    output::table(["TRIED", "MS", "STATUS", "ERROR", "ANSWER"], rows);
    Ok(())
}
