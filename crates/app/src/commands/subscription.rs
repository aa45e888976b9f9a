//! Subscriptions: who is told of events, and how that goes.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use adapter_http::Metrics;
use adapter_http::wire::{
    DeliveryView, IssuedSubscriptionView, RateView, SubscriptionDetailView, SubscriptionView,
    TestView,
};
use anyhow::{Context as _, Result, bail};
use domain::delivery::DeliveryFilter;
use domain::page::PageSize;
use domain::subscription::Description;
use domain::webhook::{SigningSecret, TargetUrl};
use domain::{ChannelId, DeliveryState, MessageKey, MessageSid, SubscriptionId, Timestamp};
use ports::ReportLog as _;
use ports::subscriptions::SubscriptionStatus;
use usecases::manage_subscriptions::{NewSubscription, ReplayFrom};
use usecases::{ChannelDirectory, ManageSubscriptions, SharedLog};

use super::event;
use crate::cli::{ReplayArgs, SubscriptionAddArgs, SubscriptionCommand};
use crate::config::Settings;
use crate::event_sink;
use crate::output;
use crate::wiring::{self, Stores};

pub async fn run(settings: &Settings, json: bool, command: SubscriptionCommand) -> Result<()> {
    let stores = Stores::open(settings).await?;
    let outcome = match manage(settings, &stores).await {
        Ok(manage) => execute(&manage, &stores, json, command).await,
        Err(error) => Err(error),
    };
    stores.close().await;
    outcome
}

async fn manage(settings: &Settings, stores: &Stores) -> Result<ManageSubscriptions> {
    let secret = settings.server_secret()?;
    let metrics = Arc::new(Metrics::new(
        env!("CARGO_PKG_VERSION"),
        &wiring::integrators(),
    ));
    let directory = ChannelDirectory::new(Arc::clone(&stores.channels), secret.clone(), metrics);
    directory.refresh().await?;
    Ok(wiring::manage_subscriptions(
        stores,
        settings,
        secret,
        Arc::new(SharedLog::new(Arc::clone(&stores.log))),
        Arc::new(directory),
        event_sink::of(settings)?,
    ))
}

async fn execute(
    manage: &ManageSubscriptions,
    stores: &Stores,
    json: bool,
    command: SubscriptionCommand,
) -> Result<()> {
    match command {
        SubscriptionCommand::Add(args) => add(manage, json, args).await,
        SubscriptionCommand::List => list(manage, json).await,
        SubscriptionCommand::Show { id } => show(manage, json, parse(&id)?).await,
        SubscriptionCommand::Pause { id } => {
            manage.pause(parse(&id)?).await?;
            output::line(format!(
                "Subscription {id} is paused; the log keeps its events."
            ));
            Ok(())
        }
        SubscriptionCommand::Resume { id } => {
            manage.resume(parse(&id)?).await?;
            output::line(format!("Subscription {id} goes on from where it stood."));
            Ok(())
        }
        SubscriptionCommand::Remove { id } => {
            manage.remove(parse(&id)?).await?;
            output::line(format!("Subscription {id} is removed."));
            Ok(())
        }
        SubscriptionCommand::Rotate {
            id,
            overlap_hours,
            secret_stdin,
        } => {
            let overlap = Duration::from_hours(u64::from(overlap_hours));
            let rotated = manage.rotate(parse(&id)?, secret(secret_stdin)?, overlap);
            let (subscription, secret) = rotated.await?;
            print_issued(json, &IssuedSubscriptionView::new(&subscription, &secret))
        }
        SubscriptionCommand::Test { id } => {
            let view = TestView::new(&manage.test(parse(&id)?).await?);
            if json {
                output::json(&view)?;
            } else if let Some(status) = view.status {
                output::line(format!("answered {status}"));
            }
            match view.error {
                None => Ok(()),
                Some(error) => bail!("the test event was not taken: {error}"),
            }
        }
        SubscriptionCommand::Replay { id, from } => {
            replay(manage, stores, parse(&id)?, &from).await
        }
        SubscriptionCommand::Deliveries { id, state, limit } => {
            let mut filter = DeliveryFilter::of(parse(&id)?);
            filter.state = state
                .as_deref()
                .map(str::parse::<DeliveryState>)
                .transpose()?;
            deliveries(manage, json, &filter, PageSize::new(limit)?).await
        }
        SubscriptionCommand::Retry { id } => {
            let filter = DeliveryFilter::of(parse(&id)?);
            let count = manage.retry_all(&filter).await?;
            output::line(format!("{count} deliveries are tried again."));
            Ok(())
        }
    }
}

fn parse(id: &str) -> Result<SubscriptionId> {
    let parsed = id.parse().map(SubscriptionId);
    parsed.with_context(|| {
        format!("{id:?} is no subscription id; `receiptd subscription list` shows them")
    })
}

