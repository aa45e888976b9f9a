//! Cursors: positions in the log that clients store on the server.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use domain::{CursorName, LogPosition};
use ports::event_log::Cursor;
use serde::{Deserialize, Serialize};
use usecases::Lag;
use usecases::events::cursors::{CursorError, ExpectedPosition};
use utoipa::ToSchema;

use crate::api::error::{ApiError, ApiResult, NO_SUCH_CURSOR, valid};
use crate::api::json_body::Body;
use crate::api::lag::LagView;
use crate::api::operator::Operator;
use crate::api::path::cursor_name;
use crate::api::position::{named_position, position_from_text, position_text};
use crate::api::query::{given, parameter_cursor};
use crate::problem::Problem;

/// A cursor.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorView {
    /// Its name.
    #[schema(example = "warehouse")]
    pub name: String,
    /// The position up to which its reader has processed events: an `after`.
    pub position: String,
}

impl CursorView {
    /// Shows a cursor.
    #[must_use]
    pub fn new(name: &str, position: LogPosition) -> Self {
        Self {
            name: name.to_owned(),
            position: position_text(position),
        }
    }
}

/// A cursor and its lag.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorDetailView {
    /// The cursor.
    #[serde(flatten)]
    pub cursor: CursorView,
    /// Its lag, for a reader of all events.
    pub lag: LagView,
}

impl CursorDetailView {
    /// Shows a cursor and its lag.
    #[must_use]
    pub fn new(name: &str, position: LogPosition, lag: &Lag) -> Self {
        Self {
            cursor: CursorView::new(name, position),
            lag: LagView::new(lag),
        }
    }
}

/// All cursors.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorList {
    /// The cursors, by name.
    pub items: Vec<CursorView>,
}

impl CursorList {
    /// Shows all cursors.
    #[must_use]
    pub fn new(all: &[Cursor]) -> Self {
        let view = |cursor: &Cursor| CursorView::new(&cursor.name, cursor.position);
        Self {
            items: all.iter().map(view).collect(),
        }
    }
}

/// A new position of a cursor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::option_option,
    reason = "left out, null and a text are three things"
)]
pub(crate) struct CursorRequest {
    /// A `next` of the pulled events, `latest` or `oldest`.
    position: String,
    /// The expected current position: if it differs, the cursor is not moved and the answer is
    /// 409. `null` if the cursor must not exist yet; left out to move it from any position.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    from: Option<Option<String>>,
}

/// List cursors
#[utoipa::path(
    get, path = "/api/v1/cursors",
    operation_id = "list_cursors",
    tag = "cursors",
    responses((status = 200, body = CursorList)),
)]
pub(crate) async fn list(operator: Data<Operator>) -> ApiResult {
    let all = operator.run(operator.state.cursors.list()).await?;
    Ok(HttpResponse::Ok().json(CursorList::new(&all)))
}

/// Show a cursor and its lag
#[utoipa::path(
    get, path = "/api/v1/cursors/{name}",
    operation_id = "show_cursor",
    tag = "cursors",
    params(("name" = String, Path, description = "The name of the cursor")),
    responses((status = 200, body = CursorDetailView)),
)]
pub(crate) async fn show(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let name = cursor_name(&path)?;
    let cursors = &operator.state.cursors;
    let position = operator.run(cursors.find(&name)).await?;
    let lag = operator.run(cursors.lag(position)).await?;
    Ok(HttpResponse::Ok().json(CursorDetailView::new(name.as_str(), position, &lag)))
}

/// Create or move a cursor
///
/// Nothing else moves a cursor. Put it to the `next` of a page once you have processed that page;
/// if you fail before, its events are returned again.
#[utoipa::path(
    put, path = "/api/v1/cursors/{name}",
    operation_id = "put_cursor",
    tag = "cursors",
    params(("name" = String, Path, description = "1 to 64 letters, digits and `-._~`")),
    request_body = CursorRequest,
    responses(
        (status = 200, body = CursorView, description = "The cursor was moved"),
        (status = 201, body = CursorView, description = "The cursor was created"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The cursor is not at `from`"),
    ),
)]
pub(crate) async fn put(
    operator: Data<Operator>,
    path: Path<String>,
    request: Body<CursorRequest>,
) -> ApiResult {
    // The name is chosen here, so an invalid one is answered 400.
    let name = valid("name", CursorName::parse(&path))?;
    let from = match request.from.as_ref().map(Option::as_deref) {
        None => ExpectedPosition::Any,
        Some(None) => ExpectedPosition::Absent,
        Some(Some(text)) => {
            ExpectedPosition::At(parameter_cursor("from", text, position_from_text)?)
        }
    };
    let to = named_position(&operator, "position", &request.position).await?;
    let put = operator.state.cursors.put(&name, from, to);
    let created = operator.run(put).await?;
    let mut answer = if created {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(answer.json(CursorView::new(name.as_str(), to)))
}

/// Remove a cursor
#[utoipa::path(
    delete, path = "/api/v1/cursors/{name}",
    operation_id = "remove_cursor",
    tag = "cursors",
    params(("name" = String, Path, description = "The name of the cursor")),
    responses((status = 204)),
)]
pub(crate) async fn remove(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let name = cursor_name(&path)?;
    operator.run(operator.state.cursors.remove(&name)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Finds the position of the cursor that a parameter names.
pub(super) async fn position(operator: &Operator, name: &str) -> Result<LogPosition, ApiError> {
    let name = valid("cursor", CursorName::parse(name))?;
    let found = operator.run(operator.state.cursors.find(&name)).await;
    found.map_err(|error| match error {
        CursorError::NoSuchCursor(_) => {
            let problem = Problem::new(StatusCode::NOT_FOUND, NO_SUCH_CURSOR, error.to_string());
            problem.of("cursor").into()
        }
        error => error.into(),
    })
}
