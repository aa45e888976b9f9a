//! The form that changes a channel, and enabling, disabling and removing it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::access::{AuditAction, Permission};
use domain::crypto::SigningTokens;
use domain::webhook::TargetUrl;
use domain::{Address, Channel, ChannelName, PublicUrl, RetentionDays};
use usecases::channels::manage::{ChannelChanges, ManageError};

use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form, FormErrors};
use crate::form::{FormView, changed_names};
use crate::page::{self, Page, Section};
use crate::visit::Visit;

/// A sender that is on the list.
struct SenderRow {
    place: usize,
    masked: String,
}

#[derive(Template)]
#[template(path = "channels/edit.html")]
struct EditPage {
    page: Page,
    form: FormView,
    path: String,
    name: String,
    senders: Vec<SenderRow>,
    signed: bool,
    /// Where requests are forwarded to, if anywhere.
    forward_url: Option<String>,
    /// Whether the operator may decide where.
    may_forward: bool,
    version: i64,
}

/// Shows the form.
pub(crate) async fn show(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::channel_id(&path)?;
    let found = console.run(console.state.channels.show(&id)).await?;
    let channel = &found.channel;
    let days = channel
        .keep_messages_days
        .map(|days| days.get().to_string());
    let url = channel
        .public_url
        .as_ref()
        .map(PublicUrl::without_credentials);
    let fields = Fields::default()
        .with("name", Some(channel.name.as_str()))
        .with("public_url", url.as_deref())
        .with("keep_messages_days", days.as_deref());
    page::show(&edit_page(&visit, channel, FormView::with(fields)))
}

fn edit_page(visit: &Visit, channel: &Channel, form: FormView) -> EditPage {
    let senders = channel.senders.iter().enumerate();
    let row = |(place, sender): (usize, &Address)| SenderRow {
        place,
        masked: sender.to_string(),
    };
    EditPage {
        page: visit.page(format!("Edit {}", channel.name), Section::Channels),
        form,
        path: super::path(&channel.id),
        name: channel.name.to_string(),
        senders: senders.map(row).collect(),
        signed: channel.signing_token.is_some(),
        forward_url: channel.forward_url.as_ref().map(ToString::to_string),
        may_forward: visit.viewer.may(Permission::Reveal),
        version: channel.version,
    }
}

