//! Reports as they come: a page with the newest, and a stream that its script follows.
//!
//! A browser has one stream for all its pages, of all channels: they share its events, and each
//! page shows those of its channel that come after its own.

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use domain::event::{EventFilter, EventType, MessageEvent};
use domain::{ChannelId, LogPosition};
use futures_util::stream;
use ports::StoreError;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use usecases::events::read::{EventSelection, EventsRead};

use super::messages;
use super::messages::list::channel_choices;
use crate::console::{ChannelNames, Console, names};
use crate::error::PageError;
use crate::html::Html;
use crate::page::{self, Choice, Page, Section};
use crate::session::cookie;
use crate::status::{self, StatusLook};
use crate::time::Times;
use crate::visit::Visit;

/// Events that the page shows at first.
const SHOWN: usize = 50;

/// How far back the first events are, in microseconds.
const LOOK_BACK_MICROS: i64 = 15 * 60 * 1_000_000;

/// Events per read.
const READ_SIZE: NonZeroU16 = NonZeroU16::new(500).unwrap();

/// Events per frame of the stream.
const FRAME_SIZE: NonZeroU16 = NonZeroU16::new(64).unwrap();

/// Reads for the first page at most; at a high rate it shows older events.
const MAX_READS: usize = 20;

/// How long a stream is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long a stream goes on after its session or token has ended.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Streams of the console that may be open at a time.
pub(crate) const MAX_STREAMS: usize = 16;

struct Row {
    event: String,
    at: Html,
    status: Html,
    path: String,
    sid: String,
    channel: String,
    recipient: String,
}

#[derive(Template)]
#[template(path = "live.html")]
struct LivePage {
    page: Page,
    rows: Vec<Row>,
    channels: Vec<Choice>,
    /// The position after the events of the page.
    after: LogPosition,
    /// The channel that the page is about.
    channel: Option<String>,
}

fn filter(visit: &Visit) -> Result<EventFilter, PageError> {
    let channel = visit.query.get("channel").map(ChannelId::parse).transpose();
    let channel = channel.map_err(|error| PageError::Invalid(error.to_string()))?;
    Ok(EventFilter {
        channels: channel.map(|channel| [channel].into()),
        ..EventFilter::default()
    })
}

/// Shows the newest events.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let filter = filter(&visit)?;
    let channels = console.channels().await?;
    let names = names(&channels);
    let (events, next) = newest(&console, &visit, &filter).await?;
    let chosen = filter
        .channels
        .as_ref()
        .and_then(|channels| channels.first());
    let rows = events
        .iter()
        .rev()
        .map(|event| row(&visit.times, event, &names));
    page::show(&LivePage {
        rows: rows.collect(),
        channels: channel_choices(&channels, chosen),
        after: next,
        channel: chosen.map(ToString::to_string),
        page: visit.page("Live", Section::Live),
    })
}

/// Returns the newest events in the order of the log, and the position after them.
async fn newest(
    console: &Console,
    visit: &Visit,
    filter: &EventFilter,
) -> Result<(Vec<MessageEvent>, LogPosition), PageError> {
    let since = visit.times.now().plus_micros(-LOOK_BACK_MICROS);
    let log = console.state.events.log();
    let mut after = console.run(log.seek(since)).await?;
    let mut newest: Vec<MessageEvent> = Vec::new();
    for _ in 0..MAX_READS {
        let selection = selection(after, filter, READ_SIZE, Duration::ZERO);
        match console.run(console.state.events.run(&selection)).await? {
            EventsRead::Page(page) => {
                newest.extend(page.events);
                newest.drain(..newest.len().saturating_sub(SHOWN));
                after = page.next;
                if !page.more {
                    break;
                }
            }
            EventsRead::Pruned { oldest } => after = oldest,
            EventsRead::BeyondEnd => break,
        }
    }
    Ok((newest, after))
}

fn selection(
    after: LogPosition,
    filter: &EventFilter,
    limit: NonZeroU16,
    wait: Duration,
) -> EventSelection {
    EventSelection {
        after: Some(after),
        filter: filter.clone(),
        limit,
        wait,
    }
}

fn look(event: &MessageEvent) -> StatusLook {
    match event.event_type {
        EventType::Moved(status) => status::look(status),
        EventType::Contradicted => status::CONTRADICTED,
    }
}

