//! The credentials that prove a channel's callers.

use std::io::Read as _;

use adapter_http::wire::{CredentialView, IssuedView};
use anyhow::{Context as _, Result};
use domain::{ChannelId, CredentialId, Password, Timestamp, WebhookUser};
use usecases::ManageChannels;
use usecases::channels::manage::{IssuedCredential, NewCredential};

use crate::cli::{CredentialArgs, CredentialCommand};
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: CredentialCommand) -> Result<()> {
    if matches!(command, CredentialCommand::Add { .. }) {
        output::check_writable()?;
    }
    let stores = Stores::open(settings).await?;
    let manage =
        composition::manage_channels(&stores, settings.server_secret()?, settings.public_url()?);
    let outcome = match command {
        CredentialCommand::Add {
            channel,
            credential,
        } => add(&manage, json, &channel, credential).await,
        CredentialCommand::List { channel } => list(&manage, json, &channel).await,
        CredentialCommand::Remove { channel, id } => remove(&manage, &channel, &id).await,
    };
    stores.close().await;
    outcome
}

async fn add(
    manage: &ManageChannels,
    json: bool,
    channel: &str,
    args: CredentialArgs,
) -> Result<()> {
    let channel = ChannelId::parse(channel)?;
    let given = args.password_stdin;
    let issued = manage
        .add_credential(&channel, new_credential(args)?)
        .await?;
    let id = issued.credential.id;
    if json {
        output::json(&IssuedView::new(&issued))?;
    } else {
        output::line(format!("Added credential {id} to channel {channel}."));
        print_issued(&issued, given);
    }
    output::ensure_shown(|| {
        format!(
            "credential {id} was added to channel {channel}, but its password may not have been \
             shown; `receiptd credential remove {channel} {id}`, then add another one"
        )
    })
}

async fn list(manage: &ManageChannels, json: bool, channel: &str) -> Result<()> {
    let found = manage.show(&ChannelId::parse(channel)?).await?;
    if json {
        let views: Vec<_> = found.credentials.iter().map(CredentialView::new).collect();
        return output::json(&views);
    }
    let or_never =
        |time: Option<Timestamp>| time.map_or("never".to_owned(), |time| time.to_string());
    let rows = found.credentials.iter().map(|each| {
        [
            each.id.to_string(),
            each.user.to_string(),
            each.label.clone().unwrap_or_default(),
            each.created_at.to_string(),
            or_never(each.expires_at),
            or_never(each.last_used_at),
        ]
    });
    output::table(
        ["ID", "USER", "LABEL", "CREATED", "EXPIRES", "LAST USED"],
        rows,
    );
    Ok(())
}

async fn remove(manage: &ManageChannels, channel: &str, id: &str) -> Result<()> {
    let channel = ChannelId::parse(channel)?;
    let uuid = id.parse().with_context(|| {
        format!("{id:?} is no credential id; see `receiptd credential list {channel}`")
    })?;
    manage
        .remove_credential(&channel, CredentialId(uuid))
        .await?;
    output::line(format!("Removed credential {id} of channel {channel}."));
    Ok(())
}

/// What the arguments ask for; the password comes from standard input.
pub fn new_credential(args: CredentialArgs) -> Result<NewCredential> {
    let password = if args.password_stdin {
        Some(password_from_stdin()?)
    } else {
        None
    };
    Ok(NewCredential {
        user: WebhookUser::parse(&args.user)?,
        password,
        label: args.label,
        expires_at: args.expires.as_deref().map(Timestamp::parse).transpose()?,
    })
}

/// Standard input to its end, as it is, less one final newline.
pub fn password_from_stdin() -> Result<Password> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("the password cannot be read")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Password::parse(text)?)
}

/// Shows what is shown this once.
pub fn print_issued(issued: &IssuedCredential, given: bool) {
    output::line(format!("  user           {}", issued.credential.user));
    if !given {
        output::line(format!(
            "  password       {}   (shown this once)",
            issued.password.reveal()
        ));
    }
    output::line(
        "Paste this as the status callback URL at the integrator; the part from # on makes",
    );
    output::line("it try again where it would give up:");
    output::line(format!("  {}", issued.callback_url));
}
