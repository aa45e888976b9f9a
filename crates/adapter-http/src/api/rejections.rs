//! Rejected reports of authenticated callers.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use domain::ChannelId;
use domain::page::Page;
use ports::rejections::StoredRejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ApiResult, valid};
use super::operator::Operator;
use super::query::{encode_cursor, page};

/// A rejected report.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectionView {
    /// Its id; later rejections have greater ids.
    pub id: i64,
    /// When it arrived.
    pub arrived_at: String,
    /// The channel whose caller was authenticated.
    pub channel_id: String,
    /// The integrator that sent it.
    pub integrator: String,
    /// Why it was rejected, as a stable word.
    #[schema(example = "signature_mismatch")]
    pub reason: String,
    /// What was wrong and what would be valid.
    pub detail: String,
    /// Its fields in order; values that may be personal are masked.
    pub fields: Vec<MaskedFieldView>,
}

/// A field of a rejected report.
#[derive(Debug, Serialize, ToSchema)]
pub struct MaskedFieldView {
    /// Its name.
    pub name: String,
    /// Its value, masked if it may be personal.
    pub value: String,
}

impl RejectionView {
    /// Shows a rejected report.
    #[must_use]
    pub fn new(kept: &StoredRejection) -> Self {
        let rejection = &kept.rejection;
        let field = |(name, value): (&str, &str)| MaskedFieldView {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        Self {
            id: kept.id,
            arrived_at: rejection.arrived_at.to_string(),
            channel_id: rejection.channel.to_string(),
            integrator: rejection.integrator.to_string(),
            reason: rejection.reason.as_str().to_owned(),
            detail: rejection.detail.clone(),
            fields: rejection.fields.iter().map(field).collect(),
        }
    }
}

/// A page of rejected reports.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectionList {
    /// The rejected reports, newest first.
    pub items: Vec<RejectionView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl RejectionList {
    /// Shows a page.
    #[must_use]
    pub fn new(page: &Page<StoredRejection, i64>) -> Self {
        Self {
            items: page.items.iter().map(RejectionView::new).collect(),
            next: page.next.map(|next| encode_cursor(&next.to_string())),
        }
    }
}

/// The parameters of a list of rejected reports.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RejectionQuery {
    /// Only those of this channel.
    channel: Option<String>,
    /// Items per page, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// The `next` of the previous page.
    cursor: Option<String>,
}

/// List rejected reports
#[utoipa::path(
    get, path = "/api/v1/rejections",
    operation_id = "list_rejections",
    tag = "rejections",
    params(RejectionQuery),
    responses((status = 200, body = RejectionList)),
)]
pub(crate) async fn list(operator: Data<Operator>, query: Query<RejectionQuery>) -> ApiResult {
    let channel = query.channel.as_deref().map(ChannelId::parse).transpose();
    let channel = valid("channel", channel)?;
    let (cursor, size) = (query.cursor.as_deref(), query.limit.as_deref());
    let (after, size) = page(cursor, size, |text| text.parse().ok())?;
    let rejections = &operator.state.rejections;
    let page = operator
        .run(rejections.run(channel.as_ref(), after, size))
        .await?;
    Ok(HttpResponse::Ok().json(RejectionList::new(&page)))
}
