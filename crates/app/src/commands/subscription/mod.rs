//! Subscriptions: who is told of events, and how that goes.

pub mod deliveries;
mod test;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use adapter_http::MetricsRegistry;
use adapter_http::wire::{
    IssuedSubscriptionView, RateView, ReplayView, SubscriptionDetailView, SubscriptionList,
    SubscriptionView,
};
use anyhow::{Context as _, Result, anyhow, bail};
use domain::subscription::Description;
use domain::webhook::{SigningSecret, TargetUrl};
use domain::{ChannelId, MessageKey, MessageSid, SubscriptionId, Timestamp};
use ports::subscriptions::SubscriptionStatus;
use usecases::subscriptions::{
    NewSubscription, ReplayFrom, SubscriptionChanges, SubscriptionError,
};
use usecases::{ChannelDirectory, LogTailCache, ManageSubscriptions};

use super::event;
use crate::cli::{ReplayArgs, SubscriptionAddArgs, SubscriptionCommand, SubscriptionUpdateArgs};
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::event_sink;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: SubscriptionCommand) -> Result<()> {
    if matches!(
        command,
        SubscriptionCommand::Add(_) | SubscriptionCommand::Rotate { .. }
    ) {
        output::check_writable()?;
    }
    let stores = Stores::open(settings).await?;
    let outcome = match manage(settings, &stores).await {
        Ok(manage) => execute(settings, &manage, &stores, json, command).await,
        Err(error) => Err(error),
    };
    stores.close().await;
    outcome
}

async fn manage(settings: &Settings, stores: &Stores) -> Result<ManageSubscriptions> {
    let secret = settings.server_secret()?;
    let metrics = Arc::new(MetricsRegistry::new(
        env!("CARGO_PKG_VERSION"),
        &composition::integrators(),
    ));
    let directory = ChannelDirectory::new(stores.store(), secret.clone(), metrics);
    directory.refresh().await?;
    Ok(composition::manage_subscriptions(
        stores,
        settings,
        secret,
        Arc::new(LogTailCache::new(stores.store())),
        Arc::new(directory),
        event_sink::of(settings)?,
    ))
}

async fn execute(
    settings: &Settings,
    manage: &ManageSubscriptions,
    stores: &Stores,
    json: bool,
    command: SubscriptionCommand,
) -> Result<()> {
    match command {
        SubscriptionCommand::Add(args) => add(manage, json, args).await,
        SubscriptionCommand::List => list(manage, json).await,
        SubscriptionCommand::Show { id } => show(manage, json, parse(&id)?).await,
        SubscriptionCommand::Update { id, changes } => {
            update(manage, json, parse(&id)?, &changes).await
        }
        SubscriptionCommand::Pause { id } => {
            let paused = manage.pause(parse(&id)?).await?;
            let said = format!("Subscription {id} is paused; the log keeps its events.");
            print_changed(json, &SubscriptionView::new(&paused), &said)
        }
        SubscriptionCommand::Resume { id } => {
            let resumed = manage.resume(parse(&id)?).await?;
            let said = if resumed.skipped {
                format!(
                    "Subscription {id} goes on from the oldest event there is; retention has \
                     removed some that it was not told of."
                )
            } else {
                format!("Subscription {id} goes on from where it stood.")
            };
            print_changed(json, &SubscriptionView::new(&resumed.subscription), &said)
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
            end_previous,
        } => {
            let overlap = Duration::from_hours(u64::from(overlap_hours));
            let secret = secret(secret_stdin)?;
            let rotated = manage.rotate(parse(&id)?, secret, overlap, end_previous);
            let rotated = rotated.await.map_err(|error| match error {
                SubscriptionError::PreviousSecretSigns(until) => anyhow!(
                    "the secret before the current one still signs until {until}; rotating again \
                     would end it now. Wait, or give --end-previous"
                ),
                error => error.into(),
            });
            let (subscription, secret) = rotated?;
            print_issued(json, &IssuedSubscriptionView::new(&subscription, &secret))
        }
        SubscriptionCommand::Test { id } => test::run(settings, manage, json, parse(&id)?).await,
        SubscriptionCommand::Replay { id, from } => {
            replay(manage, stores, json, parse(&id)?, &from).await
        }
        SubscriptionCommand::Deliveries { id, filter, page } => {
            deliveries::list(manage, json, parse(&id)?, &filter, &page).await
        }
        SubscriptionCommand::Retry { id, filter } => {
            deliveries::retry_all(manage, json, parse(&id)?, &filter).await
        }
    }
}

