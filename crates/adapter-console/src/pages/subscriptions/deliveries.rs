//! The deliveries of a subscription, and retrying them.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::access::{AuditAction, Permission};
use domain::delivery::DeliveryFilter;
use domain::page::PageSize;
use domain::{Delivery, DeliveryKey, DeliveryState, EventType, SubscriptionId, Timestamp};

use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::html::Html;
use crate::number::count;
use crate::page;
use crate::pages::messages;
use crate::status::delivery_chip;
use crate::time::Times;
use crate::visit::Visit;

/// Pages of deliveries that are counted at most.
const MAX_COUNTED_PAGES: usize = 10;

/// A delivery.
pub(crate) struct DeliveryRow {
    pub(crate) event: &'static str,
    pub(crate) message: String,
    pub(crate) message_path: String,
    pub(crate) state: Html,
    pub(crate) attempts: u32,
    pub(crate) error: Option<String>,
    pub(crate) created: Html,
    pub(crate) next: Option<Html>,
    pub(crate) retry_path: Option<String>,
}

/// Reads which deliveries are listed.
pub(super) fn filter(id: SubscriptionId, fields: &Fields) -> Result<DeliveryFilter, PageError> {
    let invalid = |error: &dyn std::fmt::Display| PageError::Invalid(error.to_string());
    let state = fields.get("state").map(str::parse::<DeliveryState>);
    let event_type = fields.get("type").map(str::parse::<EventType>);
    Ok(DeliveryFilter {
        state: state.transpose().map_err(|error| invalid(&error))?,
        event_type: event_type.transpose().map_err(|error| invalid(&error))?,
        ..DeliveryFilter::of(id)
    })
}

pub(super) fn row(visit: &Visit, delivery: &Delivery, may_change: bool) -> DeliveryRow {
    let times = &visit.times;
    let retriable = match delivery.state {
        DeliveryState::Dead => delivery.body.is_some(),
        DeliveryState::Retrying => delivery
            .next_attempt_at
            .is_some_and(|next| next > times.now()),
        DeliveryState::Delivered | DeliveryState::Waiting => false,
    };
    let last_error = delivery.attempts.last_error();
    DeliveryRow {
        event: delivery.event_type.as_str(),
        message: delivery.message.sid.to_string(),
        message_path: messages::path(&delivery.message),
        state: delivery_chip(delivery.state),
        attempts: delivery.attempts.count(),
        error: last_error
            .and_then(|attempt| attempt.error.as_ref())
            .map(ToString::to_string),
        created: times.clock(delivery.created_at),
        next: delivery
            .next_attempt_at
            .map(|next| next_attempt(times, next)),
        retry_path: (retriable && may_change)
            .then(|| format!("/console/deliveries/{}/retry", delivery.key)),
    }
}

/// Says when a delivery is attempted next.
fn next_attempt(times: &Times, next: Timestamp) -> Html {
    if next <= times.now() {
        return Html::trusted("due now");
    }
    Html::trusted(format!("next attempt {}", times.relative(next)))
}

/// Counts the deliveries that a filter passes, up to a maximum; says so if there are more.
pub(super) async fn count_matching(
    console: &Console,
    filter: &DeliveryFilter,
) -> Result<String, PageError> {
    let (mut total, mut after) = (0_u64, None);
    for _ in 0..MAX_COUNTED_PAGES {
        let page = console
            .state
            .subscriptions
            .deliveries(filter, after, PageSize::MAX);
        let page = console.run(page).await?;
        total += u64::try_from(page.items.len()).unwrap_or_default();
        after = page.next;
        if after.is_none() {
            return Ok(count(total, "dead letter", "dead letters"));
        }
    }
    Ok(format!(
        "at least {}",
        count(total, "dead letter", "dead letters")
    ))
}

/// Retries all dead letters that the filter in the form passes.
pub(crate) async fn retry_all(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    let filter = DeliveryFilter {
        state: Some(DeliveryState::Dead),
        ..filter(id, &form.0)?
    };
    let retried = console
        .run(console.state.subscriptions.retry_all(&filter))
        .await?;
    let details = count(retried, "dead letter", "dead letters");
    let object = id.to_string();
    console
        .audit(&visit, AuditAction::DeliveryRetry, &object, &details)
        .await;
    let path = super::path(id);
    Ok(page::redirect(&format!("{path}?done=deliveries-retried")))
}

/// Retries one delivery now.
pub(crate) async fn retry(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let missing = |_| PageError::NotFound("such delivery".to_owned());
    let key: DeliveryKey = path.parse().map_err(missing)?;
    console.run(console.state.subscriptions.retry(key)).await?;
    console
        .audit(&visit, AuditAction::DeliveryRetry, &key.to_string(), "")
        .await;
    let path = super::path(key.subscription);
    Ok(page::redirect(&format!("{path}?done=delivery-retried")))
}
