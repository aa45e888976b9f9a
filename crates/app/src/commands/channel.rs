//! Channels, the configured accesses that reports come in for.

use std::fs;
use std::path::Path;

use adapter_http::wire::{ChannelCreatedView, ChannelList, ChannelView};
use anyhow::{Context as _, Result};
use domain::{
    Address, Channel, ChannelCalls, ChannelId, ChannelName, IntegratorName, PublicUrl,
    RetentionDays, Timestamp,
};
use ports::ChannelWithCredentials;
use usecases::channels::manage::{ChannelChanges, NewChannel, SigningToken};
use usecases::{ListRejections, ManageChannels};

use super::credential::{new_credential, print_issued};
use crate::cli::{ChannelAddArgs, ChannelCommand, ChannelUpdateArgs};
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: ChannelCommand) -> Result<()> {
    let stores = match command {
        // May well be the first command of an installation.
        ChannelCommand::Add(_) => {
            output::check_writable()?;
            Stores::create(settings).await?
        }
        _ => Stores::open(settings).await?,
    };
    let manage =
        composition::manage_channels(&stores, settings.server_secret()?, settings.public_url()?);
    let outcome = match command {
        ChannelCommand::Add(args) => add(&manage, json, args).await,
        ChannelCommand::List => list(&manage, json).await,
        ChannelCommand::Show { id, reveal } => show(&manage, &stores, json, &id, reveal).await,
        ChannelCommand::Update { id, changes } => update(&manage, json, &id, &changes).await,
        ChannelCommand::Enable { id } => switch(&manage, json, &id, true).await,
        ChannelCommand::Disable { id } => switch(&manage, json, &id, false).await,
        ChannelCommand::Remove { id } => remove(&manage, &id).await,
    };
    stores.close().await;
    outcome
}

async fn add(manage: &ManageChannels, json: bool, args: ChannelAddArgs) -> Result<()> {
    let given = args.credential.password_stdin;
    let signing_token = args.signature_token_file.as_deref().map(signing_token);
    let new = NewChannel {
        id: ChannelId::parse(&args.id)?,
        integrator: IntegratorName::parse(&args.integrator)?,
        name: ChannelName::parse(&args.name)?,
        senders: senders(&args.senders)?,
        public_url: public_url(args.public_url.as_deref())?,
        signing_token: signing_token.transpose()?,
        keep_messages_days: args.keep_messages_days,
        credential: new_credential(args.credential)?,
    };
    let (channel, issued) = manage.add(new).await?;
    if json {
        output::json(&ChannelCreatedView::new(&channel, &issued))?;
    } else {
        output::line(format!("Added channel {} ({}).", channel.id, channel.name));
        print_issued(&issued, given);
    }
    output::ensure_shown(|| {
        let id = &channel.id;
        format!(
            "channel {id} was added, but its password may not have been shown; `receiptd \
             credential add {id}` issues another one"
        )
    })
}

async fn list(manage: &ManageChannels, json: bool) -> Result<()> {
    let channels = manage.list().await?;
    if json {
        let view = |each| ChannelView::new(each, manage.callback_url(&each.channel).ok(), false);
        let items = channels.iter().map(view).collect();
        return output::json(&ChannelList { items });
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

async fn show(
    manage: &ManageChannels,
    stores: &Stores,
    json: bool,
    id: &str,
    reveal: bool,
) -> Result<()> {
    let found = manage.show(&ChannelId::parse(id)?).await?;
    let calls = manage.calls(&found.channel.id).await?;
    let rejections = ListRejections::new(stores.store());
    let warnings = rejections.warnings(&found, manage.now()).await?;
    let callback_url = manage.callback_url(&found.channel)?;
    if json {
        let view = ChannelView::new(&found, Some(callback_url), reveal);
        return output::json(&view.with_calls(&found, calls, warnings));
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
            ["calls".to_owned(), calls_text(&found, &calls)],
            ["rejected".to_owned(), format!("{} reports", calls.rejected)],
            ["created".to_owned(), channel.created_at.to_string()],
            ["changed".to_owned(), channel.updated_at.to_string()],
        ],
    );
    for warning in warnings {
        output::line(format!("Warning: {warning}."));
    }
    Ok(())
}

async fn update(
    manage: &ManageChannels,
    json: bool,
    id: &str,
    args: &ChannelUpdateArgs,
) -> Result<()> {
    let name = args.name.as_deref().map(ChannelName::parse).transpose();
    let token = args.signature_token_file.as_deref().map(signing_token);
    let (url, token) = (public_url(args.public_url.as_deref())?, token.transpose()?);
    let named = args.any_sender || !args.senders.is_empty();
    let changes = ChannelChanges {
        name: name.context("--name")?,
        senders: named.then(|| senders(&args.senders)).transpose()?,
        public_url: (args.default_public_url || url.is_some()).then_some(url),
        signing_token: (args.no_signature || token.is_some()).then_some(token),
        keep_messages_days: args.keep_messages_days.map(|days| days.0),
        ..ChannelChanges::default()
    };
    let days = args.keep_messages_days.is_some();
    change(manage, json, id, changes, |channel| {
        let kept = kept_for(channel.keep_messages_days);
        if days {
            format!("Messages of channel {} are kept {kept}.", channel.id)
        } else {
            format!("Channel {} is changed.", channel.id)
        }
    })
    .await
}

fn senders(texts: &[String]) -> Result<Vec<Address>> {
    let parsed: Result<_, _> = texts
        .iter()
        .map(|text| Address::parse_sender(text))
        .collect();
    parsed.context("--sender")
}

fn public_url(text: Option<&str>) -> Result<Option<PublicUrl>> {
    text.map(PublicUrl::parse)
        .transpose()
        .context("--public-url")
}

/// The signing token in a file.
fn signing_token(path: &Path) -> Result<SigningToken> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    SigningToken::parse(text.trim_end()).context("--signature-token-file")
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

/// `challenged 412 times, wrong credentials 0 times, last authenticated never`.
fn calls_text(found: &ChannelWithCredentials, calls: &ChannelCalls) -> String {
    let time = |at: Option<Timestamp>| at.map_or("never".to_owned(), |at| at.to_string());
    let used = found.credentials.iter().filter_map(|it| it.last_used_at);
    let last_refused = calls.last_refused_at.map(|at| format!(" (last {at})"));
    format!(
        "challenged {} times, wrong credentials {} times{}, last authenticated {}",
        calls.challenged,
        calls.refused,
        last_refused.unwrap_or_default(),
        time(used.max()),
    )
}

const fn state(channel: &Channel) -> &'static str {
    if channel.enabled {
        "enabled"
    } else {
        "disabled"
    }
}

fn kept_for(days: Option<RetentionDays>) -> String {
    match days {
        Some(days) if days.get() == 1 => "for a day after their last report".to_owned(),
        Some(days) => format!("for {days} days after their last report"),
        None => "for as long as the service keeps them".to_owned(),
    }
}
