//! What happens to messages, for programs that want to hear of it: pulled page
//! by page here, or live from the [`stream`].

pub mod cursors;
pub mod stream;

use std::num::NonZeroU16;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use domain::event::{EventFilter, EventType, MessageEvent};
use domain::{ChannelId, LogPosition, Timestamp};
use ports::EventLog as _;
use serde::{Deserialize, Serialize};
use usecases::CloudEvent;
use usecases::events::read::{EventsRead, EventsWanted};
use utoipa::ToSchema;

use super::Operator;
use super::error::{ApiError, beyond_the_end, valid};
use super::query::{cursor, limit, parameter_cursor, reveal, set, with_plus};
use crate::problem::Problem;

/// The longest that a request for events waits, in seconds.
pub(super) const WAIT_MAX: u16 = 60;

/// How many events a page has, unless asked otherwise.
const LIMIT: u16 = 100;

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// The events in the order of the log; those of one message in the order of
    /// its revisions.
    pub items: Vec<CloudEvent>,
    /// `after` of the next request, also if there is nothing more now.
    pub next: String,
    /// Whether there may be more right now.
    pub more: bool,
}

/// Which events are given out.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Those behind this `next`, `latest` for those from now on, or `oldest`,
    /// which is meant without it and `since`.
    after: Option<String>,
    /// Those of reports that arrived at this time or later, and perhaps some
    /// from just before.
    #[param(example = "2026-11-22T18:06:17Z")]
    since: Option<String>,
    /// Those behind the position of this cursor, instead of `after`. It does not
    /// move by that: put it to `next` once you are done with the page.
    #[param(example = "warehouse")]
    cursor: Option<String>,
    /// Those of these channels, separated by commas.
    channel: Option<String>,
    /// Those of these types, separated by commas.
    #[param(example = "message.delivered,message.failed")]
    types: Option<String>,
    /// How many at a time, 1 to 500; one more if a report made two.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// How many seconds to wait for an event if there is none, 0 to 60.
    #[param(value_type = Option<u16>)]
    wait: Option<String>,
    /// Whether addresses are shown in the clear.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

impl EventQuery {
    /// Which parameter says where to begin.
    const fn field(&self) -> &'static str {
        if self.cursor.is_some() {
            "cursor"
        } else {
            "after"
        }
    }
}