/// Changes the settings of a channel.
pub(crate) async fn change(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::channel_id(&path)?;
    let manage = &console.state.channels;
    let channel = console.run(manage.show(&id)).await?.channel;
    let mut form = FormView::with(form.0);
    let may_reveal = visit.viewer.may(Permission::Reveal);
    let Some(changes) = parse(&mut form, &channel, may_reveal) else {
        let template = edit_page(&visit, &channel, form);
        return page::show_as(StatusCode::BAD_REQUEST, &template);
    };
    // The senders combine the form with the version that was just read.
    let changes = changes.based_on(&channel)?;
    let details = changed_fields(&changes, &channel);
    match console.run(manage.update(&id, changes)).await {
        Ok(_) => {
            console.channels_changed().await;
            console
                .audit(&visit, AuditAction::ChannelChange, id.as_str(), &details)
                .await;
            let path = super::path(&id);
            Ok(page::redirect(&format!("{path}?done=channel-changed")))
        }
        Err(
            error @ (ManageError::OtherReportPath(_)
            | ManageError::NothingToForward(_)
            | ManageError::PrivateForwardUrl(_)
            | ManageError::NoSignatures(_)
            | ManageError::SignatureRequired(_)),
        ) => {
            form.errors.add(field_of(&error), error.to_string());
            let template = edit_page(&visit, &channel, form);
            page::show_as(StatusCode::BAD_REQUEST, &template)
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the field whose value was refused.
pub(super) const fn field_of(error: &ManageError) -> &'static str {
    match error {
        ManageError::ChannelExists(_) => "id",
        ManageError::OtherReportPath(_) => "public_url",
        ManageError::NothingToForward(_) | ManageError::PrivateForwardUrl(_) => "forward_url",
        ManageError::NoSignatures(_) | ManageError::SignatureRequired(_) => "signing_token",
        _ => "integrator",
    }
}

fn parse(form: &mut FormView, channel: &Channel, may_reveal: bool) -> Option<ChannelChanges> {
    let FormView { fields, errors } = form;
    let name = errors.check("name", ChannelName::parse(fields.text("name").trim()));
    let added = senders(fields.text("senders"), errors);
    let kept = channel.senders.iter().enumerate().filter(|(place, _)| {
        let place = place.to_string();
        fields.all("keep").any(|kept| kept == place)
    });
    let mut senders: Vec<_> = kept.map(|(_, sender)| sender.clone()).collect();
    for sender in added? {
        if !senders.contains(&sender) {
            senders.push(sender);
        }
    }
    let token = signing_token(fields, errors);
    let signing_token = match token {
        Some(token) => Some(Some(token)),
        None => fields.ticked("unsigned").then_some(None),
    };
    let url = optional_url(fields, errors);
    let shown = channel
        .public_url
        .as_ref()
        .map(PublicUrl::without_credentials);
    // The form shows a stored URL without its credentials; it is changed only if the text is.
    let is_same = fields.get("public_url") == shown.as_deref();
    let keep = retention(fields, errors);
    let forward_url = match forward_url(fields, errors) {
        Some(url) => Some(Some(url)),
        None => fields.ticked("unforwarded").then_some(None),
    };
    let version = fields
        .get("version")
        .and_then(|version| version.parse().ok());
    let changes = ChannelChanges {
        name,
        enabled: None,
        senders: Some(senders),
        public_url: (!is_same).then_some(url),
        signing_token,
        keep_messages_days: Some(keep),
        forward_url,
        version,
        may_reveal,
    };
    errors.is_empty().then_some(changes)
}

/// Returns the names of the settings that differ, for the audit log.
fn changed_fields(changes: &ChannelChanges, channel: &Channel) -> String {
    let differs = [
        (
            "name",
            changes.name.as_ref().is_some_and(|it| *it != channel.name),
        ),
        (
            "senders",
            changes
                .senders
                .as_ref()
                .is_some_and(|it| *it != channel.senders),
        ),
        ("public URL", changes.public_url.is_some()),
        ("signature token", changes.signing_token.is_some()),
        (
            "retention",
            changes
                .keep_messages_days
                .is_some_and(|it| it != channel.keep_messages_days),
        ),
        (
            "forward URL",
            changes
                .forward_url
                .as_ref()
                .is_some_and(|it| *it != channel.forward_url),
        ),
    ];
    changed_names(&differs)
}

/// Switches a channel on.
pub(crate) async fn enable(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    switch(&console, &visit, &path, true).await
}

/// Switches a channel off.
pub(crate) async fn disable(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    switch(&console, &visit, &path, false).await
}

async fn switch(
    console: &Console,
    visit: &Visit,
    path: &str,
    enabled: bool,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::channel_id(path)?;
    let changes = ChannelChanges {
        enabled: Some(enabled),
        ..ChannelChanges::default()
    };
    console
        .run(console.state.channels.update(&id, changes))
        .await?;
    console.channels_changed().await;
    let word = if enabled { "enabled" } else { "disabled" };
    console
        .audit(visit, AuditAction::ChannelChange, id.as_str(), word)
        .await;
    let path = super::path(&id);
    Ok(page::redirect(&format!("{path}?done=channel-{word}")))
}

/// Removes a channel and its credentials.
pub(crate) async fn remove(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::channel_id(&path)?;
    console.run(console.state.channels.remove(&id)).await?;
    console.channels_changed().await;
    console
        .audit(&visit, AuditAction::ChannelRemove, id.as_str(), "")
        .await;
    Ok(page::redirect("/console/channels?done=channel-removed"))
}

/// Parses one sender for each line.
pub(super) fn senders(text: &str, errors: &mut FormErrors) -> Option<Vec<Address>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let senders: Result<Vec<_>, _> = lines.map(Address::parse_sender).collect();
    errors.check("senders", senders)
}

/// Parses the public URL of a channel, if it has one of its own.
pub(super) fn optional_url(fields: &Fields, errors: &mut FormErrors) -> Option<PublicUrl> {
    let url = fields.get("public_url")?;
    errors.check("public_url", PublicUrl::parse(url))
}

/// Parses the forward URL, if one was entered.
pub(super) fn forward_url(fields: &Fields, errors: &mut FormErrors) -> Option<TargetUrl> {
    let url = fields.get("forward_url")?;
    errors.check("forward_url", TargetUrl::parse(url.trim()))
}

/// Parses the signing tokens, if any were entered.
pub(super) fn signing_token(fields: &Fields, errors: &mut FormErrors) -> Option<SigningTokens> {
    let token = fields.get("signing_token")?;
    errors.check("signing_token", SigningTokens::parse(token))
}

/// Parses the days that messages are kept, if they differ from the server's.
pub(super) fn retention(fields: &Fields, errors: &mut FormErrors) -> Option<RetentionDays> {
    let days = fields.get("keep_messages_days")?;
    let days = RetentionDays::new(days.parse().unwrap_or_default());
    errors.check("keep_messages_days", days)
}
