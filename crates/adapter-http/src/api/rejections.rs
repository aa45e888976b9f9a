//! Reports that were refused although their caller was proven.

use actix_web::{HttpResponse, web};
use domain::ChannelId;
use domain::page::Page;
use ports::rejections::KeptRejection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Operator;
use super::error::{ApiError, valid};
use super::query::{cursor, from_cursor, limit};

/// A refused report.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectionView {
    /// Its place in the log; later ones have greater ones.
    pub id: i64,
    /// When it arrived.
    pub arrived_at: String,
    /// The channel whose caller was proven.
    pub channel_id: String,
    /// Whose report it was.
    pub integrator: String,
    /// Why it was refused, as a stable word.
    #[schema(example = "signature_mismatch")]
    pub reason: String,
    /// What was wrong and what would be right.
    pub detail: String,
    /// Its fields in order, with every value masked that may be personal.
    pub fields: Vec<MaskedFieldView>,
}

/// A field of a refused report.
#[derive(Debug, Serialize, ToSchema)]
pub struct MaskedFieldView {
    /// Its name.
    pub name: String,
    /// Its value, or what may be shown of it.
    pub value: String,
}

impl RejectionView {
    /// A refused report as it is shown.
    #[must_use]
    pub fn new(kept: &KeptRejection) -> Self {
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

/// A page of refused reports.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectionList {
    /// The refused reports, the newest first.
    pub items: Vec<RejectionView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl RejectionList {
    /// A page as it is shown.
    #[must_use]
    pub fn new(page: &Page<KeptRejection, i64>) -> Self {
        Self {
            items: page.items.iter().map(RejectionView::new).collect(),
            next: page.next.map(|next| cursor(&next.to_string())),
        }
    }
}

/// Which refused reports are listed.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RejectionQuery {
    /// Those of one channel.
    channel: Option<String>,
    /// How many at a time, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// List refused reports
#[utoipa::path(
    get,
    path = "/api/v1/rejections",
    operation_id = "list_rejections",
    tag = "rejections",
    params(RejectionQuery),
    responses(
        (status = 200, body = RejectionList),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn list(
    operator: web::Data<Operator>,
    query: web::Query<RejectionQuery>,
) -> Result<HttpResponse, ApiError> {
    let channel = query.channel.as_deref().map(ChannelId::parse).transpose();
    let channel = valid("channel", channel)?;
    let after = query.cursor.as_deref();
    let after = after.map(|text| from_cursor(text, |text| text.parse().ok()));
    let size = limit(query.limit.as_deref())?;
    let listing = operator
        .state
        .rejections
        .run(channel.as_ref(), after.transpose()?, size);
    let page = operator.run(listing).await?;
    Ok(HttpResponse::Ok().json(RejectionList::new(&page)))
}
