//! Subscriptions: events pushed to others.

pub mod deliveries;
pub mod request;
pub mod view;

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use domain::SubscriptionId;
use domain::event::EventFilter;
use domain::subscription::Description;
use domain::webhook::TargetUrl;
use ports::subscriptions::SubscriptionStatus;
use serde::Serialize;
use usecases::subscriptions::{NewSubscription, OVERLAP, ReplayFrom, SubscriptionChanges};
use utoipa::ToSchema;

use super::Operator;
use super::body::{Body, Whole};
use super::error::{ApiError, missing, valid};
use super::events::start;
use crate::problem::Problem;
use request::{
    ReplayRequest, RotateRequest, SubscriptionPatch, SubscriptionRequest, channels, message_key,
    secret, types,
};
use view::{IssuedSubscriptionView, SubscriptionDetailView, SubscriptionView, TestView};

/// The longest that a replaced secret goes on signing, in hours.
const OVERLAP_HOURS_MAX: u16 = 24 * 30;

/// All subscriptions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionList {
    /// The subscriptions, oldest first.
    pub items: Vec<SubscriptionView>,
}

impl SubscriptionList {
    /// All subscriptions as they are shown.
    #[must_use]
    pub fn new(all: &[SubscriptionStatus]) -> Self {
        Self {
            items: all.iter().map(SubscriptionView::of_status).collect(),
        }
    }
}

/// What a replay does.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayView {
    /// How many events are sent again; `null` if that is not known yet.
    pub events: Option<usize>,
}

pub(crate) fn subscription_id(text: &str) -> Result<SubscriptionId, ApiError> {
    let id = text.parse().map(SubscriptionId);
    id.map_err(|_| missing("no_such_subscription", "a subscription id is a UUID"))
}

