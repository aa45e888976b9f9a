//! The form that adds a subscription.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use domain::access::{AuditAction, Permission};
use domain::subscription::Description;
use domain::webhook::TargetUrl;
use domain::{ChannelId, EventFilter, EventType};
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
    let ticked = |name: &str, value: &str| form.fields.all(name).any(|each| each == value);
    let types = EventType::ALL.into_iter().map(|event_type| Choice {
        value: event_type.as_str().to_owned(),
        word: event_type.as_str().to_owned(),
        chosen: ticked("type", event_type.as_str()),
    });
    let channels = channels.iter().map(|each| Choice {
        value: each.channel.id.to_string(),
        word: each.channel.name.to_string(),
        chosen: ticked("channel", each.channel.id.as_str()),
    });
    NewSubscriptionPage {
        page: visit.page("New subscription", Section::Subscriptions),
        types: types.collect(),
        channels: channels.collect(),
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
    if form.fields.ticked("reveal") {
        visit.require(Permission::Reveal)?;
    }
    let channels = console.channels().await?;
    let Some(new) = parse(&mut form) else {
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
            let allow = "to allow it, set RECEIPTD_PUSH_PRIVATE_TARGETS=true";
            form.errors.add("url", format!("{error}; {allow}"));
            let template = new_page(&visit, &channels, form);
            page::show_as(StatusCode::BAD_REQUEST, &template)
        }
        Err(error) => Err(error.into()),
    }
}

fn parse(form: &mut FormView) -> Option<NewSubscription> {
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
    })
}

/// Reads which events are sent: all unless some types or channels are ticked.
fn filter(fields: &Fields) -> Result<EventFilter, String> {
    let types: Result<_, _> = fields.all("type").map(str::parse::<EventType>).collect();
    let channels: Result<_, _> = fields.all("channel").map(ChannelId::parse).collect();
    let types: std::collections::BTreeSet<_> = types.map_err(|error| error.to_string())?;
    let channels: std::collections::BTreeSet<_> = channels.map_err(|error| error.to_string())?;
    Ok(EventFilter {
        channels: (!channels.is_empty()).then_some(channels),
        types: (!types.is_empty()).then_some(types),
    })
}
