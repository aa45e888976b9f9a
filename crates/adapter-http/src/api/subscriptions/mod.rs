//! Subscriptions: events delivered to webhooks.

pub mod deliveries;
pub mod request;
pub mod view;

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::access::Permission;
use domain::event::EventFilter;
use domain::subscription::Description;
use domain::webhook::TargetUrl;
use ports::subscriptions::SubscriptionStatus;
use serde::Serialize;
use usecases::subscriptions::{DEFAULT_OVERLAP, NewSubscription, ReplayFrom, SubscriptionChanges};
use utoipa::ToSchema;

use super::authorize::{Requester, note_changed, record_change};
use super::error::{ApiResult, invalid, valid};
use super::json_body::{Body, Whole};
use super::operator::Operator;
use super::path::subscription_id;
use super::position::start_position;
use crate::problem::Problem;
use request::{
    ReplayRequest, RotateRequest, SubscriptionPatch, SubscriptionRequest, channels, message_key,
    secret, set_types,
};
use view::{IssuedSubscriptionView, SubscriptionDetailView, SubscriptionView, TestView};

/// The longest time that a replaced secret also signs, in hours.
const MAX_OVERLAP_HOURS: u16 = 24 * 30;

/// All subscriptions.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriptionList {
    /// The subscriptions, oldest first.
    pub items: Vec<SubscriptionView>,
}

impl SubscriptionList {
    /// Shows all subscriptions.
    #[must_use]
    pub fn new(all: &[SubscriptionStatus]) -> Self {
        Self {
            items: all.iter().map(SubscriptionView::of_status).collect(),
        }
    }
}

/// The result of a replay.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayView {
    /// Events that are sent again; `null` if their number is not known yet.
    pub events: Option<usize>,
}

/// Add a subscription
///
/// Every event is sent to its URL as `application/cloudevents+json`, signed by the Standard
/// Webhooks convention, until it is answered 2xx.
#[utoipa::path(
    post, path = "/api/v1/subscriptions",
    operation_id = "add_subscription",
    tag = "subscriptions",
    request_body = SubscriptionRequest,
    responses((status = 201, body = IssuedSubscriptionView)),
)]
pub(crate) async fn add(
    operator: Data<Operator>,
    requester: Requester,
    request: Body<SubscriptionRequest>,
) -> ApiResult {
    let description = Description::parse(request.description.as_deref().unwrap_or_default());
    let (after, since) = (request.after.as_deref(), request.since.as_deref());
    let mut filter = EventFilter {
        channels: channels(request.channels.as_deref())?,
        ..EventFilter::default()
    };
    set_types(&mut filter, request.types.as_deref().unwrap_or_default())?;
    let new = NewSubscription {
        url: valid("url", TargetUrl::parse(&request.url))?,
        filter,
        reveal: request.reveal,
        description: valid("description", description)?,
        secret: secret(request.secret.as_deref())?,
        from: start_position(&operator, after, since).await?,
        may_reveal: requester.may(Permission::Reveal),
    };
    let (subscription, secret) = operator.run(operator.state.subscriptions.add(new)).await?;
    let location = format!("/api/v1/subscriptions/{}", subscription.id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(IssuedSubscriptionView::new(&subscription, &secret)))
}

/// List subscriptions
#[utoipa::path(
    get, path = "/api/v1/subscriptions",
    operation_id = "list_subscriptions",
    tag = "subscriptions",
    responses((status = 200, body = SubscriptionList)),
)]
pub(crate) async fn list(operator: Data<Operator>) -> ApiResult {
    let all = operator.run(operator.state.subscriptions.list()).await?;
    Ok(HttpResponse::Ok().json(SubscriptionList::new(&all)))
}

/// Show a subscription with its progress and statistics
#[utoipa::path(
    get, path = "/api/v1/subscriptions/{subscription}",
    operation_id = "show_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses((status = 200, body = SubscriptionDetailView)),
)]
pub(crate) async fn show(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = subscription_id(&path)?;
    let subscriptions = &operator.state.subscriptions;
    let status = operator.run(subscriptions.find(id)).await?;
    let lag = operator.run(subscriptions.lag(&status)).await?;
    let rates = operator.run(subscriptions.rates(id)).await?;
    let events = subscriptions.operator_events(&status.subscription);
    let events = operator.run(events).await?;
    let view = SubscriptionDetailView::new(&status, &lag, &rates, events.as_ref());
    Ok(HttpResponse::Ok().json(view))
}