/// The signing secret on standard input.
fn secret(from_stdin: bool) -> Result<Option<SigningSecret>> {
    if !from_stdin {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("the secret cannot be read from standard input")?;
    Ok(Some(SigningSecret::parse(text.trim())?))
}

async fn add(manage: &ManageSubscriptions, json: bool, args: SubscriptionAddArgs) -> Result<()> {
    let from = event::position_at(manage.log(), args.since.as_deref()).await?;
    let new = NewSubscription {
        url: TargetUrl::parse(&args.url)?,
        filter: event::filter(&args.channels, &args.types)?,
        reveal: args.reveal,
        description: Description::parse(args.description.as_deref().unwrap_or_default())?,
        secret: secret(args.secret_stdin)?,
        from,
    };
    let (subscription, secret) = manage.add(new).await?;
    print_issued(json, &IssuedSubscriptionView::new(&subscription, &secret))
}

fn print_issued(json: bool, view: &IssuedSubscriptionView) -> Result<()> {
    if json {
        return output::json(view);
    }
    output::line(format!("Subscription {}", view.subscription.id));
    output::line(format!("  target  {}", view.subscription.url));
    output::line(format!("  secret  {}", view.secret));
    output::hint("The secret is shown this once; the subscriber checks signatures with it.");
    Ok(())
}

async fn list(manage: &ManageSubscriptions, json: bool) -> Result<()> {
    let all = manage.list().await?;
    if json {
        let views: Vec<_> = all.iter().map(SubscriptionView::of_status).collect();
        return output::json(&views);
    }
    let rows = all.iter().map(|status| {
        [
            status.subscription.id.to_string(),
            state(status),
            status.subscription.url.to_string(),
            status.open.to_string(),
            status.dead.to_string(),
            status
                .last_delivered_at
                .map_or("never".to_owned(), |at| at.to_string()),
            status.subscription.description.to_string(),
        ]
    });
    output::table(
        [
            "ID",
            "STATE",
            "TARGET",
            "OPEN",
            "DEAD",
            "LAST DELIVERED",
            "DESCRIPTION",
        ],
        rows,
    );
    Ok(())
}

fn state(status: &SubscriptionStatus) -> String {
    let state = status.subscription.state;
    match (state.reason(), status.failing_since) {
        (Some(reason), _) => format!("{} ({reason})", state.as_str()),
        (None, Some(since)) => format!("failing since {since}"),
        (None, None) => state.as_str().to_owned(),
    }
}

async fn show(manage: &ManageSubscriptions, json: bool, id: SubscriptionId) -> Result<()> {
    let status = manage.find(id).await?;
    let lag = manage.lag(&status).await?;
    let rates = manage.rates(id).await?;
    let view = SubscriptionDetailView::new(&status, &lag, &rates);
    if json {
        return output::json(&view);
    }
    output::line(format!("Subscription {id}"));
    output::line(format!("  target     {}", view.subscription.url));
    output::line(format!("  state      {}", state(&status)));
    output::line(format!("  events     {}", wanted(&view.subscription)));
    let more = if view.lag.more { "more than " } else { "" };
    output::line(format!(
        "  behind     {more}{} reports, {} events, {} s",
        view.lag.reports, view.lag.events, view.lag.seconds
    ));
    output::line(format!("  open       {}, dead {}", view.open, view.dead));
    let last = view.last_delivered.as_deref().unwrap_or("never");
    output::line(format!("  delivered  last {last}"));
    output::line(format!(
        "  tries      {}",
        tries("minute", &view.rates.minute)
    ));
    output::line(format!("             {}", tries("hour", &view.rates.hour)));
    if let Some(error) = &view.last_error {
        let words = error.error.as_deref().unwrap_or_default();
        output::line(format!("  error      {} {words}", error.at));
    }
    if let Some(worker) = &view.leased_by {
        output::line(format!("  worker     {worker}"));
    }
    Ok(())
}

fn tries(last: &str, rate: &RateView) -> String {
    let RateView {
        delivered,
        failed,
        since,
    } = rate;
    format!("in the last {last} {delivered} delivered, {failed} failed (since {since})")
}

fn wanted(view: &SubscriptionView) -> String {
    let types = if view.types.is_empty() {
        "all".to_owned()
    } else {
        view.types.join(", ")
    };
    let channels = if view.channels.is_empty() {
        "all channels".to_owned()
    } else {
        format!("channels {}", view.channels.join(", "))
    };
    format!("{types} of {channels}")
}

async fn replay(
    manage: &ManageSubscriptions,
    stores: &Stores,
    id: SubscriptionId,
    args: &ReplayArgs,
) -> Result<()> {
    let from = if let Some(text) = &args.since {
        let time = Timestamp::parse(text).with_context(|| format!("--since is {text:?}"))?;
        ReplayFrom::Time(time)
    } else if let Some([channel, sid]) = args.message.as_deref() {
        ReplayFrom::Message(MessageKey {
            channel: ChannelId::parse(channel)?,
            sid: MessageSid::parse(sid)?,
        })
    } else if let Some(text) = &args.after {
        let position = adapter_http::wire::position(text);
        let expected = || format!("--after is {text:?}; it is a position as the API shows it");
        ReplayFrom::Position(position.with_context(expected)?)
    } else if let Some(name) = &args.cursor {
        ReplayFrom::Position(event::cursor(stores, manage.log(), name).await?)
    } else {
        // One of them was given.
        ReplayFrom::Position(manage.log().position_at(Timestamp::EPOCH).await?)
    };
    match manage.replay(id, from).await? {
        Some(events) => output::line(format!("{events} events are sent again.")),
        None => output::line("Everything from there is sent again."),
    }
    Ok(())
}

async fn deliveries(
    manage: &ManageSubscriptions,
    json: bool,
    filter: &DeliveryFilter,
    size: PageSize,
) -> Result<()> {
    let page = manage.deliveries(filter, None, size).await?;
    let views: Vec<_> = page.items.iter().map(DeliveryView::new).collect();
    if json {
        return output::json(&views);
    }
    let rows = views.into_iter().map(|view| {
        let last = view.attempts.last();
        let said = last.and_then(|last| last.error.clone());
        [
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
    Ok(())
}
