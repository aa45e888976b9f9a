//! Troubles, and operator events, which are the notices of troubles.

pub mod settings;
pub mod view;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::trouble::{SnoozeReason, TroubleId};
use domain::{ChannelId, Timestamp};
use ports::troubles::TroubleFilter;
use serde::Deserialize;
use usecases::trouble::TroubleError;
use utoipa::ToSchema;

use super::authorize::{Requester, note};
use super::error::{ApiError, ApiResult, valid};
use super::json_body::Body;
use super::operator::Operator;
use super::query::{limit, page};
use crate::problem::Problem;
use view::{OperatorEventList, TroubleList, TroubleView};

/// The code of an id that no trouble has.
const NO_SUCH_TROUBLE: &str = "no_such_trouble";

impl From<TroubleError> for ApiError {
    fn from(error: TroubleError) -> Self {
        let (status, code) = match error {
            TroubleError::NoSuchTrouble(_) => (StatusCode::NOT_FOUND, NO_SUCH_TROUBLE),
            TroubleError::NoSuchChannel(_) => (StatusCode::NOT_FOUND, "no_such_channel"),
            TroubleError::Resolved(_) => (StatusCode::CONFLICT, "trouble_resolved"),
            TroubleError::Snooze(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_snooze"),
            TroubleError::Store(error) => return Self::Store(error),
        };
        Problem::new(status, code, error.to_string()).into()
    }
}

/// The parameters of the list of troubles.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TroubleQuery {
    /// Only `open` or `resolved` ones.
    state: Option<String>,
    /// Only those about this channel.
    channel: Option<String>,
    /// Items per page, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// The `next` of the previous page.
    cursor: Option<String>,
}

/// List troubles, newest first
///
/// Resolved ones are kept for 30 days.
#[utoipa::path(
    get, path = "/api/v1/troubles",
    operation_id = "list_troubles",
    tag = "troubles",
    params(TroubleQuery),
    responses((status = 200, body = TroubleList)),
)]
pub(crate) async fn list(operator: Data<Operator>, query: Query<TroubleQuery>) -> ApiResult {
    let resolved = query.state.as_deref().map(|state| match state {
        "open" => Ok(false),
        "resolved" => Ok(true),
        _ => Err("state is open or resolved"),
    });
    let channel = query.channel.as_deref().map(ChannelId::parse).transpose();
    let filter = TroubleFilter {
        resolved: valid("state", resolved.transpose())?,
        channel: valid("channel", channel)?,
    };
    let (cursor, size) = (query.cursor.as_deref(), query.limit.as_deref());
    let (after, size) = page(cursor, size, |text| text.parse::<TroubleId>().ok())?;
    let troubles = &operator.state.troubles;
    let page = operator.run(troubles.list(&filter, after, size)).await?;
    Ok(HttpResponse::Ok().json(TroubleList::new(&page, troubles.now())))
}

/// A snooze of a trouble.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnoozeRequest {
    /// Until when no notices are sent: within 30 days.
    #[schema(example = "2026-12-01T08:00:00Z")]
    pub until: String,
    /// Why, for other operators.
    #[schema(example = "the integrator repairs it on Monday")]
    pub reason: String,
}

/// Snooze an open trouble, so that no notices about it are sent
#[utoipa::path(
    put, path = "/api/v1/troubles/{trouble}/snooze",
    operation_id = "snooze_trouble",
    tag = "troubles",
    params(("trouble" = String, Path, description = "The trouble's id")),
    request_body = SnoozeRequest,
    responses((status = 200, body = TroubleView)),
)]
pub(crate) async fn snooze(
    operator: Data<Operator>,
    requester: Requester,
    http: HttpRequest,
    path: Path<String>,
    request: Body<SnoozeRequest>,
) -> ApiResult {
    let id = trouble_id(&path)?;
    let until = valid("until", Timestamp::parse(&request.until))?;
    let reason = valid("reason", SnoozeReason::parse(&request.reason))?;
    note(&http, format!("until {until}: {}", reason.as_str()));
    let troubles = &operator.state.troubles;
    let snoozed = troubles.snooze(id, until, reason, requester.name.clone());
    let snoozed = operator.run(snoozed).await?;
    Ok(HttpResponse::Ok().json(TroubleView::new(&snoozed, troubles.now())))
}

/// End the snooze of a trouble
#[utoipa::path(
    delete, path = "/api/v1/troubles/{trouble}/snooze",
    operation_id = "end_snooze",
    tag = "troubles",
    params(("trouble" = String, Path, description = "The trouble's id")),
    responses((status = 200, body = TroubleView)),
)]
pub(crate) async fn end_snooze(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = trouble_id(&path)?;
    let troubles = &operator.state.troubles;
    let ended = operator.run(troubles.end_snooze(id)).await?;
    Ok(HttpResponse::Ok().json(TroubleView::new(&ended, troubles.now())))
}

fn trouble_id(text: &str) -> Result<TroubleId, ApiError> {
    text.parse().map_err(|_| {
        let detail = "a trouble id is a UUID";
        Problem::new(StatusCode::NOT_FOUND, NO_SUCH_TROUBLE, detail).into()
    })
}

/// The parameters of operator events.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OperatorEventQuery {
    /// Only events after this sequence; 0 is before the first.
    #[param(value_type = Option<i64>)]
    after: Option<String>,
    /// Items per page, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
}

/// List operator events, oldest first
///
/// These are the notices of troubles, with a sequence of their own. They are kept for 30
/// days. Continue with `after` set to the `next` of the previous page.
#[utoipa::path(
    get, path = "/api/v1/operator-events",
    operation_id = "list_operator_events",
    tag = "troubles",
    params(OperatorEventQuery),
    responses((status = 200, body = OperatorEventList)),
)]
pub(crate) async fn events(
    operator: Data<Operator>,
    query: Query<OperatorEventQuery>,
) -> ApiResult {
    let after = query.after.as_deref().unwrap_or("0");
    let after = after.parse::<i64>().ok().filter(|after| *after >= 0);
    let after = valid("after", after.ok_or("after is a whole number, 0 or more"))?;
    let size = limit(query.limit.as_deref())?;
    let events = operator.state.troubles.events(after, size);
    let events = operator.run(events).await?;
    Ok(HttpResponse::Ok().json(OperatorEventList::new(&events, after)))
}
