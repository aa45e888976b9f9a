//! Channels, the configured accesses that reports come in for.

use std::fs;

use adapter_http::wire::{ChannelCreatedView, ChannelView};
use anyhow::{Context as _, Result};
use domain::{Address, Channel, ChannelId, ChannelName, IntegratorName, KeepDays, PublicUrl};
use usecases::ManageChannels;
use usecases::manage_channels::{ChannelChanges, NewChannel, SigningToken};

use super::credential::{new_credential, print_issued};
use crate::cli::{ChannelAddArgs, ChannelCommand, ChannelUpdateArgs};
use crate::config::Settings;
use crate::output;
use crate::wiring::{self, Stores};

pub async fn run(settings: &Settings, json: bool, command: ChannelCommand) -> Result<()> {
    let stores = match command {
        // May well be the first command of an installation.
        ChannelCommand::Add(_) => Stores::create(settings).await?,
        _ => Stores::open(settings).await?,
    };
    let manage =
        wiring::manage_channels(&stores, settings.server_secret()?, settings.public_url()?);
    let outcome = match command {
        ChannelCommand::Add(args) => add(&manage, json, args).await,
        ChannelCommand::List => list(&manage, json).await,
        ChannelCommand::Show { id, reveal } => show(&manage, json, &id, reveal).await,
        ChannelCommand::Update(args) => update(&manage, json, &args).await,
        ChannelCommand::Enable { id } => switch(&manage, json, &id, true).await,
        ChannelCommand::Disable { id } => switch(&manage, json, &id, false).await,
        ChannelCommand::Remove { id } => remove(&manage, &id).await,
    };
    stores.close().await;
    outcome
}

async fn add(manage: &ManageChannels, json: bool, args: ChannelAddArgs) -> Result<()> {
    let given = args.credential.password_stdin;
    let signing_token = match &args.signature_token_file {
        Some(path) => {
            let text = fs::read_to_string(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            Some(SigningToken::parse(text.trim_end())?)
        }
        None => None,
    };
    let senders: Result<Vec<_>, _> = args
        .senders
        .iter()
        .map(|each| Address::parse(each))
        .collect();
    let new = NewChannel {
        id: ChannelId::parse(&args.id)?,
        integrator: IntegratorName::parse(&args.integrator)?,
        name: ChannelName::parse(&args.name)?,
        senders: senders?,
        public_url: args
            .public_url
            .as_deref()
            .map(PublicUrl::parse)
            .transpose()?,
        signing_token,
        keep_messages_days: args.keep_messages_days,
        credential: new_credential(args.credential)?,
    };
    let (channel, issued) = manage.add(new).await?;
    if json {
        return output::json(&ChannelCreatedView::new(&channel, &issued));
    }
    output::line(format!("Added channel {} ({}).", channel.id, channel.name));
    print_issued(&issued, given);
    Ok(())
}

async fn list(manage: &ManageChannels, json: bool) -> Result<()> {
    let channels = manage.list().await?;
    if json {
        let views: Result<Vec<_>, _> = channels
            .iter()
            .map(|each| {
                Ok::<_, anyhow::Error>(ChannelView::new(
                    each,
                    manage.callback_url(&each.channel).ok(),
                    false,
                ))
            })
            .collect();
        return output::json(&views?);
    }
    let rows = channels.iter().map(|each| {
        let used = each
            .credentials
            .iter()
            .filter_map(|credential| credential.last_used_at)
            .max();
        [
            each.channel.id.to_string(),
            each.channel.integrator.to_string(),
            each.channel.name.to_string(),
            state(&each.channel).to_owned(),
            each.credentials.len().to_string(),
            used.map_or("never".to_owned(), |time| time.to_string()),
        ]
    });
    output::table(
        [
            "ID",
            "INTEGRATOR",
            "NAME",
            "STATE",
            "CREDENTIALS",
            "LAST USED",
        ],
        rows,
    );
    Ok(())
}

async fn show(manage: &ManageChannels, json: bool, id: &str, reveal: bool) -> Result<()> {
    let found = manage.show(&ChannelId::parse(id)?).await?;
    let callback_url = manage.callback_url(&found.channel)?;
    if json {
        return output::json(&ChannelView::new(&found, Some(callback_url), reveal));
    }
    let channel = &found.channel;
    let senders: Vec<_> = channel
        .senders
        .iter()
        .map(|sender| {
            if reveal {
                sender.reveal().to_owned()
            } else {
                sender.to_string()
            }
        })
        .collect();
    let senders = if senders.is_empty() {
        "any".to_owned()
    } else {
        senders.join(", ")
    };
    let signed = if channel.signing_token.is_some() {
        "required"
    } else {
        "not asked for"
    };
    let kept = channel.keep_messages_days;
    output::table(
        ["FIELD", "VALUE"],
        [
            ["id".to_owned(), channel.id.to_string()],
            ["name".to_owned(), channel.name.to_string()],
            ["integrator".to_owned(), channel.integrator.to_string()],
            ["state".to_owned(), state(channel).to_owned()],
            ["callback URL".to_owned(), callback_url],
            ["senders".to_owned(), senders],
            ["signature".to_owned(), signed.to_owned()],
            ["messages kept".to_owned(), kept_for(kept)],
            [
                "credentials".to_owned(),
                found.credentials.len().to_string(),
            ],
            ["created".to_owned(), channel.created_at.to_string()],
            ["changed".to_owned(), channel.updated_at.to_string()],
        ],
    );
    Ok(())
}

async fn update(manage: &ManageChannels, json: bool, args: &ChannelUpdateArgs) -> Result<()> {
    let changes = ChannelChanges {
        keep_messages_days: Some(args.keep_messages_days.0),
        ..ChannelChanges::default()
    };
    change(manage, json, &args.id, changes, |channel| {
        let kept = kept_for(channel.keep_messages_days);
        format!("Messages of channel {} are kept {kept}.", channel.id)
    })
    .await
}

async fn switch(manage: &ManageChannels, json: bool, id: &str, enabled: bool) -> Result<()> {
    let changes = ChannelChanges {
        enabled: Some(enabled),
        ..ChannelChanges::default()
    };
    change(manage, json, id, changes, |channel| {
        format!("Channel {} is {}.", channel.id, state(channel))
    })
    .await
}

/// Changes a channel, and says to people how it is now.
async fn change(
    manage: &ManageChannels,
    json: bool,
    id: &str,
    changes: ChannelChanges,
    said: impl Fn(&Channel) -> String,
) -> Result<()> {
    let id = ChannelId::parse(id)?;
    let channel = manage.update(&id, changes).await?;
    if json {
        let found = manage.show(&id).await?;
        let callback_url = manage.callback_url(&found.channel).ok();
        return output::json(&ChannelView::new(&found, callback_url, false));
    }
    output::line(said(&channel));
    Ok(())
}

async fn remove(manage: &ManageChannels, id: &str) -> Result<()> {
    let id = ChannelId::parse(id)?;
    manage.remove(&id).await?;
    output::line(format!("Removed channel {id}. Its messages stay."));
    Ok(())
}

const fn state(channel: &Channel) -> &'static str {
    if channel.enabled {
        "enabled"
    } else {
        "disabled"
    }
}

fn kept_for(days: Option<KeepDays>) -> String {
    match days {
        Some(days) if days.get() == 1 => "for a day after their last report".to_owned(),
        Some(days) => format!("for {days} days after their last report"),
        None => "for as long as the service keeps them".to_owned(),
    }
}
