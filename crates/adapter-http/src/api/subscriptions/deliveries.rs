//! What became of events at a subscription, and trying again.

use actix_web::{HttpResponse, web};
use domain::delivery::DeliveryFilter;
use domain::page::Page;
use domain::{ChannelId, Delivery, DeliveryKey, MessageKey, MessageSid, SubscriptionId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::subscription_id;
use super::view::DeliveryView;
use crate::api::Operator;
use crate::api::error::{ApiError, missing, valid};
use crate::api::query::{cursor, from_cursor, limit, with_plus};

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    /// The deliveries, those of later reports first.
    pub items: Vec<DeliveryView>,
    /// The `cursor` of the next page; `null` on the last one.
    pub next: Option<String>,
}

impl DeliveryList {
    /// A page as it is shown.
    #[must_use]
    pub fn new(page: &Page<Delivery, DeliveryKey>) -> Self {
        Self {
            items: page.items.iter().map(DeliveryView::new).collect(),
            next: page.next.map(|next| cursor(&next.to_string())),
        }
    }
}

/// Which deliveries.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// Those in one state: `delivered`, `retrying`, `waiting` or `dead`.
    state: Option<String>,
    /// Those of one type of event.
    #[param(example = "message.delivered")]
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Those of one message; with `message_sid`.
    channel_id: Option<String>,
    /// Those of one message; with `channel_id`.
    message_sid: Option<String>,
    /// Those first dealt with at this time or later.
    since: Option<String>,
    /// Those first dealt with before this time.
    until: Option<String>,
    /// How many at a time, 1 to 500.
    #[param(value_type = Option<u16>)]
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Which deliveries are tried again.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetryQuery {
    /// Those in one state: `retrying` or `dead`.
    state: Option<String>,
    /// Those of one type of event.
    #[param(example = "message.delivered")]
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Those of one message; with `message_sid`.
    channel_id: Option<String>,
    /// Those of one message; with `channel_id`.
    message_sid: Option<String>,
    /// Those first dealt with at this time or later.
    since: Option<String>,
    /// Those first dealt with before this time.
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

impl DeliveryQuery {
    fn filter(&self, subscription: SubscriptionId) -> Result<DeliveryFilter, ApiError> {
        let state = self.state.as_deref().map(str::parse).transpose();
        let event_type = self.event_type.as_deref().map(str::parse).transpose();
        let time = |text: &Option<String>| {
            let text = text.as_deref().map(with_plus);
            text.map(|text| Timestamp::parse(&text)).transpose()
        };
        let channel = self.channel_id.as_deref().map(ChannelId::parse).transpose();
        let sid = self
            .message_sid
            .as_deref()
            .map(MessageSid::parse)
            .transpose();
        let message = match (valid("channel_id", channel)?, valid("message_sid", sid)?) {
            (Some(channel), Some(sid)) => Some(MessageKey { channel, sid }),
            (None, None) => None,
            (Some(_), None) => return valid("message_sid", Err("a message is named by both")),
            (None, Some(_)) => return valid("channel_id", Err("a message is named by both")),
        };
        Ok(DeliveryFilter {
            subscription,
            state: valid("state", state)?,
            message,
            event_type: valid("type", event_type)?,
            since: valid("since", time(&self.since))?,
            until: valid("until", time(&self.until))?,
        })
    }
}

/// What trying again came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct RetryView {
    /// How many deliveries are tried again.
    pub retried: u64,
}

/// List deliveries
#[utoipa::path(
    get,
    path = "/api/v1/subscriptions/{subscription}/deliveries",
    operation_id = "list_deliveries",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id"), DeliveryQuery),
    responses(
        (status = 200, body = DeliveryList),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn list(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    query: web::Query<DeliveryQuery>,
) -> Result<HttpResponse, ApiError> {
    let filter = query.filter(subscription_id(&path)?)?;
    let after = query.cursor.as_deref();
    let after = after.map(|text| from_cursor(text, |text| text.parse().ok()));
    let size = limit(query.limit.as_deref())?;
    let listing = operator
        .state
        .subscriptions
        .deliveries(&filter, after.transpose()?, size);
    let page = operator.run(listing).await?;
    Ok(HttpResponse::Ok().json(DeliveryList::new(&page)))
}

/// Show a delivery with its last attempts
#[utoipa::path(
    get,
    path = "/api/v1/deliveries/{delivery}",
    operation_id = "show_delivery",
    tag = "subscriptions",
    params(("delivery" = String, Path, description = "The delivery id")),
    responses(
        (status = 200, body = DeliveryView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn show(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let key = delivery_key(&path)?;
    let found = operator
        .run(operator.state.subscriptions.delivery(key))
        .await?;
    Ok(HttpResponse::Ok().json(DeliveryView::new(&found)))
}

/// Try a dead or failing delivery again, now
#[utoipa::path(
    post,
    path = "/api/v1/deliveries/{delivery}/retry",
    operation_id = "retry_delivery",
    tag = "subscriptions",
    params(("delivery" = String, Path, description = "The delivery id")),
    responses(
        (status = 202, body = RetryView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn retry(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let key = delivery_key(&path)?;
    operator
        .run(operator.state.subscriptions.retry(key))
        .await?;
    Ok(HttpResponse::Accepted().json(RetryView { retried: 1 }))
}

/// Try all dead and failing deliveries again that the filter lets through, now
#[utoipa::path(
    post,
    path = "/api/v1/subscriptions/{subscription}/deliveries/retry",
    operation_id = "retry_deliveries",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id"), RetryQuery),
    responses(
        (status = 202, body = RetryView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn retry_all(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    query: web::Query<RetryQuery>,
) -> Result<HttpResponse, ApiError> {
    let filter = DeliveryQuery::from(query.into_inner()).filter(subscription_id(&path)?)?;
    let retrying = operator.state.subscriptions.retry_all(&filter);
    let retried = operator.run(retrying).await?;
    Ok(HttpResponse::Accepted().json(RetryView { retried }))
}

fn delivery_key(text: &str) -> Result<DeliveryKey, ApiError> {
    text.parse().map_err(|_| {
        missing(
            "no_such_delivery",
            "a delivery id is as the list of deliveries shows it",
        )
    })
}
