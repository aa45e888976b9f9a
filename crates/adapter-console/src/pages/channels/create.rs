//! The form that adds a channel.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use domain::access::{AuditAction, Permission};
use domain::{Address, ChannelId, ChannelName, IntegratorName, WebhookUser};
use usecases::channels::manage::{ManageError, NewChannel, NewCredential};

use super::change::{field_of, forward_url, optional_url, retention, senders, signing_token};
use super::credentials;
use crate::console::Console;
use crate::error::PageError;
use crate::fields::Form;
use crate::form::FormView;
use crate::page::{self, Choice, Page, Section};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "channels/new.html")]
struct NewChannelPage {
    page: Page,
    form: FormView,
    integrators: Vec<Choice>,
    /// Whether the operator may decide where requests are forwarded to.
    may_forward: bool,
}

/// Shows the form.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    page::show(&new_page(&console, &visit, FormView::default()))
}

fn new_page(console: &Console, visit: &Visit, form: FormView) -> NewChannelPage {
    let chosen = form.fields.get("integrator").map(str::to_owned);
    let integrators = console.state.channels.integrators().iter();
    let choice = |name: &IntegratorName| Choice {
        value: name.to_string(),
        word: name.title().to_owned(),
        chosen: chosen.as_deref() == Some(name.as_str()),
    };
    NewChannelPage {
        page: visit.page("New channel", Section::Channels),
        integrators: integrators.map(|each| choice(each.name())).collect(),
        may_forward: visit.viewer.may(Permission::Reveal),
        form,
    }
}

/// Adds a channel and shows its password, only this once.
pub(crate) async fn create(
    console: Data<Console>,
    visit: Visit,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let mut form = FormView::with(form.0);
    let may_reveal = visit.viewer.may(Permission::Reveal);
    let Some(new) = parse(&mut form, may_reveal) else {
        let template = new_page(&console, &visit, form);
        return page::show_as(StatusCode::BAD_REQUEST, &template);
    };
    match console.run(console.state.channels.add(new)).await {
        Ok((channel, issued)) => {
            console.channels_changed().await;
            let id = channel.id.as_str();
            console
                .audit(&visit, AuditAction::ChannelAdd, id, channel.name.as_str())
                .await;
            credentials::show_issued(&visit, &channel, &issued, true)
        }
        Err(error @ (ManageError::Store(_) | ManageError::RevealRequired)) => Err(error.into()),
        Err(error) => {
            form.errors.add(field_of(&error), error.to_string());
            let template = new_page(&console, &visit, form);
            page::show_as(StatusCode::CONFLICT, &template)
        }
    }
}

fn parse(form: &mut FormView, may_reveal: bool) -> Option<NewChannel> {
    let FormView { fields, errors } = form;
    let id = errors.check("id", ChannelId::parse(fields.text("id").trim()));
    let name = errors.check("name", ChannelName::parse(fields.text("name").trim()));
    let integrator = IntegratorName::parse(fields.text("integrator"));
    let integrator = errors.check("integrator", integrator);
    let user = errors.check("user", WebhookUser::parse(fields.text("user").trim()));
    let senders: Option<Vec<Address>> = senders(fields.text("senders"), errors);
    let public_url = optional_url(fields, errors);
    let token = signing_token(fields, errors);
    let keep = retention(fields, errors);
    let forward_url = forward_url(fields, errors);
    let new = NewChannel {
        id: id?,
        integrator: integrator?,
        name: name?,
        senders: senders?,
        public_url,
        signing_token: token,
        keep_messages_days: keep,
        forward_url,
        credential: NewCredential {
            user: user?,
            password: None,
            label: Some("first".to_owned()),
            expires_at: None,
        },
        may_reveal,
    };
    errors.is_empty().then_some(new)
}
