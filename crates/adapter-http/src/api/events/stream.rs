//! A live stream of events: Server-Sent Events.

use std::fmt::Write as _;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::LogPosition;
use domain::access;
use domain::event::{EventFilter, MessageEvent};
use futures_util::stream::{self, Stream, StreamExt as _};
use ports::StoreError;
use ports::error::error_chain;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use usecases::events::read::{EventSelection, EventsPage, EventsRead};

use super::filter::{cloud_event, filter};
use crate::api::authorize::Requester;
use crate::api::error::{ApiError, ApiResult, beyond_the_end};
use crate::api::operator::Operator;
use crate::api::position::{position_from_text, position_text, start_position};
use crate::api::query::{LAST_EVENT_ID, parameter_cursor};
use crate::api::reveal::reveal;
use crate::problem::Problem;
use crate::transport::ConnectionCloser;

/// Pages that wait for a client that reads slowly.
const MAX_BUFFERED_PAGES: usize = 8;

/// Events per page.
const MAX_PAGE_EVENTS: NonZeroU16 = NonZeroU16::new(64).unwrap();

/// The first frame: how many milliseconds a client waits before it reconnects. Like [`HEARTBEAT`]
/// it begins with a colon, which marks a comment for clients that expect data in every frame.
const OPENING: &str = ": connected\nretry: 2000\n\n";

/// Sent to keep the connection open while there are no events.
const HEARTBEAT: &str = ": heartbeat\n\n";

/// The parameters of a stream of events.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamQuery {
    /// Only events after this `next` or `id`. Without this, `since` and `Last-Event-ID`: those from
    /// now on.
    after: Option<String>,
    /// Only events of reports that arrived at this time or later.
    #[param(example = "2026-11-22T18:06:17Z")]
    since: Option<String>,
    /// Only events of these channels, separated by commas.
    channel: Option<String>,
    /// Only events of these types, separated by commas.
    #[param(example = "message.delivered,message.failed")]
    types: Option<String>,
    /// Whether addresses are shown unmasked.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

/// A frame of the stream that is not a comment; these fields are its lines.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the frames, which are written as text")]
pub(crate) struct StreamedEvent {
    /// The type of the event.
    event: String,
    /// The event as one line of JSON.
    data: String,
    /// The value of `Last-Event-ID` that resumes after this event.
    id: String,
}

/// Stream events
///
/// Server-Sent Events: `event` is the type, `data` the event, `id` the value of `Last-Event-ID`
/// that resumes after it. A last event of another type says why the stream ends: `dropped`, the
/// client is too slow; `interrupted`, the store cannot be read; `pruned`, retention has removed
/// events after the given position. Its `id`, which is also the `resume_after` of its `data`, is
/// where to resume.
#[utoipa::path(
    get, path = "/api/v1/events/stream",
    operation_id = "stream_events",
    tag = "events",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that was received"),
    ),
    responses((status = 200, body = StreamedEvent, content_type = "text/event-stream")),
)]
pub(crate) async fn follow(
    request: HttpRequest,
    operator: Data<Operator>,
    requester: Requester,
    query: Query<StreamQuery>,
) -> ApiResult {
    let filter = filter(query.channel.as_deref(), query.types.as_deref())?;
    let reveal = reveal(query.reveal.as_deref())?;
    // A client that reconnects sends the header, which then takes precedence over its query.
    let last = last_event_id(request.headers())?;
    let resumes = last.is_some();
    let latest = query.after.is_none() && query.since.is_none();
    let after = query.after.as_deref().or(latest.then_some("latest"));
    let begun = start_position(&operator, after, query.since.as_deref()).await?;
    let after = last.or(begun).unwrap_or(LogPosition::START);
    let log = operator.state.events.log();
    if !operator.run(log.reaches(after)).await? {
        let field = if resumes { LAST_EVENT_ID } else { "after" };
        return Err(beyond_the_end(field));
    }
    let mut answer = HttpResponse::Ok();
    answer
        // The end of the connection marks the end of the stream.
        .force_close()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // Otherwise some proxies buffer events.
        .insert_header(("x-accel-buffering", "no"));
    if request.method() == Method::HEAD {
        return Ok(answer.finish());
    }
    let permit = Arc::clone(&operator.streams).try_acquire_owned();
    let permit = permit.map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_streams",
            "the limit of open event streams is reached; try again later",
        )
    })?;
    let follower = Follower {
        operator,
        requester: requester.into_inner(),
        filter,
        reveal,
    };
    Ok(answer.streaming(follower.stream(after, permit, ConnectionCloser::of(&request))))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<LogPosition>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    // Some clients send an empty header until they have received an event.
    if value.is_empty() {
        return Ok(None);
    }
    let text = value.to_str().unwrap_or_default();
    parameter_cursor(LAST_EVENT_ID, text, position_from_text).map(Some)
}

/// Reads events for one client.
struct Follower {
    operator: Data<Operator>,
    requester: access::Operator,
    filter: EventFilter,
    reveal: bool,
}

