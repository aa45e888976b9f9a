//! The form that adds a subscription.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use domain::access::{AuditAction, Permission};
use domain::subscription::Description;
use domain::webhook::TargetUrl;
use domain::{ChannelId, EventFilter};
use ports::ChannelWithCredentials;
use usecases::subscriptions::{NewSubscription, SubscriptionError};

use super::secrets;
use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::form::FormView;
use crate::page::{self, Choice, Page, Section};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "subscriptions/new.html")]
struct NewSubscriptionPage {
    page: Page,
    form: FormView,
    types: Vec<Choice>,
    channels: Vec<Choice>,
}

/// Shows the form.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let channels = console.channels().await?;
    page::show(&new_page(&visit, &channels, FormView::default()))
}

fn new_page(
    visit: &Visit,
    channels: &[ChannelWithCredentials],
    form: FormView,
) -> NewSubscriptionPage {
    NewSubscriptionPage {
        page: visit.page("New subscription", Section::Subscriptions),
        types: type_choices(&form.fields),
        channels: channel_choices(&form.fields, channels),
        form,
    }
}

/// Adds a subscription and shows its signing secret, only this once.
pub(crate) async fn create(
    console: Data<Console>,
    visit: Visit,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let mut form = FormView::with(form.0);
    let channels = console.channels().await?;
    let may_reveal = visit.viewer.may(Permission::Reveal);
    let Some(new) = parse(&mut form, may_reveal) else {
        let template = new_page(&visit, &channels, form);
        return page::show_as(StatusCode::BAD_REQUEST, &template);
    };
    match console.run(console.state.subscriptions.add(new)).await {
        Ok((subscription, secret)) => {
            let id = subscription.id.to_string();
            let url = subscription.url.to_string();
            console
                .audit(&visit, AuditAction::SubscriptionAdd, &id, &url)
                .await;
            secrets::show_secret(&visit, &subscription, &secret, true)
        }
        Err(error @ SubscriptionError::PrivateTarget(_)) => {
            form.errors.add("url", private_target(&error));
            let template = new_page(&visit, &channels, form);
            page::show_as(StatusCode::BAD_REQUEST, &template)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse(form: &mut FormView, may_reveal: bool) -> Option<NewSubscription> {
    let FormView { fields, errors } = form;
    let url = errors.check("url", TargetUrl::parse(fields.text("url").trim()));
    let description = Description::parse(fields.text("description").trim());
    let description = errors.check("description", description);
    let filter = errors.check("type", filter(fields));
    Some(NewSubscription {
        url: url?,
        filter: filter?,
        reveal: fields.ticked("reveal"),
        description: description?,
        secret: None,
        from: None,
        may_reveal,
    })
}

/// Returns the types of events to tick.
pub(super) fn type_choices(fields: &Fields) -> Vec<Choice> {
    let choice = |name: &str| Choice {
        value: name.to_owned(),
        word: name.to_owned(),
        chosen: fields.all("type").any(|each| each == name),
    };
    EventFilter::all_type_names()
        .into_iter()
        .map(choice)
        .collect()
}

/// Returns the channels to tick.
pub(super) fn channel_choices(fields: &Fields, channels: &[ChannelWithCredentials]) -> Vec<Choice> {
    let choice = |each: &ChannelWithCredentials| {
        let id = each.channel.id.as_str();
        Choice {
            value: id.to_owned(),
            word: each.channel.name.to_string(),
            chosen: fields.all("channel").any(|each| each == id),
        }
    };
    channels.iter().map(choice).collect()
}

/// Says why an endpoint is refused and how to allow it.
pub(super) fn private_target(error: &SubscriptionError) -> String {
    format!("{error}; to allow it, set RECEIPTD_PUSH_PRIVATE_TARGETS=true")
}

/// Reads which events are sent: all message events unless some types or channels are ticked.
pub(super) fn filter(fields: &Fields) -> Result<EventFilter, String> {
    let channels: Result<_, _> = fields.all("channel").map(ChannelId::parse).collect();
    let channels: std::collections::BTreeSet<_> = channels.map_err(|error| error.to_string())?;
    let mut filter = EventFilter {
        channels: (!channels.is_empty()).then_some(channels),
        ..EventFilter::default()
    };
    if fields.get("type").is_some() {
        let types = filter.set_types(fields.all("type"));
        types.map_err(|error| error.to_string())?;
    }
    Ok(filter)
}
