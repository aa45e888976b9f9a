//! Events of messages: pulled page by page here, or live from the [`stream`].

pub mod cursors;
mod filter;
pub(crate) mod schema;
pub mod settings;
pub mod stream;

use std::num::NonZeroU16;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use domain::LogPosition;
use serde::{Deserialize, Serialize};
use usecases::CloudEvent;
use usecases::events::read::{EventSelection, EventsRead};
use utoipa::ToSchema;

use super::error::{ApiError, ApiResult, beyond_the_end, invalid, valid};
use super::operator::Operator;
use super::position::{position_text, start_position};
use super::query::limit;
use super::reveal::reveal;
use crate::problem::Problem;
use filter::{cloud_event, filter};

/// The longest time that a request waits for events, in seconds.
pub(super) const MAX_WAIT_SECONDS: u16 = 60;

/// Events per page unless `limit` is given.
const DEFAULT_PAGE_EVENTS: u16 = 100;

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// The events in the order of the log; those of one message in the order of their revisions.
    #[schema(value_type = Vec<schema::CloudEventSchema>)]
    pub items: Vec<CloudEvent>,
    /// The `after` of the next request, even if there are no more events now.
    pub next: String,
    /// Whether there may be more events now.
    pub more: bool,
}

/// The parameters of a page of events.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Only events after this `next`, `latest` for those from now on, or `oldest`, which is the
    /// default without `since`.
    after: Option<String>,
    /// Only events of reports that arrived at this time or later, and possibly some from just
    /// before.
    #[param(example = "2026-11-22T18:06:17Z")]
    since: Option<String>,
    /// Only events after the position of this cursor, instead of `after`. This does not move the
    /// cursor: put it to `next` once you have processed the page.
    #[param(example = "warehouse")]
    cursor: Option<String>,
    /// Only events of these channels, separated by commas.
    channel: Option<String>,
    /// Only events of these types, separated by commas.
    #[param(example = "message.delivered,message.failed")]
    types: Option<String>,
    /// Events per page, 1 to 500; one more if a report has two events.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// How many seconds to wait for an event if there is none, 0 to 60.
    #[param(value_type = Option<u16>)]
    wait: Option<String>,
    /// Whether addresses are shown unmasked.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

/// Pull events
///
/// Reads the same log as the stream and the subscriptions. Store `next` once you have processed a
/// page, and continue from there after an interruption.
#[utoipa::path(
    get, path = "/api/v1/events",
    operation_id = "pull_events",
    tag = "events",
    params(EventQuery),
    responses(
        (status = 200, body = EventList),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Retention has removed reports after `after`"),
    ),
)]
pub(crate) async fn list(operator: Data<Operator>, query: Query<EventQuery>) -> ApiResult {
    let reveal_addresses = reveal(query.reveal.as_deref())?;
    let limit = match &query.limit {
        Some(text) => limit(Some(text))?.get(),
        None => DEFAULT_PAGE_EVENTS,
    };
    let wanted = EventSelection {
        filter: filter(query.channel.as_deref(), query.types.as_deref())?,
        after: start(&operator, &query).await?,
        limit: NonZeroU16::new(limit).unwrap_or(NonZeroU16::MIN),
        wait: query.wait.as_deref().map_or(Ok(Duration::ZERO), wait)?,
    };
    let start_field = if query.cursor.is_some() {
        "cursor"
    } else {
        "after"
    };
    let page = match operator.run(operator.state.events.run(&wanted)).await? {
        EventsRead::Page(page) => page,
        EventsRead::Pruned { oldest } => return Err(pruned(start_field, oldest)),
        EventsRead::BeyondEnd => return Err(beyond_the_end(start_field)),
    };
    let events = page.events.iter();
    Ok(HttpResponse::Ok().json(EventList {
        items: events
            .map(|event| cloud_event(&operator, event, reveal_addresses))
            .collect(),
        next: position_text(page.next),
        more: page.more,
    }))
}

/// Finds where a page begins; `None` for the oldest event.
async fn start(operator: &Operator, query: &EventQuery) -> Result<Option<LogPosition>, ApiError> {
    let (after, since) = (query.after.as_deref(), query.since.as_deref());
    match &query.cursor {
        None => start_position(operator, after, since).await,
        Some(_) if after.is_some() || since.is_some() => Err(invalid(
            "cursor",
            "give only one of after, since and cursor",
        )),
        Some(name) => cursors::position(operator, name).await.map(Some),
    }
}

fn wait(text: &str) -> Result<Duration, ApiError> {
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds: &u16| *seconds <= MAX_WAIT_SECONDS);
    let seconds = valid("wait", seconds.ok_or("a number of seconds from 0 to 60"))?;
    Ok(Duration::from_secs(seconds.into()))
}

fn pruned(field: &'static str, oldest: LogPosition) -> ApiError {
    let detail = "retention has removed the reports after this position; continue after \
                  resume_after";
    let problem = Problem::new(StatusCode::GONE, "pruned", detail);
    problem
        .of(field)
        .resuming_after(position_text(oldest))
        .into()
}
