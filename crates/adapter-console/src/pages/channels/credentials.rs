//! Credentials of a channel: making one, whose password is shown once, and removing one.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::access::{AuditAction, Permission};
use domain::{Channel, CredentialId};
use usecases::channels::manage::{IssuedCredential, NewCredential};

use crate::console::Console;
use crate::error::PageError;
use crate::html::{Html, with_code};
use crate::page::{self, Page, Section};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "channels/issued.html")]
struct IssuedPage {
    page: Page,
    path: String,
    name: String,
    integrator: String,
    user: String,
    password: String,
    callback_url: String,
    steps: Vec<Html>,
    is_first: bool,
}

/// Shows a new credential with its password, which cannot be shown again.
pub(super) fn show_issued(
    visit: &Visit,
    channel: &Channel,
    issued: &IssuedCredential,
    is_first: bool,
) -> Result<HttpResponse, PageError> {
    let path = super::path(&channel.id);
    let title = if is_first {
        "Channel created"
    } else {
        "New credential"
    };
    page::show(&IssuedPage {
        page: Page {
            back: path.clone(),
            ..visit.page(title, Section::Channels)
        },
        path,
        name: channel.name.to_string(),
        integrator: channel.integrator.title().to_owned(),
        user: issued.credential.user.to_string(),
        password: issued.password.reveal().to_owned(),
        callback_url: issued.callback_url.clone(),
        steps: issued
            .setup_steps
            .iter()
            .map(|step| with_code(step))
            .collect(),
        is_first,
    })
}

/// Makes a second credential with the user of the newest one.
pub(crate) async fn add(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::channel_id(&path)?;
    let manage = &console.state.channels;
    let found = console.run(manage.show(&id)).await?;
    let newest = found.credentials.last();
    let newest =
        newest.ok_or_else(|| PageError::Conflict("there is no user to keep".to_owned()))?;
    let new = NewCredential {
        user: newest.user.clone(),
        password: None,
        label: Some("replacement".to_owned()),
        expires_at: None,
    };
    let issued = console.run(manage.add_credential(&id, new)).await?;
    console.channels_changed().await;
    let credential = issued.credential.id.to_string();
    let audited = console.audit(&visit, AuditAction::CredentialAdd, id.as_str(), &credential);
    audited.await;
    show_issued(&visit, &found.channel, &issued, false)
}

/// Removes a credential.
pub(crate) async fn remove(
    console: Data<Console>,
    visit: Visit,
    path: Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let (channel, credential) = path.into_inner();
    let id = super::channel_id(&channel)?;
    let parsed = credential.parse().map(CredentialId);
    let missing = |_| PageError::NotFound("such credential".to_owned());
    let parsed = parsed.map_err(missing)?;
    let manage = &console.state.channels;
    console.run(manage.remove_credential(&id, parsed)).await?;
    console.channels_changed().await;
    let audited = console.audit(
        &visit,
        AuditAction::CredentialRemove,
        id.as_str(),
        &credential,
    );
    audited.await;
    let path = super::path(&id);
    Ok(page::redirect(&format!("{path}?done=credential-removed")))
}
