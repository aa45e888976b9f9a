//! Pausing, resuming, testing, replaying and removing a subscription.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::Timestamp;
use domain::access::{AuditAction, Permission};
use ports::error::error_chain;
use usecases::subscriptions::ReplayFrom;

use crate::console::Console;
use crate::error::PageError;
use crate::fields::Form;
use crate::page::{self, Page, Section};
use crate::time::duration;
use crate::visit::Visit;

const HOUR_MICROS: i64 = 3_600_000_000;

/// How far back a replay goes at most, in hours.
const MAX_REPLAY_HOURS: i64 = 24 * 90;

#[derive(Template)]
#[template(path = "subscriptions/tested.html")]
struct TestedPage {
    page: Page,
    path: String,
    label: String,
    delivered: bool,
    sentence: String,
    status: Option<u16>,
    excerpt: Option<String>,
    took: Option<String>,
}

/// Pauses a subscription.
pub(crate) async fn pause(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    console.run(console.state.subscriptions.pause(id)).await?;
    console
        .audit(&visit, AuditAction::SubscriptionPause, &id.to_string(), "")
        .await;
    let path = super::path(id);
    Ok(page::redirect(&format!("{path}?done=subscription-paused")))
}

/// Resumes a subscription.
pub(crate) async fn resume(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    let resumed = console.run(console.state.subscriptions.resume(id)).await?;
    console
        .audit(&visit, AuditAction::SubscriptionResume, &id.to_string(), "")
        .await;
    let done = if resumed.skipped {
        "subscription-skipped"
    } else {
        "subscription-resumed"
    };
    let path = super::path(id);
    Ok(page::redirect(&format!("{path}?done={done}")))
}

/// Removes a subscription and its deliveries.
pub(crate) async fn remove(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    console.run(console.state.subscriptions.remove(id)).await?;
    console
        .audit(&visit, AuditAction::SubscriptionRemove, &id.to_string(), "")
        .await;
    Ok(page::redirect(
        "/console/subscriptions?done=subscription-removed",
    ))
}

/// Sends the events of the last hours again.
pub(crate) async fn replay(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    let hours = form
        .0
        .get("hours")
        .and_then(|hours| hours.parse::<i64>().ok());
    let hours = hours.filter(|hours| (1..=MAX_REPLAY_HOURS).contains(hours));
    let expected =
        || PageError::Invalid(format!("a replay goes back 1 to {MAX_REPLAY_HOURS} hours"));
    let hours = hours.ok_or_else(expected)?;
    let from: Timestamp = visit.times.now().plus_micros(-hours * HOUR_MICROS);
    let replay = console
        .state
        .subscriptions
        .replay(id, ReplayFrom::Time(from));
    console.run(replay).await?;
    let details = format!("from {from}");
    let object = id.to_string();
    console
        .audit(&visit, AuditAction::SubscriptionReplay, &object, &details)
        .await;
    let path = super::path(id);
    Ok(page::redirect(&format!("{path}?done=replay-started")))
}

/// Sends a test event and shows the answer of the endpoint.
pub(crate) async fn test(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    let subscriptions = &console.state.subscriptions;
    let found = console.run(subscriptions.find(id)).await?;
    let result = console.run(subscriptions.test(id)).await?;
    console
        .audit(&visit, AuditAction::SubscriptionTest, &id.to_string(), "")
        .await;
    let (answer, took, sentence) = match &result {
        Ok(delivered) => (
            Some(&delivered.answer),
            Some(delivered.took),
            "The endpoint accepted the test event.".to_owned(),
        ),
        Err(error) => (
            error.answer(),
            None,
            format!(
                "The endpoint did not accept the test event: {}.",
                error_chain(error)
            ),
        ),
    };
    let took = took.map(|took| i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
    let excerpt = answer.map(|answer| answer.excerpt.as_str().to_owned());
    let path = super::path(id);
    page::show(&TestedPage {
        page: Page {
            back: path.clone(),
            ..visit.page("Test event", Section::Subscriptions)
        },
        path,
        label: super::label(&found.subscription),
        delivered: result.is_ok(),
        sentence,
        status: answer.map(|answer| answer.status),
        excerpt: excerpt.filter(|excerpt| !excerpt.is_empty()),
        took: took.map(duration),
    })
}
