//! Lists, follows and replays events.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use adapter_http::wire::position_text;
use anyhow::{Result, bail};
use domain::event::{EventFilter, MessageEvent};
use domain::{ChannelId, IntegratorName, LogPosition, Provenance};
use usecases::events::read::{EventSelection, EventsPage, EventsRead};
use usecases::{CloudEvent, LogTailCache, ReadEvents};

use super::installation::{ensure_exists, integrators, with_stores};
use super::{event_options, subscription};
use crate::cli::{EventArgs, EventCommand};
use crate::composition::Stores;
use crate::config::Settings;
use crate::output;
use crate::shutdown;

/// How long one read of `event tail` waits for events.
const TAIL_WAIT: Duration = Duration::from_mins(1);

/// The number of events that `event tail` reads at once.
const TAIL_LIMIT: NonZeroU16 = NonZeroU16::new(500).expect("500 is not zero");

pub async fn run(settings: &Settings, json: bool, command: EventCommand) -> Result<()> {
    match command {
        EventCommand::List { args, limit } => {
            with_stores(settings, async |stores| {
                list(stores, json, &args, limit).await
            })
            .await
        }
        EventCommand::Tail { args } => {
            with_stores(settings, async |stores| tail(stores, json, &args).await).await
        }
        EventCommand::Replay { subscription, from } => {
            subscription::replay::run(settings, json, &subscription, &from).await
        }
    }
}

async fn list(stores: &Stores, json: bool, args: &EventArgs, wanted: u16) -> Result<()> {
    let reader = Reader::new(stores, json, args).await?;
    let mut after = reader.start(stores).await?;
    let mut left = wanted;
    while let Some(limit) = NonZeroU16::new(left) {
        let page = reader.read(after, limit, Duration::ZERO).await?;
        if !reader.print(&page) {
            return Ok(());
        }
        let count = u16::try_from(page.events.len()).unwrap_or(u16::MAX);
        left = left.saturating_sub(count);
        after = Some(page.next);
        if !page.more {
            if left == wanted {
                for channel in reader.filter()?.channels.iter().flatten() {
                    ensure_exists(stores, channel).await?;
                }
                if !json {
                    output::line("no events; `receiptd event tail` waits for the next one");
                }
            }
            return Ok(());
        }
    }
    if let Some(next) = after {
        let next = position_text(next);
        output::hint(format!("There may be more: --after {next}"));
    }
    Ok(())
}

/// Prints events until the command is interrupted or its output is closed.
async fn tail(stores: &Stores, json: bool, args: &EventArgs) -> Result<()> {
    let reader = Reader::new(stores, json, args).await?;
    let mut after = match reader.start(stores).await? {
        Some(position) => position,
        None => reader.events.log().head().await?,
    };
    let mut stop = std::pin::pin!(shutdown::stop_signal()?);
    loop {
        let page = tokio::select! {
            page = reader.read(Some(after), TAIL_LIMIT, TAIL_WAIT) => page?,
            _ = &mut stop => return Ok(()),
        };
        if !reader.print(&page) {
            return Ok(());
        }
        after = page.next;
    }
}

/// Reads events and prints them as lines.
struct Reader<'a> {
    events: ReadEvents,
    args: &'a EventArgs,
    integrators: BTreeMap<ChannelId, IntegratorName>,
    json: bool,
}

impl<'a> Reader<'a> {
    async fn new(stores: &Stores, json: bool, args: &'a EventArgs) -> Result<Self> {
        let log = LogTailCache::new(stores.store());
        Ok(Self {
            events: ReadEvents::new(Arc::new(log)),
            args,
            integrators: integrators(stores).await?,
            json,
        })
    }

    async fn start(&self, stores: &Stores) -> Result<Option<LogPosition>> {
        let log = self.events.log();
        match &self.args.cursor {
            Some(name) => event_options::cursor(stores, log, name).await.map(Some),
            None => event_options::start(log, &self.args.start).await,
        }
    }

    fn filter(&self) -> Result<EventFilter> {
        event_options::filter(&self.args.channels, &self.args.types)
    }

    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
        wait: Duration,
    ) -> Result<EventsPage> {
        let wanted = EventSelection {
            after,
            filter: self.filter()?,
            limit,
            wait,
        };
        match self.events.run(&wanted).await? {
            EventsRead::Page(page) => Ok(page),
            EventsRead::Pruned { .. } => {
                bail!("retention has removed reports after this position; start at a later --since")
            }
            EventsRead::BeyondEnd => bail!("the position is beyond the end of the log"),
        }
    }

    /// Prints a page. Returns `false` if the output is closed.
    fn print(&self, page: &EventsPage) -> bool {
        page.events.iter().all(|event| {
            let integrator = self.integrators.get(&event.key.channel);
            let form = CloudEvent::new(event, integrator, self.args.reveal);
            output::streamed(&if self.json {
                form.to_json()
            } else {
                text(event, &form)
            })
        })
    }
}

/// Formats an event as one line, or as two if one does not fit the terminal.
fn text(event: &MessageEvent, form: &CloudEvent) -> String {
    let data = &form.data;
    let error = data.error.as_ref().map(|error| {
        let title = error.title.unwrap_or_default();
        format!("  {} {title}", error.code)
    });
    let change = format!(
        "{}  {:<26} {} -> {}",
        output::time(&form.time),
        event.event_type.as_str(),
        data.previous_status.unwrap_or("-"),
        data.status,
    );
    let message = format!(
        "{} on {}  to {}{}{}",
        form.subject,
        data.channel_id,
        data.to,
        if event.provenance == Provenance::Reconciled {
            "  reconciled"
        } else {
            ""
        },
        error.unwrap_or_default(),
    );
    output::one_line_or_two(&change, &message)
}
