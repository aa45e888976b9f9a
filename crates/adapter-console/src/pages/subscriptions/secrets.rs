//! The signing secret of a subscription: shown once, and rotated.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::Subscription;
use domain::access::{AuditAction, Permission};
use domain::crypto::SigningSecret;
use usecases::subscriptions::DEFAULT_OVERLAP;

use crate::console::Console;
use crate::error::PageError;
use crate::fields::Form;
use crate::page::{self, Page, Section};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "subscriptions/secret.html")]
struct SecretPage {
    page: Page,
    path: String,
    label: String,
    secret: String,
    is_first: bool,
}

/// Shows a signing secret, which cannot be shown again.
pub(super) fn show_secret(
    visit: &Visit,
    subscription: &Subscription,
    secret: &SigningSecret,
    is_first: bool,
) -> Result<HttpResponse, PageError> {
    let path = super::path(subscription.id);
    let title = if is_first {
        "Subscription created"
    } else {
        "New signing secret"
    };
    page::show(&SecretPage {
        page: Page {
            back: path.clone(),
            ..visit.page(title, Section::Subscriptions)
        },
        path,
        label: super::label(subscription),
        secret: secret.reveal().to_string(),
        is_first,
    })
}

/// Replaces the signing secret. The replaced one signs for another day.
pub(crate) async fn rotate(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    let end_previous = form.0.ticked("end_previous");
    let subscriptions = &console.state.subscriptions;
    let rotated = subscriptions.rotate(id, None, DEFAULT_OVERLAP, end_previous);
    let (subscription, secret) = console.run(rotated).await?;
    let object = id.to_string();
    console
        .audit(&visit, AuditAction::SubscriptionRotateSecret, &object, "")
        .await;
    show_secret(&visit, &subscription, &secret, false)
}