fn channel_name(event: &MessageEvent, names: &ChannelNames) -> String {
    let id = &event.key.channel;
    names
        .get(id)
        .map_or_else(|| id.to_string(), ToString::to_string)
}

fn row(times: &Times, event: &MessageEvent, names: &ChannelNames) -> Row {
    Row {
        event: event.id.to_string(),
        at: times.clock(event.reported_at),
        status: look(event).chip(),
        path: messages::path(&event.key),
        sid: event.key.sid.to_string(),
        channel: channel_name(event, names),
        recipient: event.recipient.to_string(),
    }
}

/// A stream of one browser.
struct Follower {
    console: Data<Console>,
    times: Times,
    filter: EventFilter,
    names: ChannelNames,
    after: LogPosition,
    /// The key of the session, which must stay valid.
    key: String,
    /// When the session was last found valid, in the time of this process.
    checked: Instant,
    /// Held as long as the stream lasts.
    _permit: OwnedSemaphorePermit,
}

/// Streams events after a position as Server-Sent Events.
pub(crate) async fn follow(
    console: Data<Console>,
    visit: Visit,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let filter = filter(&visit)?;
    // A browser that reconnects sends the id of the last event.
    let last = request.headers().get("last-event-id");
    let last = last.and_then(|last| last.to_str().ok());
    let after = last.or_else(|| visit.query.get("after"));
    let after = after.and_then(|after| after.parse().ok());
    let after = after.map(LogPosition);
    let after = after.ok_or_else(|| PageError::Invalid("load the page again".to_owned()))?;
    let permit = Arc::clone(&console.streams).try_acquire_owned();
    let too_many = |_| PageError::Conflict("too many live pages are open".to_owned());
    let permit = permit.map_err(too_many)?;
    let names = names(&console.channels().await?);
    let console_url = console.state.url.clone();
    let follower = Follower {
        console,
        times: visit.times,
        filter,
        names,
        after,
        key: cookie::key(request.headers(), &console_url)
            .unwrap_or_default()
            .to_owned(),
        checked: Instant::now(),
        _permit: permit,
    };
    Ok(HttpResponse::Ok()
        .force_close()
        .content_type("text/event-stream")
        // Otherwise some proxies buffer events.
        .insert_header((header::HeaderName::from_static("x-accel-buffering"), "no"))
        .streaming(stream::try_unfold(follower, next_frame)))
}

/// Waits for the next frame; the stream ends when the server stops or the position is lost.
async fn next_frame(mut follower: Follower) -> Result<Option<(Bytes, Follower)>, StoreError> {
    let console = follower.console.clone();
    let selection = selection(follower.after, &follower.filter, FRAME_SIZE, HEARTBEAT);
    let mut stop = console.state.stop.clone();
    let read = tokio::select! {
        read = console.run(console.state.events.run(&selection)) => read?,
        // The browser reconnects, to a server that is running then.
        Ok(_) = stop.wait_for(|stop| *stop) => return Ok(None),
    };
    let EventsRead::Page(page) = read else {
        return Ok(None);
    };
    if follower.checked.elapsed() >= CHECK_INTERVAL {
        let session = console.state.access.sessions.authenticate(&follower.key);
        if console.run(session).await?.is_none() {
            return Ok(None);
        }
        follower.checked = Instant::now();
    }
    follower.times = follower.times.at(console.now());
    follower.after = page.next;
    let frame = follower.frame(&page.events);
    Ok(Some((frame, follower)))
}

impl Follower {
    fn frame(&self, events: &[MessageEvent]) -> Bytes {
        let mut text = String::new();
        let mut events = events.iter().peekable();
        while let Some(event) = events.next() {
            if events.peek().is_none() {
                // Writing into a `String` cannot fail.
                let _ = writeln!(text, "id: {}", self.after);
            }
            let StatusLook { tone, shape, word } = look(event);
            let data = json!({
                "id": event.id.to_string(),
                "position": event.position.0,
                "of": event.key.channel.as_str(),
                "at": self.times.clock_text(event.reported_at),
                "time": event.reported_at.to_string(),
                "tone": tone,
                "shape": shape,
                "word": word,
                "path": messages::path(&event.key),
                "sid": event.key.sid.as_str(),
                "channel": channel_name(event, &self.names),
                "to": event.recipient.to_string(),
            });
            let _ = write!(text, "data: {data}\n\n");
        }
        if text.is_empty() {
            return Bytes::from_static(b": heartbeat\n\n");
        }
        text.into()
    }
}