/// Change a subscription
#[utoipa::path(
    patch, path = "/api/v1/subscriptions/{subscription}",
    operation_id = "change_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    request_body = SubscriptionPatch,
    responses((status = 200, body = SubscriptionView)),
)]
pub(crate) async fn change(
    operator: Data<Operator>,
    requester: Requester,
    http: HttpRequest,
    path: Path<String>,
    wanted: Body<SubscriptionPatch>,
) -> ApiResult {
    let id = subscription_id(&path)?;
    let before = operator.run(operator.state.subscriptions.find(id)).await?;
    let before = before.subscription;
    note_changed(&http, &wanted.changed());
    let mut filter = before.filter.clone();
    if wanted.channels.is_some() {
        filter.channels = channels(wanted.channels.as_deref())?;
    }
    if let Some(types) = &wanted.types {
        set_types(&mut filter, types)?;
    }
    let description = wanted.description.as_deref().map(Description::parse);
    let url = wanted.url.as_deref().map(TargetUrl::parse);
    let changes = SubscriptionChanges {
        url: valid("url", url.transpose())?,
        filter: Some(filter),
        reveal: wanted.reveal,
        description: valid("description", description.transpose())?,
        version: wanted.version.map(|Whole(version)| version),
        may_reveal: requester.may(Permission::Reveal),
    };
    // The filter combines the request with the version that was just read.
    let changes = changes.based_on(&before)?;
    let change = operator.state.subscriptions.change(id, changes);
    let outcome = operator.run(change).await?;
    record_change(&operator, &http).await;
    outcome.masked?;
    let after = operator.run(operator.state.subscriptions.find(id)).await?;
    Ok(HttpResponse::Ok().json(SubscriptionView::of_status(&after)))
}

/// Remove a subscription and its deliveries
#[utoipa::path(
    delete, path = "/api/v1/subscriptions/{subscription}",
    operation_id = "remove_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses((status = 204)),
)]
pub(crate) async fn remove(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = subscription_id(&path)?;
    operator
        .run(operator.state.subscriptions.remove(id))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Pause a subscription; its events stay in the log
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/pause",
    operation_id = "pause_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses((status = 200, body = SubscriptionView)),
)]
pub(crate) async fn pause(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = subscription_id(&path)?;
    let paused = operator.run(operator.state.subscriptions.pause(id)).await?;
    Ok(HttpResponse::Ok().json(SubscriptionView::new(&paused)))
}

/// Resume a paused or ended subscription at its position
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/resume",
    operation_id = "resume_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses((status = 200, body = SubscriptionView)),
)]
pub(crate) async fn resume(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = subscription_id(&path)?;
    let resumed = operator
        .run(operator.state.subscriptions.resume(id))
        .await?;
    Ok(HttpResponse::Ok().json(SubscriptionView::new(&resumed.subscription)))
}

/// Replace the signing secret; the old one also signs for a while
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/secret",
    operation_id = "rotate_secret",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    request_body = RotateRequest,
    responses((status = 200, body = IssuedSubscriptionView)),
)]
pub(crate) async fn rotate(
    operator: Data<Operator>,
    path: Path<String>,
    request: Body<RotateRequest>,
) -> ApiResult {
    let id = subscription_id(&path)?;
    let overlap = match request.overlap_hours {
        None => DEFAULT_OVERLAP,
        Some(Whole(hours)) => {
            let hours = u16::try_from(hours).ok();
            let hours = hours.filter(|hours| *hours <= MAX_OVERLAP_HOURS);
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

/// Send a test event now and return the endpoint's answer
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/test",
    operation_id = "test_subscription",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    responses((status = 200, body = TestView)),
)]
pub(crate) async fn test(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = subscription_id(&path)?;
    let outcome = operator.run(operator.state.subscriptions.test(id)).await?;
    Ok(HttpResponse::Ok().json(TestView::new(&outcome)))
}

/// Send events again, with the same ids
///
/// With a position or a time, the subscription moves back there and sends all events from there;
/// with a message, only its events are sent. A replay never skips events: a subscription that has
/// not reached the position yet is not moved.
#[utoipa::path(
    post, path = "/api/v1/subscriptions/{subscription}/replay",
    operation_id = "replay_events",
    tag = "subscriptions",
    params(("subscription" = String, Path, description = "The subscription id")),
    request_body = ReplayRequest,
    responses((status = 202, body = ReplayView)),
)]
pub(crate) async fn replay(
    operator: Data<Operator>,
    path: Path<String>,
    request: Body<ReplayRequest>,
) -> ApiResult {
    let id = subscription_id(&path)?;
    let (after, since) = (request.after.as_deref(), request.since.as_deref());
    if after == Some("latest") {
        let nothing = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "nothing_to_replay",
            "there are no events after latest to send again",
        );
        return Err(nothing.of("after").into());
    }
    let from = match (
        &request.message,
        start_position(&operator, after, since).await?,
    ) {
        (Some(_), Some(_)) => {
            return Err(invalid("message", "give a message without after and since"));
        }
        (Some(message), None) => ReplayFrom::Message(message_key(message)?),
        (None, Some(position)) => ReplayFrom::Position(position),
        (None, None) => {
            return Err(invalid("after", "give one of after, since and message"));
        }
    };
    let replaying = operator.state.subscriptions.replay(id, from);
    let events = operator.run(replaying).await?;
    Ok(HttpResponse::Accepted().json(ReplayView { events }))
}