/// Pull events
///
/// The same log as the stream and the subscriptions. Keep `next` once you are
/// done with a page; after an outage of yours go on from there.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "pull_events",
    tag = "events",
    params(EventQuery),
    responses(
        (status = 200, body = EventList),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "Events behind `after` are gone: retention has removed their reports"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn list(
    operator: web::Data<Operator>,
    query: web::Query<EventQuery>,
) -> Result<HttpResponse, ApiError> {
    let filter = filter(query.channel.as_deref(), query.types.as_deref())?;
    let reveal = reveal(query.reveal.as_deref())?;
    let limit = match &query.limit {
        Some(text) => limit(Some(text))?.get(),
        None => LIMIT,
    };
    let wanted = EventsWanted {
        after: begin(&operator, &query).await?,
        filter,
        limit: NonZeroU16::new(limit).unwrap_or(NonZeroU16::MIN),
        wait: query.wait.as_deref().map_or(Ok(Duration::ZERO), wait)?,
    };
    let page = match operator.run(operator.state.events.run(&wanted)).await? {
        EventsRead::Page(page) => page,
        EventsRead::Pruned { oldest } => {
            return Err(pruned(query.field(), oldest));
        }
        EventsRead::BeyondTheEnd => return Err(ApiError::Problem(beyond_the_end(query.field()))),
    };
    let form = |event: &MessageEvent| form(&operator, event, reveal);
    Ok(HttpResponse::Ok().json(EventList {
        items: page.events.iter().map(form).collect(),
        next: position_text(page.next),
        more: page.more,
    }))
}

/// Where a page begins; `None`: with the oldest event there is.
async fn begin(operator: &Operator, query: &EventQuery) -> Result<Option<LogPosition>, ApiError> {
    let (after, since) = (query.after.as_deref(), query.since.as_deref());
    match &query.cursor {
        None => start(operator, after, since).await,
        Some(_) if after.is_some() || since.is_some() => {
            let expected = "only one of after, since and cursor says where to begin";
            valid("cursor", Err(expected))
        }
        Some(name) => cursors::position(operator, name).await.map(Some),
    }
}

/// Where a reader begins that asks for `after` or `since`; `None` if for neither.
pub(crate) async fn start(
    operator: &Operator,
    after: Option<&str>,
    since: Option<&str>,
) -> Result<Option<LogPosition>, ApiError> {
    match (after, since) {
        (Some(_), Some(_)) => {
            let expected = "only one of after and since says where to begin";
            valid("since", Err(expected))
        }
        (Some(text), None) => place(operator, "after", text).await.map(Some),
        (None, Some(text)) => {
            let moment = valid("since", Timestamp::parse(&with_plus(text)))?;
            let log = operator.state.events.log();
            Ok(Some(operator.run(log.position_at(moment)).await?))
        }
        (None, None) => Ok(None),
    }
}

/// The position that a field names: a `next`, `latest` or `oldest`.
async fn place(
    operator: &Operator,
    field: &'static str,
    text: &str,
) -> Result<LogPosition, ApiError> {
    let log = operator.state.events.log();
    match text {
        "latest" => Ok(operator.run(log.head()).await?),
        "oldest" => Ok(operator.run(log.position_at(Timestamp::EPOCH)).await?),
        text => parameter_cursor(field, text, position_of),
    }
}

/// What a list of channels and one of types let through.
pub(crate) fn filter(channels: Option<&str>, types: Option<&str>) -> Result<EventFilter, ApiError> {
    let channels = channels.map(|text| set("channel", text.split(','), ChannelId::parse));
    let types = types.map(|text| set("types", text.split(','), str::parse::<EventType>));
    Ok(EventFilter {
        channels: channels.transpose()?,
        types: types.transpose()?,
    })
}

fn wait(text: &str) -> Result<Duration, ApiError> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds: &u16| *seconds <= WAIT_MAX);
    let seconds = valid("wait", seconds.ok_or("a number of seconds from 0 to 60"))?;
    Ok(Duration::from_secs(seconds.into()))
}

/// The form of an event. Its error is explained if its channel is known.
fn form(operator: &Operator, event: &MessageEvent, reveal: bool) -> CloudEvent {
    let channel = operator.state.directory.find(&event.key.channel);
    let integrator = channel.as_ref().map(|known| &known.channel.integrator);
    CloudEvent::new(event, integrator, reveal)
}

/// A position as it is shown: an `after`.
#[must_use]
pub fn position_text(position: LogPosition) -> String {
    cursor(&position.to_string())
}

pub(crate) fn position_of(text: &str) -> Option<LogPosition> {
    text.parse()
        .ok()
        .filter(|number| *number >= 0)
        .map(LogPosition)
}

fn pruned(field: &'static str, oldest: LogPosition) -> ApiError {
    let problem = Problem::new(
        StatusCode::GONE,
        "pruned",
        "the reports behind this position were removed by retention; the oldest event there is \
         comes after resume_after",
    );
    ApiError::Problem(problem.of(field).resuming_after(position_text(oldest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_the_way_out_and_back() {
        for position in [LogPosition::START, LogPosition(i64::MAX)] {
            let text = position_text(position);
            assert_eq!(
                parameter_cursor("after", &text, position_of).ok(),
                Some(position)
            );
        }
        for bad in ["", "-1", "1.5", "x"] {
            assert_eq!(position_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_named() {
        for (channel, types, field) in [
            (Some("a,"), None, "channel"),
            (None, Some("message.delivered,message.teleported"), "types"),
            (None, Some(""), "types"),
        ] {
            let Err(ApiError::Invalid { field: named, .. }) = filter(channel, types) else {
                panic!("{channel:?} {types:?} pass");
            };
            assert_eq!(named, field);
        }
    }
}
