//! What happened to messages, and what happens now.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use adapter_http::wire::{position, position_text};
use anyhow::{Context as _, Result, bail};
use domain::event::{EventFilter, EventType, MessageEvent};
use domain::{ChannelId, CursorName, IntegratorName, LogPosition, Timestamp};
use usecases::events::read::{EventSelection, EventsPage, EventsRead};
use usecases::{CloudEvent, LogTailCache, ReadEvents};

use super::subscription;
use crate::cli::{EventArgs, EventCommand, StartArgs, SubscriptionCommand};
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::output;

/// How long one look at the log lasts when nothing happens.
const PATIENCE: Duration = Duration::from_mins(1);

pub async fn run(settings: &Settings, json: bool, command: EventCommand) -> Result<()> {
    match command {
        EventCommand::List { args, limit } => {
            let stores = Stores::open(settings).await?;
            let outcome = list(&stores, json, &args, limit).await;
            stores.close().await;
            outcome
        }
        EventCommand::Tail { args } => {
            let stores = Stores::open(settings).await?;
            let outcome = tail(&stores, json, &args).await;
            stores.close().await;
            outcome
        }
        EventCommand::Replay { subscription, from } => {
            let replay = SubscriptionCommand::Replay {
                id: subscription,
                from,
            };
            subscription::run(settings, json, replay).await
        }
    }
}

async fn list(stores: &Stores, json: bool, args: &EventArgs, wanted: u16) -> Result<()> {
    let printer = Printer::new(stores, json, args).await?;
    let events = ReadEvents::new(Arc::new(LogTailCache::new(stores.store())));
    let mut after = start(stores, &events, args).await?;
    let mut left = wanted;
    while let Some(limit) = NonZeroU16::new(left) {
        let page = read(&events, after, args, limit, Duration::ZERO).await?;
        if !printer.print(&page) {
            return Ok(());
        }
        let count = u16::try_from(page.events.len()).unwrap_or(u16::MAX);
        left = left.saturating_sub(count);
        after = Some(page.next);
        if !page.more {
            if left == wanted && !json {
                output::line("none");
            }
            return Ok(());
        }
    }
    if let Some(next) = after {
        output::hint(format!(
            "There may be more: --after {}",
            position_text(next)
        ));
    }
    Ok(())
}

/// Prints until it is interrupted or nobody reads any more.
async fn tail(stores: &Stores, json: bool, args: &EventArgs) -> Result<()> {
    let printer = Printer::new(stores, json, args).await?;
    let events = ReadEvents::new(Arc::new(LogTailCache::new(stores.store())));
    let mut after = match start(stores, &events, args).await? {
        Some(position) => position,
        None => events.log().head().await?,
    };
    let stop = crate::lifecycle::asked_to_stop()?;
    let mut stop = std::pin::pin!(stop);
    loop {
        let limit = NonZeroU16::new(500).unwrap_or(NonZeroU16::MIN);
        let page = tokio::select! {
            page = read(&events, Some(after), args, limit, PATIENCE) => page?,
            _ = &mut stop => return Ok(()),
        };
        if !printer.print(&page) {
            return Ok(());
        }
        after = page.next;
    }
}

async fn start(
    stores: &Stores,
    events: &ReadEvents,
    args: &EventArgs,
) -> Result<Option<LogPosition>> {
    match &args.cursor {
        Some(name) => cursor(stores, events.log(), name).await.map(Some),
        None => begin(events.log(), &args.start).await,
    }
}

/// Where the cursor stands that `--cursor` names.
pub async fn cursor(stores: &Stores, log: &Arc<LogTailCache>, name: &str) -> Result<LogPosition> {
    let name = CursorName::parse(name).context("--cursor")?;
    let cursors = composition::manage_cursors(stores, Arc::clone(log));
    Ok(cursors.find(&name).await?)
}

/// Where `--since` or `--after` says to begin; `None` without both.
pub async fn begin(log: &LogTailCache, start: &StartArgs) -> Result<Option<LogPosition>> {
    if let Some(text) = &start.after {
        return place(log, "--after", text).await.map(Some);
    }
    let Some(text) = &start.since else {
        return Ok(None);
    };
    let moment = Timestamp::parse(text).with_context(|| format!("--since is {text:?}"))?;
    Ok(Some(log.position_at(moment).await?))
}

/// The position that an argument of this name says.
pub async fn place(log: &LogTailCache, name: &str, text: &str) -> Result<LogPosition> {
    match text {
        "latest" => Ok(log.head().await?),
        "oldest" => Ok(log.position_at(Timestamp::EPOCH).await?),
        text => position(text).with_context(|| {
            format!("{name} is {text:?}; it is a position as the API shows it, latest or oldest")
        }),
    }
}

/// What `--channel` and `--type` let through; without them all.
pub fn filter(channels: &[String], types: &[String]) -> Result<EventFilter> {
    let ids = channels.iter().map(|id| ChannelId::parse(id));
    let words = types.iter().map(|word| word.parse::<EventType>());
    let ids = ids.collect::<Result<_, _>>().context("--channel")?;
    let words = words.collect::<Result<_, _>>().context("--type")?;
    Ok(EventFilter {
        channels: Some(ids).filter(|_| !channels.is_empty()),
        types: Some(words).filter(|_| !types.is_empty()),
    })
}

async fn read(
    events: &ReadEvents,
    after: Option<LogPosition>,
    args: &EventArgs,
    limit: NonZeroU16,
    wait: Duration,
) -> Result<EventsPage> {
    let wanted = EventSelection {
        after,
        filter: filter(&args.channels, &args.types)?,
        limit,
        wait,
    };
    match events.run(&wanted).await? {
        EventsRead::Page(page) => Ok(page),
        EventsRead::Pruned { .. } => {
            bail!("retention has removed reports behind this place; begin at a later --since")
        }
        EventsRead::BeyondEnd => bail!("the position is beyond the end of the log"),
    }
}

/// Prints events as lines.
struct Printer {
    /// They explain errors.
    integrators: BTreeMap<ChannelId, IntegratorName>,
    json: bool,
    reveal: bool,
}

impl Printer {
    async fn new(stores: &Stores, json: bool, args: &EventArgs) -> Result<Self> {
        Ok(Self {
            integrators: super::integrators(stores).await?,
            json,
            reveal: args.reveal,
        })
    }

    /// `false` if nobody reads any more.
    fn print(&self, page: &EventsPage) -> bool {
        page.events.iter().all(|event| {
            let integrator = self.integrators.get(&event.key.channel);
            let form = CloudEvent::new(event, integrator, self.reveal);
            output::streamed(&if self.json {
                form.to_json()
            } else {
                line(event, &form)
            })
        })
    }
}

fn line(event: &MessageEvent, form: &CloudEvent) -> String {
    let data = &form.data;
    let error = data.error.as_ref().map(|error| {
        let title = error.title.unwrap_or_default();
        format!("  {} {title}", error.code)
    });
    let previous = data.previous_status.unwrap_or("-");
    format!(
        "{}  {:<26} {previous} -> {}  {} on {}  to {}{}",
        form.time,
        event.event_type.as_str(),
        data.status,
        form.subject,
        data.channel_id,
        data.to,
        error.unwrap_or_default(),
    )
}
