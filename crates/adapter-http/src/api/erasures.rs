//! Erasures of a recipient.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path, Query};
use domain::erasure::{ErasureReason, RequestedVia};
use domain::page::Page;
use domain::{Erasure, ErasureId, Recipient};
use serde::{Deserialize, Serialize};
use usecases::erasure::EraseRequest;
use utoipa::ToSchema;

use super::error::{ApiResult, valid};
use super::json_body::Body;
use super::operator::Operator;
use super::path::{erasure_id, no_such_erasure};
use super::query::{encode_cursor, page};

/// How long a request keeps erasing; a worker finishes longer erasures.
const ERASE_TIMEOUT: Duration = Duration::from_secs(3);

/// A recipient to erase.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    /// A number with its country code, with or without a scheme, or the address as it is written
    /// in reports.
    #[schema(example = "+15550100001")]
    pub recipient: String,
    /// Why, such as the number of a ticket. It is stored, so it must not contain the recipient.
    #[schema(example = "ticket 4711")]
    pub reason: Option<String>,
}

/// The record of an erasure.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureView {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// When it was requested.
    pub asked_at: String,
    /// Through what it was requested: `api` or `command_line`.
    #[schema(example = "api")]
    pub asked_through: &'static str,
    /// Why.
    pub reason: Option<String>,
    /// The recipient, masked.
    #[schema(example = "+***0001")]
    pub recipient: String,
    /// Reports and messages that were examined so far.
    pub looked_at: u64,
    /// Erased messages.
    pub messages: u64,
    /// Erased reports of these messages.
    pub reports: u64,
    /// Pending deliveries that were given up.
    pub deliveries: u64,
    /// When it finished; `null` while it is in progress.
    pub finished_at: Option<String>,
}

impl ErasureView {
    /// Shows an erasure.
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
    /// The erasures, newest first.
    pub items: Vec<ErasureView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl ErasureList {
    /// Shows a page.
    #[must_use]
    pub fn new(page: &Page<Erasure, ErasureId>) -> Self {
        Self {
            items: page.items.iter().map(ErasureView::new).collect(),
            next: page.next.map(|next| encode_cursor(&next.to_string())),
        }
    }
}

/// The parameters of a list of erasures.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ErasureQuery {
    /// Items per page, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// The `next` of the previous page.
    cursor: Option<String>,
}

/// Erase a recipient
///
/// Removes their address and the fields of reports that contain it; statuses, times, counts and
/// error codes are kept. A worker finishes a long erasure.
#[utoipa::path(
    post, path = "/api/v1/erasures",
    operation_id = "erase_recipient",
    tag = "erasures",
    request_body = ErasureRequest,
    responses(
        (status = 201, body = ErasureView, description = "The erasure is finished"),
        (status = 202, body = ErasureView, description = "The erasure is in progress"),
    ),
)]
pub(crate) async fn add(operator: Data<Operator>, request: Body<ErasureRequest>) -> ApiResult {
    let reason = request.reason.as_deref().map(ErasureReason::parse);
    let request = EraseRequest {
        recipient: valid("recipient", Recipient::parse(&request.recipient))?,
        reason: valid("reason", reason.transpose())?,
        via: RequestedVia::Api,
    };
    let erasing = operator.state.erase.run(&request, ERASE_TIMEOUT);
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
    get, path = "/api/v1/erasures",
    operation_id = "list_erasures",
    tag = "erasures",
    params(ErasureQuery),
    responses((status = 200, body = ErasureList)),
)]
pub(crate) async fn list(operator: Data<Operator>, query: Query<ErasureQuery>) -> ApiResult {
    let (cursor, size) = (query.cursor.as_deref(), query.limit.as_deref());
    let (after, size) = page(cursor, size, |text| text.parse().ok())?;
    let erasures = operator.state.erasures.run(after, size);
    let page = operator.run(erasures).await?;
    Ok(HttpResponse::Ok().json(ErasureList::new(&page)))
}

/// Show an erasure
#[utoipa::path(
    get, path = "/api/v1/erasures/{erasure}",
    operation_id = "show_erasure",
    tag = "erasures",
    params(("erasure" = String, Path, description = "The erasure's id")),
    responses((status = 200, body = ErasureView)),
)]
pub(crate) async fn show(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = erasure_id(&path)?;
    let found = operator.run(operator.state.erasures.find(id)).await?;
    let found = found.ok_or_else(no_such_erasure)?;
    Ok(HttpResponse::Ok().json(ErasureView::new(&found)))
}
