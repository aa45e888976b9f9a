//! Events as they happen: Server-Sent Events.

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::LogPosition;
use domain::event::{EventFilter, MessageEvent};
use futures_util::stream::{self, Stream, StreamExt as _};
use ports::StoreError;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use usecases::events::read::{EventsPage, EventsRead, EventsWanted};
use usecases::ingest::group_commit::chain;

use super::{filter, form, position_of, position_text, start};
use crate::api::Operator;
use crate::api::error::{ApiError, beyond_the_end};
use crate::api::query::{parameter_cursor, reveal};
use crate::problem::Problem;
use crate::transport::Cut;

/// How many pages wait for a client that reads slowly.
const BUFFERED_PAGES: usize = 8;

/// How many events a page has at most.
const PAGE: NonZeroU16 = NonZeroU16::new(64).unwrap();

/// The header of a client that goes on where it was cut off.
pub(crate) const LAST_EVENT_ID: &str = "Last-Event-ID";

/// The first frame: how many milliseconds a client waits before it connects again. Like
/// [`HEARTBEAT`] it begins with a colon, by which clients that expect data in every frame
/// know a comment.
const OPENING: &str = ": connected\nretry: 2000\n\n";

/// Keeps the connection open while there are no events.
const HEARTBEAT: &str = ": heartbeat\n\n";

/// How streams of events are dimensioned.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// How many there are at a time; whoever comes then is asked to come again.
    pub most: usize,
    /// How long one is silent at most.
    pub heartbeat: Duration,
    /// How long a client may let events wait.
    pub patience: Duration,
    /// How long a client has to take what is left when its stream ends, and to hear
    /// why.
    pub farewell: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            most: 200,
            heartbeat: Duration::from_secs(15),
            patience: Duration::from_secs(10),
            farewell: Duration::from_secs(5),
        }
    }
}

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

/// One frame of the stream that is no comment; it has these fields as lines.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the frames, which are written as text")]
pub(crate) struct StreamedEvent {
    /// The type of the event.
    event: String,
    /// The event, as one line of JSON.
    data: String,
    /// What `Last-Event-ID` resumes from.
    id: String,
}

/// Stream events
///
/// Server-Sent Events: `event` is the type, `data` the event, `id` what
/// `Last-Event-ID` resumes from. An event that is none of a message is the last
/// one: `dropped`, the client does not keep up; `interrupted`, the store cannot be
/// read; `pruned`, events behind the given position are gone. Its `id`, which is
/// the `resume_after` of its `data` too, is where to go on.
#[utoipa::path(
    get,
    path = "/api/v1/events/stream",
    operation_id = "stream_events",
    tag = "events",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that was heard"),
    ),
    responses(
        (status = 200, body = StreamedEvent, content_type = "text/event-stream"),
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
    let last = last_event_id(request.headers())?;
    let resumes = last.is_some();
    let latest = query.after.is_none() && query.since.is_none();
    let after = query.after.as_deref().or(latest.then_some("latest"));
    let begun = start(&operator, after, query.since.as_deref()).await?;
    let after = last.or(begun).unwrap_or(LogPosition::START);
    let log = operator.state.events.log();
    if !operator.run(log.reaches(after)).await? {
        let field = if resumes { LAST_EVENT_ID } else { "after" };
        return Err(ApiError::Problem(beyond_the_end(field)));
    }
    let mut answer = HttpResponse::Ok();
    answer
        // What follows its end would follow on another connection.
        .force_close()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // Some proxies would gather events otherwise.
        .insert_header(("x-accel-buffering", "no"));
    if request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let place = Arc::clone(&operator.streams).try_acquire_owned();
    let place = place.map_err(|_| {
        ApiError::Problem(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_streams",
            "there are as many streams of events as there may be; try again",
        ))
    })?;
    let follower = Follower {
        operator,
        filter,
        reveal,
    };
    Ok(answer.streaming(follower.begin(after, place, Cut::of(&request))))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<LogPosition>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    // Some clients send the header empty until they have heard an event.
    if value.is_empty() {
        return Ok(None);
    }
    let text = value.to_str().unwrap_or_default();
    parameter_cursor(LAST_EVENT_ID, text, position_of).map(Some)
}

/// Reads events for one client.
struct Follower {
    operator: web::Data<Operator>,
    filter: EventFilter,
    reveal: bool,
}

impl Follower {
    /// The stream, which has its `place` as long as it lasts, and a task that fills
    /// it until the client is gone.
    fn begin(
        self,
        after: LogPosition,
        place: OwnedSemaphorePermit,
        connection: Cut,
    ) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        let (pages, mut filled) = mpsc::channel(BUFFERED_PAGES);
        let (farewell, last) = oneshot::channel();
        actix_web::rt::spawn(async move {
            let operator = self.operator.clone();
            let parting = operator.run(self.fill(after, &pages)).await;
            // A client that has gone hears nothing any more.
            let _ = farewell.send(parting);
            drop(pages);
            // It may never take what is left, and the server would wait for it.
            tokio::time::sleep(operator.state.streams.farewell).await;
            connection.cut();
        });
        let filled = stream::poll_fn(move |context| {
            let _ = &place;
            filled.poll_recv(context)
        });
        let last = stream::once(last).filter_map(async |parting| parting.ok().flatten());
        filled.chain(last).map(Ok)
    }

    /// Returns what is said at the end, if anybody still listens.
    async fn fill(self, mut after: LogPosition, pages: &mpsc::Sender<Bytes>) -> Option<Bytes> {
        let mut stop = self.operator.state.stop.clone();
        let patience = self.operator.state.streams.patience;
        let opening = Bytes::from_static(OPENING.as_bytes());
        if pages.send(opening).await.is_err() {
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
                Ok(EventsRead::Pruned { oldest }) => {
                    return Some(notice("pruned", oldest));
                }
                // The client connects again, and is told what is wrong.
                Ok(EventsRead::BeyondTheEnd) => {
                    return Some(notice("interrupted", after));
                }
                Err(error) => {
                    // The client connects again and resumes.
                    tracing::warn!(error = %chain(&error), "a stream of events ended");
                    return Some(notice("interrupted", after));
                }
            };
            let text = self.text(&page);
            let Ok(sent) = tokio::time::timeout(patience, pages.send(text)).await else {
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
            wait: self.operator.state.streams.heartbeat,
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
            return Bytes::from_static(HEARTBEAT.as_bytes());
        }
        text.into()
    }
}

/// The last event of a stream, and where to go on, also for a client that resumes
/// by itself from the last id it has heard.
fn notice(event: &str, resume: LogPosition) -> Bytes {
    let resume = position_text(resume);
    format!("id: {resume}\nevent: {event}\ndata: {{\"resume_after\":\"{resume}\"}}\n\n").into()
}
