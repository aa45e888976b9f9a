//! Cursors: places in the log that pullers keep on the server.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use domain::{CursorName, LogPosition};
use ports::event_log::Cursor;
use serde::{Deserialize, Serialize};
use usecases::Lag;
use usecases::events::cursors::{CursorError, MovedFrom};
use utoipa::ToSchema;

use super::{place, position_of, position_text};
use crate::api::Operator;
use crate::api::body::Body;
use crate::api::error::{ApiError, missing, valid};
use crate::api::query::{given, parameter_cursor};
use crate::api::subscriptions::view::LagView;
use crate::problem::Problem;

/// The code of a name that no cursor has.
pub(crate) const NO_SUCH_CURSOR: &str = "no_such_cursor";

/// A cursor.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorView {
    /// Names it.
    #[schema(example = "warehouse")]
    pub name: String,
    /// What its reader is done with: an `after` of the pulled events.
    pub position: String,
}

impl CursorView {
    /// A cursor as it is shown.
    #[must_use]
    pub fn new(name: &str, position: LogPosition) -> Self {
        Self {
            name: name.to_owned(),
            position: position_text(position),
        }
    }
}

/// A cursor and how far it is behind.
#[derive(Debug, Serialize, ToSchema)]
pub struct CursorDetailView {
    /// The cursor.
    #[serde(flatten)]
    pub cursor: CursorView,
    /// How far it is behind, for a reader who wants all events.
    pub lag: LagView,
}

impl CursorDetailView {
    /// A cursor and how far it is behind.
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
    /// All cursors as they are shown.
    #[must_use]
    pub fn new(all: &[Cursor]) -> Self {
        let view = |cursor: &Cursor| CursorView::new(&cursor.name, cursor.position);
        Self {
            items: all.iter().map(view).collect(),
        }
    }
}

/// Where a cursor is put.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::option_option,
    reason = "left out, null and a text are three things"
)]
pub(crate) struct CursorRequest {
    /// A `next` of the pulled events, `latest` or `oldest`.
    position: String,
    /// Where it is believed to stand: if it does not, it is not moved and the
    /// answer is 409. `null`: it must not be there yet. Left out, it is moved
    /// from wherever it stands.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    from: Option<Option<String>>,
}

/// List cursors
#[utoipa::path(
    get,
    path = "/api/v1/cursors",
    operation_id = "list_cursors",
    tag = "cursors",
    responses(
        (status = 200, body = CursorList),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn list(operator: web::Data<Operator>) -> Result<HttpResponse, ApiError> {
    let all = operator.run(operator.state.cursors.list()).await?;
    Ok(HttpResponse::Ok().json(CursorList::new(&all)))
}

/// Show a cursor, and how far it is behind
#[utoipa::path(
    get,
    path = "/api/v1/cursors/{name}",
    operation_id = "show_cursor",
    tag = "cursors",
    params(("name" = String, Path, description = "The name of the cursor")),
    responses(
        (status = 200, body = CursorDetailView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn show(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = name_in_path(&path)?;
    let cursors = &operator.state.cursors;
    let position = operator.run(cursors.find(&name)).await?;
    let lag = operator.run(cursors.lag(position)).await?;
    Ok(HttpResponse::Ok().json(CursorDetailView::new(name.as_str(), position, &lag)))
}

/// Make a cursor, or move it on or back
///
/// Nothing else moves it. Put it to the `next` of a page once you are done with
/// that page: whatever happens to you before, its events are there again.
#[utoipa::path(
    put,
    path = "/api/v1/cursors/{name}",
    operation_id = "put_cursor",
    tag = "cursors",
    params(("name" = String, Path, description = "1 to 64 letters, digits and `-._~`")),
    request_body = CursorRequest,
    responses(
        (status = 200, body = CursorView, description = "It was moved"),
        (status = 201, body = CursorView, description = "It was made"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It does not stand at `from`"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn put(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    request: Body<CursorRequest>,
) -> Result<HttpResponse, ApiError> {
    // Here the name is made, so it is a value that may be wrong.
    let name = valid("name", CursorName::parse(&path))?;
    let from = match request.from.as_ref().map(Option::as_deref) {
        None => MovedFrom::Anywhere,
        Some(None) => MovedFrom::Nowhere,
        Some(Some(text)) => MovedFrom::Position(parameter_cursor("from", text, position_of)?),
    };
    let to = place(&operator, "position", &request.position).await?;
    let put = operator.state.cursors.put(&name, from, to);
    let made = operator.run(put).await?;
    let mut answer = if made {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    };
    Ok(answer.json(CursorView::new(name.as_str(), to)))
}

/// Forget a cursor
#[utoipa::path(
    delete,
    path = "/api/v1/cursors/{name}",
    operation_id = "remove_cursor",
    tag = "cursors",
    params(("name" = String, Path, description = "The name of the cursor")),
    responses(
        (status = 204),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn remove(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = name_in_path(&path)?;
    operator.run(operator.state.cursors.remove(&name)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Where the cursor stands that a reader names.
pub(super) async fn position(operator: &Operator, name: &str) -> Result<LogPosition, ApiError> {
    let name = valid("cursor", CursorName::parse(name))?;
    let found = operator.run(operator.state.cursors.find(&name)).await;
    found.map_err(|error| match error {
        CursorError::NoSuchCursor(_) => {
            let nowhere = Problem::new(StatusCode::NOT_FOUND, NO_SUCH_CURSOR, error.to_string());
            ApiError::Problem(nowhere.of("cursor"))
        }
        error => error.into(),
    })
}

fn name_in_path(text: &str) -> Result<CursorName, ApiError> {
    CursorName::parse(text).map_err(|_| {
        missing(
            NO_SUCH_CURSOR,
            "the name of a cursor is 1 to 64 letters, digits and -._~",
        )
    })
}
