//! The audit log.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use domain::access::audit::{AuditDetails, AuditObject};
use domain::access::{AuditEntry, AuditEntryId, AuditFilter, OperatorName};
use domain::page::Page;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ApiResult, valid};
use super::operator::Operator;
use super::query::{encode_cursor, page, time};

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntryView {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// When it happened.
    pub at: String,
    /// The name of the operator's token; `cli/USER` on the command line.
    #[schema(example = "anna")]
    pub operator: String,
    /// What the operator did.
    #[schema(example = "channel.add")]
    pub action: &'static str,
    /// The id of what it was done to; the path of revealed data.
    pub object: Option<String>,
    /// More about it.
    pub details: Option<String>,
    /// The address that the request came from; `null` on the command line.
    #[schema(example = "127.0.0.1")]
    pub source: Option<String>,
}

impl AuditEntryView {
    /// Shows an entry.
    #[must_use]
    pub fn new(entry: &AuditEntry) -> Self {
        let object = entry.object.as_ref().map(AuditObject::as_str);
        let details = entry.details.as_ref().map(AuditDetails::as_str);
        Self {
            id: entry.id.to_string(),
            at: entry.at.to_string(),
            operator: entry.operator.to_string(),
            action: entry.action.as_str(),
            object: object.map(str::to_owned),
            details: details.map(str::to_owned),
            source: entry.source.map(|address| address.to_string()),
        }
    }
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    /// The entries, newest first.
    pub items: Vec<AuditEntryView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl AuditList {
    /// Shows a page.
    #[must_use]
    pub fn new(page: &Page<AuditEntry, AuditEntryId>) -> Self {
        Self {
            items: page.items.iter().map(AuditEntryView::new).collect(),
            next: page.next.map(|next| encode_cursor(&next.to_string())),
        }
    }
}

/// The parameters of the audit log.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only entries of this operator.
    operator: Option<String>,
    /// Only this action.
    action: Option<String>,
    /// Only entries about this id.
    object: Option<String>,
    /// Only entries from this time on.
    since: Option<String>,
    /// Only entries from before this time.
    until: Option<String>,
    /// Items per page, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// The `next` of the previous page.
    cursor: Option<String>,
}

/// List the audit log
#[utoipa::path(
    get, path = "/api/v1/audit",
    operation_id = "list_audit",
    tag = "access",
    params(AuditQuery),
    responses((status = 200, body = AuditList)),
)]
pub(crate) async fn list(operator: Data<Operator>, query: Query<AuditQuery>) -> ApiResult {
    let name = query.operator.as_deref().map(OperatorName::parse);
    let action = query.action.as_deref().map(str::parse).transpose();
    let filter = AuditFilter {
        operator: valid("operator", name.transpose())?,
        action: valid("action", action)?,
        object: query.object.as_deref().map(AuditObject::new),
        since: time("since", query.since.as_deref())?,
        until: time("until", query.until.as_deref())?,
    };
    let (cursor, size) = (query.cursor.as_deref(), query.limit.as_deref());
    let (after, size) = page(cursor, size, |text| text.parse().ok())?;
    let listing = operator.state.access.audit_log.run(&filter, after, size);
    let page = operator.run(listing).await?;
    Ok(HttpResponse::Ok().json(AuditList::new(&page)))
}