/// Make a subscription
///
/// Every event is sent to its URL as `application/cloudevents+json`, signed by
/// the Standard Webhooks convention, until it is answered 2xx.
#[utoipa::path(
    post,
    path = "/api/v1/subscriptions",
    operation_id = "add_subscription",
    tag = "subscriptions",
    request_body = SubscriptionRequest,
    responses(
        (status = 201, body = IssuedSubscriptionView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn add(
    operator: web::Data<Operator>,
    request: Body<SubscriptionRequest>,
) -> Result<HttpResponse, ApiError> {
    let description = Description::parse(request.description.as_deref().unwrap_or_default());
    let new = NewSubscription {
        url: valid("url", TargetUrl::parse(&request.url))?,
        filter: EventFilter {
            channels: channels(request.channels.as_deref())?,
            types: types(request.types.as_deref())?,
        },
        reveal: request.reveal,
        description: valid("description", description)?,
        secret: secret(request.secret.as_deref())?,
        from: start(
            &operator,
            request.after.as_deref(),
            request.since.as_deref(),
        )
        .await?,
    };
    let (subscription, secret) = operator.run(operator.state.subscriptions.add(new)).await?;
    Ok(HttpResponse::Created()
        .insert_header((
            header::LOCATION,
            format!("/api/v1/subscriptions/{}", subscription.id),
        ))
        .json(IssuedSubscriptionView::new(&subscription, &secret)))
}

/// List subscriptions
#[utoipa::path(
    get,
    path = "/api/v1/subscriptions",
    operation_id = "list_subscriptions",
    tag = "subscriptions",
    responses(
        (status = 200, body = SubscriptionList),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn list(operator: web::Data<Operator>) -> Result<HttpResponse, ApiError> {
    let all = operator.run(operator.state.subscriptions.list()).await?;
    Ok(HttpResponse::Ok().json(SubscriptionList::new(&all)))
}

/// Show a subscription, and how far it is behind
#[utoipa::path(
    get,
    path = "/api/v1/subscriptions/{subscription}",
    operation_id = "show_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses(
        (status = 200, body = SubscriptionDetailView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn show(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = subscription_id(&path)?;
    let subscriptions = &operator.state.subscriptions;
    let status = operator.run(subscriptions.find(id)).await?;
    let lag = operator.run(subscriptions.lag(&status)).await?;
    let rates = operator.run(subscriptions.rates(id)).await?;
    Ok(HttpResponse::Ok().json(SubscriptionDetailView::new(&status, &lag, &rates)))
}

/// Change a subscription
#[utoipa::path(
    patch,
    path = "/api/v1/subscriptions/{subscription}",
    operation_id = "change_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    request_body = SubscriptionPatch,
    responses(
        (status = 200, body = SubscriptionView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn change(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    wanted: Body<SubscriptionPatch>,
) -> Result<HttpResponse, ApiError> {
    let id = subscription_id(&path)?;
    let before = operator.run(operator.state.subscriptions.find(id)).await?;
    let mut filter = before.subscription.filter;
    if wanted.channels.is_some() {
        filter.channels = channels(wanted.channels.as_deref())?;
    }
    if wanted.types.is_some() {
        filter.types = types(wanted.types.as_deref())?;
    }
    let description = wanted.description.as_deref().map(Description::parse);
    let url = wanted.url.as_deref().map(TargetUrl::parse);
    let changes = SubscriptionChanges {
        url: valid("url", url.transpose())?,
        filter: Some(filter),
        reveal: wanted.reveal,
        description: valid("description", description.transpose())?,
        // The filter was put together from what was just read.
        version: wanted
            .version
            .map(|Whole(version)| version)
            .or(Some(before.subscription.version)),
    };
    let change = operator.state.subscriptions.change(id, changes);
    operator.run(change).await?;
    let after = operator.run(operator.state.subscriptions.find(id)).await?;
    Ok(HttpResponse::Ok().json(SubscriptionView::of_status(&after)))
}

/// Remove a subscription and its deliveries
#[utoipa::path(
    delete,
    path = "/api/v1/subscriptions/{subscription}",
    operation_id = "remove_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses(
        (status = 204),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn remove(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = subscription_id(&path)?;
    operator
        .run(operator.state.subscriptions.remove(id))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Send nothing more for the time being; the log keeps the events
#[utoipa::path(
    post,
    path = "/api/v1/subscriptions/{subscription}/pause",
    operation_id = "pause_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses(
        (status = 200, body = SubscriptionView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn pause(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = subscription_id(&path)?;
    let paused = operator.run(operator.state.subscriptions.pause(id)).await?;
    Ok(HttpResponse::Ok().json(SubscriptionView::new(&paused)))
}

/// Go on from where it stands, whatever it was paused or ended for
#[utoipa::path(
    post,
    path = "/api/v1/subscriptions/{subscription}/resume",
    operation_id = "resume_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses(
        (status = 200, body = SubscriptionView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn resume(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = subscription_id(&path)?;
    let resumed = operator
        .run(operator.state.subscriptions.resume(id))
        .await?;
    Ok(HttpResponse::Ok().json(SubscriptionView::new(&resumed.subscription)))
}

/// Replace the signing secret; the old one goes on signing for a while
#[utoipa::path(
    post,
    path = "/api/v1/subscriptions/{subscription}/secret",
    operation_id = "rotate_secret",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    request_body = RotateRequest,
    responses(
        (status = 200, body = IssuedSubscriptionView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn rotate(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    request: Body<RotateRequest>,
) -> Result<HttpResponse, ApiError> {
    let id = subscription_id(&path)?;
    let overlap = match request.overlap_hours {
        None => OVERLAP,
        Some(Whole(hours)) => {
            let hours = u16::try_from(hours).ok();
            let hours = hours.filter(|hours| *hours <= OVERLAP_HOURS_MAX);
            let expected = "overlap_hours is a whole number from 0 to 720";
            Duration::from_hours(u64::from(valid("overlap_hours", hours.ok_or(expected))?))
        }
    };
    let secret = secret(request.secret.as_deref())?;
    let subscriptions = &operator.state.subscriptions;
    let rotating = subscriptions.rotate(id, secret, overlap, request.end_previous);
    let (subscription, secret) = operator.run(rotating).await?;
    Ok(HttpResponse::Ok().json(IssuedSubscriptionView::new(&subscription, &secret)))
}

/// Send a made-up event now, and say what the target did
#[utoipa::path(
    post,
    path = "/api/v1/subscriptions/{subscription}/test",
    operation_id = "test_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses(
        (status = 200, body = TestView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn test(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = subscription_id(&path)?;
    let outcome = operator.run(operator.state.subscriptions.test(id)).await?;
    Ok(HttpResponse::Ok().json(TestView::new(&outcome)))
}

/// Send events again, with the same ids
///
/// From a position or a time on the subscription goes back and sends everything
/// from there; of one message, just its events. Nothing is ever passed by: one
/// that has not come to the position yet stays where it is.
#[utoipa::path(
    post,
    path = "/api/v1/subscriptions/{subscription}/replay",
    operation_id = "replay_events",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    request_body = ReplayRequest,
    responses(
        (status = 202, body = ReplayView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn replay(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    request: Body<ReplayRequest>,
) -> Result<HttpResponse, ApiError> {
    let id = subscription_id(&path)?;
    let (after, since) = (request.after.as_deref(), request.since.as_deref());
    if after == Some("latest") {
        let nothing = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "nothing_to_replay",
            "there is nothing behind latest to be sent again",
        );
        return Err(ApiError::Problem(nothing.of("after")));
    }
    let from = match (&request.message, start(&operator, after, since).await?) {
        (Some(_), Some(_)) => {
            let expected = "a message is replayed whole, without after and since";
            return valid("message", Err(expected));
        }
        (Some(message), None) => ReplayFrom::Message(message_key(message)?),
        (None, Some(position)) => ReplayFrom::Position(position),
        (None, None) => {
            return valid(
                "after",
                Err("one of after, since and message says from where"),
            );
        }
    };
    let replaying = operator.state.subscriptions.replay(id, from);
    let events = operator.run(replaying).await?;
    Ok(HttpResponse::Accepted().json(ReplayView { events }))
}
