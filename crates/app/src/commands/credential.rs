//! Manages the credentials of a channel.

use std::io::Read as _;

use adapter_http::wire::{CredentialView, IssuedView};
use anyhow::{Context as _, Result};
use domain::{ChannelId, CredentialId, Password, Timestamp, WebhookUser};
use usecases::ManageChannels;
use usecases::channels::manage::{IssuedCredential, NewCredential};

use super::audit_trail;
use super::installation::with_stores;
use crate::cli::{CredentialArgs, CredentialCommand};
use crate::composition;
use crate::config::Settings;
use crate::{output, view};

pub async fn run(settings: &Settings, json: bool, command: CredentialCommand) -> Result<()> {
    if matches!(command, CredentialCommand::Add { .. }) {
        output::check_writable()?;
    }
    with_stores(settings, async |stores| {
        let secret = settings.server_secret()?;
        let manage = composition::manage_channels(stores, settings, secret, settings.public_url()?);
        match command {
            CredentialCommand::Add {
                channel,
                credential,
            } => add(&manage, json, &channel, credential).await,
            CredentialCommand::List { channel } => list(&manage, json, &channel).await,
            CredentialCommand::Remove { channel, id } => remove(&manage, &channel, &id).await,
        }
    })
    .await
}

async fn add(
    manage: &ManageChannels,
    json: bool,
    channel: &str,
    args: CredentialArgs,
) -> Result<()> {
    let channel = ChannelId::parse(channel)?;
    let is_own_password = args.password_stdin;
    let issued = manage
        .add_credential(&channel, new_credential(args)?)
        .await?;
    let id = issued.credential.id;
    audit_trail::note(&format!("{channel}/{id}"), None);
    if json {
        output::json(&IssuedView::new(&issued))?;
    } else {
        output::line(format!("Added credential {id} to channel {channel}."));
        print_issued(&issued, is_own_password);
    }
    output::ensure_shown(|| {
        format!(
            "credential {id} was added to channel {channel}, but its password may not have been \
             shown; run `receiptd credential remove {channel} {id}` and add another one"
        )
    })
}

async fn list(manage: &ManageChannels, json: bool, channel: &str) -> Result<()> {
    let found = manage.show(&ChannelId::parse(channel)?).await?;
    let views: Vec<_> = found.credentials.iter().map(CredentialView::new).collect();
    view::list(
        json,
        &views,
        &[
            ("ID", "id"),
            ("USER", "user"),
            ("CREATED", "created"),
            ("EXPIRES", "expires|never"),
            ("LAST USED", "last_used|never"),
            ("LABEL", "label"),
        ],
        &format!("no credentials; `receiptd credential add {channel} --user USER` adds one"),
    )
}

async fn remove(manage: &ManageChannels, channel: &str, id: &str) -> Result<()> {
    let channel = ChannelId::parse(channel)?;
    let uuid = id.parse().ok().with_context(|| {
        format!("{id:?} is not a credential id; `receiptd credential list {channel}` shows them")
    })?;
    manage
        .remove_credential(&channel, CredentialId(uuid))
        .await?;
    output::line(format!("Removed credential {id} of channel {channel}."));
    Ok(())
}

/// Converts the options; reads the password from standard input if they say so.
pub fn new_credential(args: CredentialArgs) -> Result<NewCredential> {
    let password = args.password_stdin.then(password_from_stdin);
    Ok(NewCredential {
        user: WebhookUser::parse(&args.user)?,
        password: password.transpose()?,
        label: args.label,
        expires_at: args.expires.as_deref().map(Timestamp::parse).transpose()?,
    })
}

/// Reads standard input to its end, without one final newline.
pub fn password_from_stdin() -> Result<Password> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.context("cannot read the password from standard input")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Password::parse(text)?)
}

/// Prints a new credential. A generated password is shown only here.
pub fn print_issued(issued: &IssuedCredential, is_own_password: bool) {
    output::line(format!("  user           {}", issued.credential.user));
    if !is_own_password {
        output::line(format!(
            "  password       {}   (shown only once)",
            issued.password.reveal()
        ));
    }
    output::line(format!("  callback URL   {}\n", issued.callback_url));
    for step in issued.setup_steps {
        output::line(output::wrapped(&format!("- {step}")));
    }
}