/// Says to people what was done, and shows programs how it is now.
fn print_changed(json: bool, view: &SubscriptionView, said: &str) -> Result<()> {
    if json {
        return output::json(view);
    }
    output::line(said);
    Ok(())
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
    let from = event::begin(manage.log(), &args.start).await?;
    let new = NewSubscription {
        url: TargetUrl::parse(&args.url)?,
        filter: event::filter(&args.channels, &args.types)?,
        reveal: args.reveal,
        description: Description::parse(args.description.as_deref().unwrap_or_default())?,
        secret: secret(args.secret_stdin)?,
        from,
    };
    let added = manage.add(new).await.map_err(name_setting);
    let (subscription, secret) = added?;
    print_issued(json, &IssuedSubscriptionView::new(&subscription, &secret))
}

/// Adds the setting that would allow the target.
fn name_setting(error: SubscriptionError) -> anyhow::Error {
    match error {
        SubscriptionError::PrivateTarget(_) => {
            anyhow!("{error}; to allow it, set RECEIPTD_PUSH_PRIVATE_TARGETS=true")
        }
        error => error.into(),
    }
}

async fn update(
    manage: &ManageSubscriptions,
    json: bool,
    id: SubscriptionId,
    args: &SubscriptionUpdateArgs,
) -> Result<()> {
    let before = manage.find(id).await?.subscription;
    let wanted = event::filter(&args.channels, &args.types)?;
    let mut filter = before.filter;
    if args.all_channels || wanted.channels.is_some() {
        filter.channels = wanted.channels;
    }
    if args.all_types || wanted.types.is_some() {
        filter.types = wanted.types;
    }
    let url = args.url.as_deref().map(TargetUrl::parse).transpose();
    let description = args.description.as_deref().map(Description::parse);
    let changes = SubscriptionChanges {
        url: url.context("--url")?,
        filter: Some(filter),
        reveal: args.reveal,
        description: description.transpose().context("--description")?,
        // The filter was put together from what was just read.
        version: Some(before.version),
    };
    manage.change(id, changes).await.map_err(name_setting)?;
    let view = SubscriptionView::of_status(&manage.find(id).await?);
    print_changed(json, &view, &format!("Subscription {id} is changed."))
}

fn print_issued(json: bool, view: &IssuedSubscriptionView) -> Result<()> {
    let id = &view.subscription.id;
    if json {
        output::json(view)?;
    } else {
        output::line(format!("Subscription {id}"));
        output::line(format!("  target  {}", view.subscription.url));
        output::line(format!("  secret  {}", view.secret));
        output::hint("The secret is shown this once; the subscriber checks signatures with it.");
    }
    output::ensure_shown(|| {
        format!(
            "subscription {id} has a new signing secret, which may not have been shown; `receiptd \
             subscription rotate {id}` makes another one"
        )
    })
}

async fn list(manage: &ManageSubscriptions, json: bool) -> Result<()> {
    let all = manage.list().await?;
    if json {
        return output::json(&SubscriptionList::new(&all));
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
    output::line(format!("  behind     {}", output::lag(&view.lag)));
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
    json: bool,
    id: SubscriptionId,
    args: &ReplayArgs,
) -> Result<()> {
    let from = if let Some(text) = &args.since {
        let time = Timestamp::parse(text).with_context(|| format!("--since is {text:?}"))?;
        ReplayFrom::Time(time)
    } else if let Some(key) = message_key(args.message.as_deref())? {
        ReplayFrom::Message(key)
    } else if let Some(text) = &args.after {
        if text == "latest" {
            bail!("--after is latest; there is nothing behind it to be sent again");
        }
        ReplayFrom::Position(event::place(manage.log(), "--after", text).await?)
    } else if let Some(name) = &args.cursor {
        ReplayFrom::Position(event::cursor(stores, manage.log(), name).await?)
    } else {
        // One of them was given.
        ReplayFrom::Position(manage.log().position_at(Timestamp::EPOCH).await?)
    };
    let events = manage.replay(id, from).await?;
    if json {
        return output::json(&ReplayView { events });
    }
    match events {
        Some(events) => output::line(format!("{events} events are sent again.")),
        None => output::line("Everything from there is sent again."),
    }
    Ok(())
}

/// The message that `--message` names with its two values.
fn message_key(names: Option<&[String]>) -> Result<Option<MessageKey>> {
    let Some([channel, sid]) = names else {
        return Ok(None);
    };
    Ok(Some(MessageKey {
        channel: ChannelId::parse(channel).context("--message")?,
        sid: MessageSid::parse(sid).context("--message")?,
    }))
}
