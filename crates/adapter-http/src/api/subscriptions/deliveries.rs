//! Deliveries of a subscription, and their retries.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use domain::delivery::DeliveryFilter;
use domain::page::Page;
use domain::{ChannelId, Delivery, DeliveryKey, MessageKey, MessageSid, SubscriptionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::DeliveryView;
use crate::api::error::{ApiError, ApiResult, invalid, valid};
use crate::api::operator::Operator;
use crate::api::path::{delivery_key, subscription_id};
use crate::api::query::{encode_cursor, page, time};

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    /// The deliveries, those of the newest reports first. A page ends after 10,000 deliveries that
    /// were examined: with a filter it may have fewer than `limit`, or none, and still have a `next`.
    pub items: Vec<DeliveryView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl DeliveryList {
    /// Shows a page.
    #[must_use]
    pub fn new(page: &Page<Delivery, DeliveryKey>) -> Self {
        Self {
            items: page.items.iter().map(DeliveryView::new).collect(),
            next: page.next.map(|next| encode_cursor(&next.to_string())),
        }
    }
}

/// The parameters of a list of deliveries.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// Only those in this state: `delivered`, `retrying`, `waiting` or `dead`.
    state: Option<String>,
    /// Only those of this type of event.
    #[param(example = "message.delivered")]
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Only those of one message; with `message_sid`.
    channel_id: Option<String>,
    /// Only those of one message; with `channel_id`.
    message_sid: Option<String>,
    /// Only those first attempted at this time or later.
    since: Option<String>,
    /// Only those first attempted before this time.
    until: Option<String>,
    /// Items per page, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// The `next` of the previous page.
    cursor: Option<String>,
}

/// The filter of deliveries to retry.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetryQuery {
    /// Only those in this state: `retrying` or `dead`.
    state: Option<String>,
    /// Only those of this type of event.
    #[param(example = "message.delivered")]
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Only those of one message; with `message_sid`.
    channel_id: Option<String>,
    /// Only those of one message; with `channel_id`.
    message_sid: Option<String>,
    /// Only those first attempted at this time or later.
    since: Option<String>,
    /// Only those first attempted before this time.
    until: Option<String>,
}

impl From<RetryQuery> for DeliveryQuery {
    fn from(query: RetryQuery) -> Self {
        Self {
            state: query.state,
            event_type: query.event_type,
            channel_id: query.channel_id,
            message_sid: query.message_sid,
            since: query.since,
            until: query.until,
            limit: None,
            cursor: None,
        }
    }
}

const BOTH: &str = "give both channel_id and message_sid";

impl DeliveryQuery {
    fn filter(&self, subscription: SubscriptionId) -> Result<DeliveryFilter, ApiError> {
        let state = self.state.as_deref().map(str::parse).transpose();
        let event_type = self.event_type.as_deref().map(str::parse).transpose();
        let channel = self.channel_id.as_deref().map(ChannelId::parse).transpose();
        let sid = self
            .message_sid
            .as_deref()
            .map(MessageSid::parse)
            .transpose();
        let message = match (valid("channel_id", channel)?, valid("message_sid", sid)?) {
            (Some(channel), Some(sid)) => Some(MessageKey { channel, sid }),
            (None, None) => None,
            (Some(_), None) => return Err(invalid("message_sid", BOTH)),
            (None, Some(_)) => return Err(invalid("channel_id", BOTH)),
        };
        Ok(DeliveryFilter {
            subscription,
            state: valid("state", state)?,
            message,
            event_type: valid("type", event_type)?,
            since: time("since", self.since.as_deref())?,
            until: time("until", self.until.as_deref())?,
        })
    }
}

/// The result of a retry.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetryView {
    /// Deliveries that are retried.
    pub retried: u64,
}

/// List deliveries
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{subscription}/deliveries",
    operation_id = "list_deliveries",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id"), DeliveryQuery),
    responses((status = 200, body = DeliveryList)),
)]
pub(crate) async fn list(
    operator: Data<Operator>,
    path: Path<String>,
    query: Query<DeliveryQuery>,
) -> ApiResult {
    let filter = query.filter(subscription_id(&path)?)?;
    let (cursor, size) = (query.cursor.as_deref(), query.limit.as_deref());
    let (after, size) = page(cursor, size, |text| text.parse().ok())?;
    let subscriptions = &operator.state.subscriptions;
    let page = operator
        .run(subscriptions.deliveries(&filter, after, size))
        .await?;
    Ok(HttpResponse::Ok().json(DeliveryList::new(&page)))
}

/// Show a delivery with its last attempts
#[utoipa::path(
    get, path = "/api/v1/deliveries/{delivery}",
    operation_id = "show_delivery",
    tag = "subscriptions",
    params(("delivery" = String, Path, description = "The delivery id")),
    responses((status = 200, body = DeliveryView)),
)]
pub(crate) async fn show(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let key = delivery_key(&path)?;
    let found = operator
        .run(operator.state.subscriptions.delivery(key))
        .await?;
    Ok(HttpResponse::Ok().json(DeliveryView::new(&found)))
}

/// Retry a failed or dead-lettered delivery now
#[utoipa::path(
    post, path = "/api/v1/deliveries/{delivery}/retry",
    operation_id = "retry_delivery",
    tag = "subscriptions",
    params(("delivery" = String, Path, description = "The delivery id")),
    responses((status = 202, body = RetryView)),
)]
pub(crate) async fn retry(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let key = delivery_key(&path)?;
    operator
        .run(operator.state.subscriptions.retry(key))
        .await?;
    Ok(HttpResponse::Accepted().json(RetryView { retried: 1 }))
}

/// Retry failed and dead-lettered deliveries now, optionally filtered
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/deliveries/retry",
    operation_id = "retry_deliveries",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id"), RetryQuery),
    responses((status = 202, body = RetryView)),
)]
pub(crate) async fn retry_all(
    operator: Data<Operator>,
    path: Path<String>,
    query: Query<RetryQuery>,
) -> ApiResult {
    let filter = DeliveryQuery::from(query.into_inner()).filter(subscription_id(&path)?)?;
    let retrying = operator.state.subscriptions.retry_all(&filter);
    let retried = operator.run(retrying).await?;
    Ok(HttpResponse::Accepted().json(RetryView { retried }))
}
