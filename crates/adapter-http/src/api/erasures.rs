//! Erasures: forgetting a recipient.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use domain::erasure::{ErasureReason, RequestedVia};
use domain::page::Page;
use domain::{Erasure, ErasureId, Recipient};
use serde::{Deserialize, Serialize};
use usecases::erasure::EraseRequest;
use utoipa::ToSchema;

use super::Operator;
use super::body::Body;
use super::error::{ApiError, missing, valid};
use super::query::{cursor, from_cursor, limit};

/// How long a request goes on erasing; the rest is done by a worker.
const WITHIN: Duration = Duration::from_secs(3);

/// A recipient to be forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    /// A number with its country code, with or without a scheme, or the address
    /// that stands in reports.
    #[schema(example = "+15550100001")]
    pub recipient: String,
    /// Why, like the number of a ticket. It is kept, so it must not contain the
    /// recipient.
    #[schema(example = "ticket 4711")]
    pub reason: Option<String>,
}

/// What remains of an erasure.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureView {
    /// Names it.
    #[schema(format = "uuid")]
    pub id: String,
    /// When it was asked for.
    pub asked_at: String,
    /// Where: `api` or `command_line`.
    #[schema(example = "api")]
    pub asked_through: &'static str,
    /// Why.
    pub reason: Option<String>,
    /// The recipient, masked.
    #[schema(example = "+***0001")]
    pub recipient: String,
    /// How many reports and messages were looked at so far.
    pub looked_at: u64,
    /// How many messages were erased.
    pub messages: u64,
    /// How many of their reports.
    pub reports: u64,
    /// How many deliveries that had not been made were given up.
    pub deliveries: u64,
    /// When it was done; `null` while it goes on.
    pub finished_at: Option<String>,
}

impl ErasureView {
    /// An erasure as it is shown.
    #[must_use]
    pub fn new(erasure: &Erasure) -> Self {
        let reason = erasure.reason.as_ref();
        Self {
            id: erasure.id.to_string(),
            asked_at: erasure.asked_at.to_string(),
            asked_through: erasure.asked_through.as_str(),
            reason: reason.map(|reason| reason.as_str().to_owned()),
            recipient: erasure.masked.clone(),
            looked_at: erasure.looked_at,
            messages: erasure.messages,
            reports: erasure.reports,
            deliveries: erasure.deliveries,
            finished_at: erasure.finished_at.map(|at| at.to_string()),
        }
    }
}

/// A page of erasures.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureList {
    /// The erasures, the latest first.
    pub items: Vec<ErasureView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl ErasureList {
    /// A page as it is shown.
    #[must_use]
    pub fn new(page: &Page<Erasure, ErasureId>) -> Self {
        Self {
            items: page.items.iter().map(ErasureView::new).collect(),
            next: page.next.map(|next| cursor(&next.to_string())),
        }
    }
}

/// Which erasures are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ErasureQuery {
    /// How many at a time, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Forget a recipient
///
/// Their address goes, and so do the fields of the reports that name them;
/// statuses, times, counts and error codes stay. A long erasure is finished by a
/// worker.
#[utoipa::path(
    post,
    path = "/api/v1/erasures",
    operation_id = "erase_recipient",
    tag = "erasures",
    request_body = ErasureRequest,
    responses(
        (status = 201, body = ErasureView, description = "It is done"),
        (status = 202, body = ErasureView, description = "It goes on"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn add(
    operator: web::Data<Operator>,
    request: Body<ErasureRequest>,
) -> Result<HttpResponse, ApiError> {
    let reason = request.reason.as_deref().map(ErasureReason::parse);
    let request = EraseRequest {
        addressee: valid("recipient", Recipient::parse(&request.recipient))?,
        reason: valid("reason", reason.transpose())?,
        through: RequestedVia::Api,
    };
    let erasing = operator.state.erase.run(&request, WITHIN);
    let erasure = operator.run(erasing).await?;
    let mut answer = if erasure.finished_at.is_some() {
        HttpResponse::Created()
    } else {
        HttpResponse::Accepted()
    };
    let location = format!("/api/v1/erasures/{}", erasure.id);
    Ok(answer
        .insert_header((header::LOCATION, location))
        .json(ErasureView::new(&erasure)))
}

/// List erasures
#[utoipa::path(
    get,
    path = "/api/v1/erasures",
    operation_id = "list_erasures",
    tag = "erasures",
    params(ErasureQuery),
    responses(
        (status = 200, body = ErasureList),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn list(
    operator: web::Data<Operator>,
    query: web::Query<ErasureQuery>,
) -> Result<HttpResponse, ApiError> {
    let after = query.cursor.as_deref();
    let after = after.map(|text| from_cursor(text, |text| text.parse::<ErasureId>().ok()));
    let size = limit(query.limit.as_deref())?;
    let listing = operator.state.erasures.run(after.transpose()?, size);
    let page = operator.run(listing).await?;
    Ok(HttpResponse::Ok().json(ErasureList::new(&page)))
}

/// Show an erasure
#[utoipa::path(
    get,
    path = "/api/v1/erasures/{erasure}",
    operation_id = "show_erasure",
    tag = "erasures",
    params(("erasure" = String, Path, description = "The erasure's id")),
    responses(
        (status = 200, body = ErasureView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn show(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let none = || missing("no_such_erasure", "there is no erasure of this id");
    let id: ErasureId = path.parse().map_err(|_| none())?;
    let found = operator.run(operator.state.erasures.find(id)).await?;
    let found = found.ok_or_else(none)?;
    Ok(HttpResponse::Ok().json(ErasureView::new(&found)))
}
