//! The form that changes a subscription.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::Subscription;
use domain::access::{AuditAction, Permission};
use domain::subscription::Description;
use domain::webhook::TargetUrl;
use ports::ChannelWithCredentials;
use usecases::subscriptions::{SubscriptionChanges, SubscriptionError};

use super::create::{channel_choices, filter, private_target, type_choices};
use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::form::{FormView, changed_names};
use crate::page::{self, Choice, Page, Section};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "subscriptions/edit.html")]
struct EditPage {
    page: Page,
    form: FormView,
    path: String,
    label: String,
    url: String,
    version: i64,
    types: Vec<Choice>,
    channels: Vec<Choice>,
}

/// Shows the form.
pub(crate) async fn show(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    let found = console.run(console.state.subscriptions.find(id)).await?;
    let subscription = &found.subscription;
    let mut fields = Fields::default()
        .with("description", Some(subscription.description.as_str()))
        .with("reveal", subscription.reveal.then_some("1"));
    for name in subscription.filter.type_names().unwrap_or_default() {
        fields = fields.and("type", name);
    }
    for channel in subscription.filter.channels.iter().flatten() {
        fields = fields.and("channel", channel.as_str());
    }
    let channels = console.channels().await?;
    let form = FormView::with(fields);
    page::show(&edit_page(&visit, subscription, &channels, form))
}

fn edit_page(
    visit: &Visit,
    subscription: &Subscription,
    channels: &[ChannelWithCredentials],
    form: FormView,
) -> EditPage {
    let label = super::label(subscription);
    EditPage {
        page: visit.page(format!("Edit {label}"), Section::Subscriptions),
        path: super::path(subscription.id),
        label,
        url: subscription.url.to_string(),
        version: subscription.version,
        types: type_choices(&form.fields),
        channels: channel_choices(&form.fields, channels),
        form,
    }
}

/// Changes a subscription.
pub(crate) async fn change(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::subscription_id(&path)?;
    let subscriptions = &console.state.subscriptions;
    let subscription = console.run(subscriptions.find(id)).await?.subscription;
    let mut form = FormView::with(form.0);
    let channels = console.channels().await?;
    let may_reveal = visit.viewer.may(Permission::Reveal);
    let Some(changes) = parse(&mut form, may_reveal) else {
        let template = edit_page(&visit, &subscription, &channels, form);
        return page::show_as(StatusCode::BAD_REQUEST, &template);
    };
    let changes = changes.based_on(&subscription)?;
    let details = changed_fields(&changes, &subscription);
    match console.run(subscriptions.change(id, changes)).await {
        Ok(outcome) => {
            let object = id.to_string();
            console
                .audit(&visit, AuditAction::SubscriptionChange, &object, &details)
                .await;
            outcome.masked?;
            let path = super::path(id);
            Ok(page::redirect(&format!("{path}?done=subscription-changed")))
        }
        Err(error @ SubscriptionError::PrivateTarget(_)) => {
            form.errors.add("url", private_target(&error));
            let template = edit_page(&visit, &subscription, &channels, form);
            page::show_as(StatusCode::BAD_REQUEST, &template)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse(form: &mut FormView, may_reveal: bool) -> Option<SubscriptionChanges> {
    let FormView { fields, errors } = form;
    let url = fields.get("url").map(TargetUrl::parse).transpose();
    let url = errors.check("url", url).flatten();
    let description = Description::parse(fields.text("description").trim());
    let description = errors.check("description", description);
    let filter = errors.check("type", filter(fields));
    let changes = SubscriptionChanges {
        url,
        filter,
        reveal: Some(fields.ticked("reveal")),
        description,
        version: fields
            .get("version")
            .and_then(|version| version.parse().ok()),
        may_reveal,
    };
    errors.is_empty().then_some(changes)
}

/// Returns the names of the settings that differ, for the audit log.
fn changed_fields(changes: &SubscriptionChanges, before: &Subscription) -> String {
    let filter = changes.filter.as_ref();
    let differs = [
        (
            "url",
            changes.url.as_ref().is_some_and(|it| *it != before.url),
        ),
        (
            "channels",
            filter.is_some_and(|it| it.channels != before.filter.channels),
        ),
        (
            "types",
            filter.is_some_and(|it| it.type_names() != before.filter.type_names()),
        ),
        (
            "reveal",
            changes.reveal.is_some_and(|it| it != before.reveal),
        ),
        (
            "description",
            changes
                .description
                .as_ref()
                .is_some_and(|it| *it != before.description),
        ),
    ];
    changed_names(&differs)
}