impl Follower {
    /// Returns the stream, which holds its permit as long as it lasts, and spawns a task that fills
    /// it until the client disconnects.
    fn stream(
        self,
        after: LogPosition,
        permit: OwnedSemaphorePermit,
        connection: ConnectionCloser,
    ) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        let (pages, mut filled) = mpsc::channel(MAX_BUFFERED_PAGES);
        let (last_sender, last) = oneshot::channel();
        actix_web::rt::spawn(async move {
            let operator = self.operator.clone();
            let last_frame = operator.run(self.fill(after, &pages)).await;
            // Fails if the client has disconnected.
            let _ = last_sender.send(last_frame);
            drop(pages);
            // A client that never reads the rest would keep the connection open.
            tokio::time::sleep(operator.state.streams.close_timeout).await;
            connection.close();
        });
        let filled = stream::poll_fn(move |context| {
            let _ = &permit;
            filled.poll_recv(context)
        });
        let last = stream::once(last).filter_map(async |frame| frame.ok().flatten());
        filled.chain(last).map(Ok)
    }

    /// Sends events until the stream ends. Returns the last frame, unless the client has
    /// disconnected.
    async fn fill(self, mut after: LogPosition, pages: &mpsc::Sender<Bytes>) -> Option<Bytes> {
        let mut stop = self.operator.state.stop.clone();
        let send_timeout = self.operator.state.streams.send_timeout;
        let token_check = self.operator.state.streams.token_check;
        let mut checked = Instant::now();
        let opening = Bytes::from_static(OPENING.as_bytes());
        if pages.send(opening).await.is_err() {
            return None;
        }
        loop {
            let read = tokio::select! {
                read = self.read(after) => read,
                () = pages.closed() => return None,
                // The client reconnects, to a server that is running then.
                Ok(_) = stop.wait_for(|stop| *stop) => return None,
            };
            let page = match read {
                Ok(EventsRead::Page(page)) => page,
                Ok(EventsRead::Pruned { oldest }) => {
                    return Some(last_frame("pruned", oldest));
                }
                // The client reconnects and gets the error.
                Ok(EventsRead::BeyondEnd) => {
                    return Some(last_frame("interrupted", after));
                }
                Err(error) => {
                    // The client reconnects and resumes.
                    let error = error_chain(&error);
                    tracing::warn!(error, "event stream interrupted: the log cannot be read");
                    return Some(last_frame("interrupted", after));
                }
            };
            if checked.elapsed() >= token_check {
                if !self.is_allowed().await {
                    return Some(last_frame("interrupted", after));
                }
                checked = Instant::now();
            }
            let text = self.text(&page);
            let Ok(sent) = tokio::time::timeout(send_timeout, pages.send(text)).await else {
                tracing::info!("event stream dropped: the client reads too slowly");
                return Some(last_frame("dropped", after));
            };
            if sent.is_err() {
                return None;
            }
            after = page.next;
        }
    }

    /// Returns whether the token is still valid; `false` if that cannot be found out. The client
    /// reconnects and gets the error.
    async fn is_allowed(&self) -> bool {
        let authenticate = &self.operator.state.access.authenticate;
        match authenticate.is_valid(&self.requester).await {
            Ok(true) => true,
            Ok(false) => {
                let name = self.requester.name.as_str();
                tracing::info!(
                    operator = name,
                    "event stream ended: the token is not valid"
                );
                false
            }
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(
                    error,
                    "event stream interrupted: the token cannot be checked"
                );
                false
            }
        }
    }

    async fn read(&self, after: LogPosition) -> Result<EventsRead, StoreError> {
        let wanted = EventSelection {
            after: Some(after),
            filter: self.filter.clone(),
            limit: MAX_PAGE_EVENTS,
            wait: self.operator.state.streams.heartbeat,
        };
        self.operator.state.events.run(&wanted).await
    }

    fn text(&self, page: &EventsPage) -> Bytes {
        let mut text = String::new();
        let mut events = page.events.iter().peekable();
        while let Some(event) = events.next() {
            let same_position = |next: &&MessageEvent| next.position == event.position;
            // Resuming between events of one position would miss the rest of them.
            if !events.peek().is_some_and(same_position) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "id: {}", position_text(event.position));
            }
            let data = cloud_event(&self.operator, event, self.reveal).to_json();
            let _ = write!(text, "event: {}\ndata: {data}\n\n", event.event_type);
        }
        if text.is_empty() {
            return Bytes::from_static(HEARTBEAT.as_bytes());
        }
        text.into()
    }
}

/// Makes the last frame of a stream, with the position to resume after; its `id` serves clients
/// that resume automatically.
fn last_frame(event: &str, resume: LogPosition) -> Bytes {
    let resume = position_text(resume);
    format!("id: {resume}\nevent: {event}\ndata: {{\"resume_after\":\"{resume}\"}}\n\n").into()
}
