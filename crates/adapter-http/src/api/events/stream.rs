//! Events as they happen: Server-Sent Events.

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::LogPosition;
use domain::event::{EventFilter, MessageEvent};
use futures_util::stream::{self, Stream, StreamExt as _};
use ports::StoreError;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use usecases::intake::chain;
use usecases::read_events::{EventsPage, EventsRead, EventsWanted};

use super::{filter, form, position_of, position_text, start};
use crate::api::Operator;
use crate::api::error::ApiError;
use crate::api::query::{parameter_cursor, reveal};
use crate::problem::Problem;

/// How long it is silent at most.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How many pages wait for a client that reads slowly.
const BUFFERED_PAGES: usize = 8;

/// How many events a page has at most.
const PAGE: NonZeroU16 = NonZeroU16::new(64).unwrap();

/// How long a client may let them wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client waits before it connects again.
const RETRY: &str = "retry: 2000\n\n";

/// Which events are streamed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Those behind this `next` or `id`. Without it, `since` and
    /// `Last-Event-ID`: those from now on.
    after: Option<String>,
    /// Those of reports that arrived at this time or later.
    #[param(example = "2026-11-22T18:06:17Z")]
    since: Option<String>,
    /// Those of these channels, separated by commas.
    channel: Option<String>,
    /// Those of these types, separated by commas.
    #[param(example = "message.delivered,message.failed")]
    types: Option<String>,
    /// Whether addresses are shown in the clear.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

/// Stream events
///
/// Server-Sent Events: `event` is the type, `data` the event, `id` what
/// `Last-Event-ID` resumes from. A client that does not keep up is told so by an
/// event `dropped`, and may resume. `pruned` says that events behind the given
/// position are gone.
#[utoipa::path(
    get,
    path = "/api/v1/events/stream",
    tag = "events",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that was heard"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/event-stream"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", body = Problem, content_type = "application/problem+json"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn follow(
    request: HttpRequest,
    operator: web::Data<Operator>,
    query: web::Query<StreamQuery>,
) -> Result<HttpResponse, ApiError> {
    let filter = filter(query.channel.as_deref(), query.types.as_deref())?;
    let reveal = reveal(query.reveal.as_deref())?;
    // The header is of a client that has lost the connection, so it counts more
    // than the query it began with.
    let after = if let Some(position) = last_event_id(request.headers())? {
        position
    } else {
        let latest = query.after.is_none() && query.since.is_none();
        let after = query.after.as_deref().or(latest.then_some("latest"));
        let begun = start(&operator, after, query.since.as_deref()).await?;
        begun.unwrap_or(LogPosition::START)
    };
    let follower = Follower {
        operator,
        filter,
        reveal,
    };
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // Some proxies would gather events otherwise.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(follower.begin(after)))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<LogPosition>, ApiError> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    parameter_cursor("Last-Event-ID", text, position_of).map(Some)
}

/// Reads events for one client.
struct Follower {
    operator: web::Data<Operator>,
    filter: EventFilter,
    reveal: bool,
}

impl Follower {
    /// The stream, and a task that fills it until the client is gone.
    fn begin(
        self,
        after: LogPosition,
    ) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        let (pages, mut filled) = mpsc::channel(BUFFERED_PAGES);
        let (farewell, last) = oneshot::channel();
        actix_web::rt::spawn(async move {
            let operator = self.operator.clone();
            let parting = operator.run(self.fill(after, &pages)).await;
            // A client that has gone hears nothing any more.
            let _ = farewell.send(parting);
            drop(pages);
        });
        let filled = stream::poll_fn(move |context| filled.poll_recv(context));
        let last = stream::once(last).filter_map(async |parting| parting.ok().flatten());
        filled.chain(last).map(Ok)
    }

    /// Returns what is said at the end, if anybody still listens.
    async fn fill(self, mut after: LogPosition, pages: &mpsc::Sender<Bytes>) -> Option<Bytes> {
        let mut stop = self.operator.state.stop.clone();
        if pages
            .send(Bytes::from_static(RETRY.as_bytes()))
            .await
            .is_err()
        {
            return None;
        }
        loop {
            let read = tokio::select! {
                read = self.read(after) => read,
                () = pages.closed() => return None,
                // The client connects again, to a server that is there then.
                Ok(_) = stop.wait_for(|stop| *stop) => return None,
            };
            let page = match read {
                Ok(EventsRead::Page(page)) => page,
                Ok(EventsRead::Pruned { oldest }) => return Some(notice("pruned", oldest)),
                Err(error) => {
                    // The client connects again and resumes.
                    tracing::warn!(error = %chain(&error), "a stream of events ended");
                    return Some(notice("interrupted", after));
                }
            };
            let text = self.text(&page);
            let Ok(sent) = tokio::time::timeout(PATIENCE, pages.send(text)).await else {
                tracing::info!("a client of the stream of events does not keep up");
                return Some(notice("dropped", after));
            };
            if sent.is_err() {
                return None;
            }
            after = page.next;
        }
    }

    async fn read(&self, after: LogPosition) -> Result<EventsRead, StoreError> {
        let wanted = EventsWanted {
            after: Some(after),
            filter: self.filter.clone(),
            limit: PAGE,
            wait: HEARTBEAT,
        };
        self.operator.state.events.run(&wanted).await
    }

    fn text(&self, page: &EventsPage) -> Bytes {
        let mut text = String::new();
        let mut events = page.events.iter().peekable();
        while let Some(event) = events.next() {
            let of_position = |next: &&MessageEvent| next.position == event.position;
            // Resuming in the midst of a position would miss its other events.
            if !events.peek().is_some_and(of_position) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "id: {}", position_text(event.position));
            }
            let data = form(&self.operator, event, self.reveal).to_json();
            let _ = write!(text, "event: {}\ndata: {data}\n\n", event.event_type);
        }
        if text.is_empty() {
            // Keeps the connection open, and moves the place to resume from past
            // what did not pass the filter.
            text = format!(": nothing new\nid: {}\n\n", position_text(page.next));
        }
        text.into()
    }
}

/// The last event of a stream, and where to go on.
fn notice(event: &str, resume: LogPosition) -> Bytes {
    let resume = position_text(resume);
    format!("event: {event}\ndata: {{\"resume_after\":\"{resume}\"}}\n\n").into()
}
