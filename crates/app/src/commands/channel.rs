//! Manages channels.

use std::fs;
use std::path::Path;

use adapter_http::wire::{ChannelCreatedView, ChannelList, ChannelView};
use anyhow::{Context as _, Result};
use domain::crypto::SigningTokens;
use domain::webhook::TargetUrl;
use domain::{Address, Channel, ChannelId, ChannelName, IntegratorName, PublicUrl, RetentionDays};
use usecases::channels::manage::{ChannelChanges, ManageError, NewChannel};
use usecases::{ListRejections, ManageChannels, ManageReconciliation, ShowMessage};

use super::channel_test;
use super::credential::{new_credential, print_issued};
use super::installation::with_stores;
use super::reconciliation_account::{self, AccountChange};
use crate::cli::{ChannelAddArgs, ChannelCommand, ChannelUpdateArgs};
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::{forwarding, output, reconciliation, view};

/// What `channel show` shows of every channel.
const FIELDS: [view::Column; 15] = [
    ("name", "name"),
    ("integrator", "integrator"),
    ("state", "enabled|enabled:disabled"),
    ("callback URL", "callback_url"),
    ("senders", "senders|any"),
    ("signature", "signature_required|required:not required"),
    ("credentials", "credentials"),
    ("last authenticated", "calls.last_authenticated_at|never"),
    ("challenges", "calls.challenged"),
    ("wrong credentials", "calls.refused"),
    ("last wrong", "calls.last_refused_at"),
    ("rejected reports", "calls.rejected"),
    ("separate messages", "separate_messages"),
    ("created", "created"),
    ("changed", "updated"),
];

/// What it shows besides of a channel with a forward URL.
const FORWARDING: [view::Column; 4] = [
    ("forward URL", "forward_url"),
    ("waiting requests", "forwarding.waiting"),
    ("oldest waiting", "forwarding.oldest_at|-"),
    ("forward error", "forwarding.last_error|-"),
];

pub async fn run(settings: &Settings, json: bool, command: ChannelCommand) -> Result<()> {
    if matches!(command, ChannelCommand::Add(_)) {
        output::check_writable()?;
        // This can be the first command of an installation.
        Stores::create(settings).await?.close().await;
    }
    with_stores(settings, async |stores| {
        let secret = settings.server_secret()?;
        let manage = composition::manage_channels(stores, settings, secret, settings.public_url()?);
        match command {
            ChannelCommand::Add(args) => add(&manage, json, args).await,
            ChannelCommand::List => list(&manage, json).await,
            ChannelCommand::Show { id, reveal } => show(&manage, stores, json, &id, reveal).await,
            ChannelCommand::Update { id, changes } => {
                let accounts = reconciliation::manage(&stores.store(), settings.server_secret()?);
                update(&manage, &accounts, json, &id, &changes).await
            }
            ChannelCommand::Enable(arg) => enable(&manage, json, &arg.id, true).await,
            ChannelCommand::Disable(arg) => enable(&manage, json, &arg.id, false).await,
            ChannelCommand::Remove(arg) => remove(&manage, &arg.id).await,
            ChannelCommand::Test(arg) => channel_test::run(settings, json, &arg.id).await,
        }
    })
    .await
}

async fn add(manage: &ManageChannels, json: bool, args: ChannelAddArgs) -> Result<()> {
    let is_own_password = args.credential.password_stdin;
    let signing_token = args.signature_token_file.as_deref().map(signing_token);
    let new = NewChannel {
        id: ChannelId::parse(&args.id)?,
        integrator: IntegratorName::parse(&args.integrator)?,
        name: ChannelName::parse(&args.name)?,
        senders: senders(&args.senders)?,
        public_url: public_url(args.public_url.as_deref())?,
        signing_token: signing_token.transpose()?,
        keep_messages_days: args.keep_messages_days,
        forward_url: forward_url(args.forward_url.as_deref())?,
        credential: new_credential(args.credential)?,
        may_reveal: true,
    };
    let (channel, issued) = manage.add(new).await.map_err(with_option)?;
    if json {
        output::json(&ChannelCreatedView::new(&channel, &issued))?;
    } else {
        output::line(format!("Added channel {} ({}).", channel.id, channel.name));
        print_issued(&issued, is_own_password);
    }
    output::ensure_shown(|| {
        let id = &channel.id;
        format!(
            "channel {id} was added, but its password may not have been shown; run `receiptd \
             credential add {id}` to issue another one"
        )
    })
}

async fn list(manage: &ManageChannels, json: bool) -> Result<()> {
    let channels = manage.list().await?;
    let view = |each| ChannelView::new(each, manage.setup(&each.channel).ok(), false);
    let items = channels.iter().map(view).collect();
    view::list(
        json,
        &ChannelList { items },
        &[
            ("ID", "id"),
            ("STATE", "enabled|enabled:disabled"),
            ("INTEGRATOR", "integrator"),
            ("CREDENTIALS", "credentials"),
            ("NAME", "name"),
        ],
        "no channels; `receiptd channel add ID --name NAME --user USER` adds one",
    )
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
    let setup = manage.setup(&found.channel)?;
    let view = ChannelView::new(&found, Some(setup), reveal);
    let messages = ShowMessage::new(stores.store(), stores.store());
    let separate = messages.separate(&found.channel.id).await;
    let waiting = forwarding::figures(stores.store());
    let waiting = waiting.of(&found.channel.id).await?;
    let view = view
        .with_calls(&found, calls, warnings)
        .with_separate_messages(separate)
        .with_forwarding(waiting);
    let forwarding: &[view::Column] = match found.channel.forward_url {
        Some(_) => &FORWARDING,
        None => &[],
    };
    let fields = [&FIELDS, forwarding].concat();
    view::show(json, &format!("Channel {id}"), &view, &fields)?;
    if !json {
        let kept = kept_for(found.channel.keep_messages_days);
        output::line(format!("Messages are kept {kept}."));
        output::line(format!("\nTo set up at {}:", found.channel.integrator));
        for step in &view.setup_steps {
            output::line(output::wrapped(&format!("- {step}")));
        }
        let id = &found.channel.id;
        reconciliation_account::print(&stores.store(), id, manage.now()).await?;
        for warning in &view.warnings {
            output::line(format!("Warning: {warning}."));
        }
    }
    Ok(())
}

async fn update(
    manage: &ManageChannels,
    accounts: &ManageReconciliation,
    json: bool,
    id: &str,
    args: &ChannelUpdateArgs,
) -> Result<()> {
    let name = args.name.as_deref().map(ChannelName::parse).transpose();
    let token = args.signature_token_file.as_deref().map(signing_token);
    let (url, token) = (public_url(args.public_url.as_deref())?, token.transpose()?);
    let forward_url = forward_url(args.forward_url.as_deref())?;
    let named = args.any_sender || !args.senders.is_empty();
    let changes = ChannelChanges {
        name: name.context("--name")?,
        senders: named.then(|| senders(&args.senders)).transpose()?,
        public_url: (args.default_public_url || url.is_some()).then_some(url),
        signing_token: (args.no_signature || token.is_some()).then_some(token),
        keep_messages_days: args.keep_messages_days.map(|days| days.0),
        forward_url: (args.no_forward_url || forward_url.is_some()).then_some(forward_url),
        may_reveal: true,
        ..ChannelChanges::default()
    };
    let id = ChannelId::parse(id)?;
    let account = AccountChange::read(accounts, &id, args).await?;
    let channel = manage.update(&id, changes).await.map_err(with_option)?;
    account.make(accounts, &id).await?;
    let said = if args.keep_messages_days.is_some() {
        let kept = kept_for(channel.keep_messages_days);
        format!("Messages of channel {id} are kept {kept}.")
    } else {
        format!("Channel {id} changed.")
    };
    print_changed(manage, json, &id, said).await
}

/// Names the option that an error is about, where its text is that of the API.
fn with_option(error: ManageError) -> anyhow::Error {
    let ManageError::SignatureRequired(integrator) = &error else {
        return error.into();
    };
    anyhow::anyhow!(
        "{integrator} authenticates its requests by signature only; give a file with its app \
         secret: --signature-token-file FILE"
    )
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

fn forward_url(text: Option<&str>) -> Result<Option<TargetUrl>> {
    text.map(TargetUrl::parse)
        .transpose()
        .context("--forward-url")
}

/// Reads the signing tokens from a file, separated by blanks or line ends.
fn signing_token(path: &Path) -> Result<SigningTokens> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let tokens: Vec<_> = text.split_ascii_whitespace().collect();
    SigningTokens::parse(&tokens.join(" ")).context("--signature-token-file")
}

/// Enables or disables a channel.
async fn enable(manage: &ManageChannels, json: bool, id: &str, enabled: bool) -> Result<()> {
    let changes = ChannelChanges {
        enabled: Some(enabled),
        ..ChannelChanges::default()
    };
    let id = ChannelId::parse(id)?;
    let channel = manage.update(&id, changes).await?;
    let said = format!("Channel {id} is {}.", state(&channel));
    print_changed(manage, json, &id, said).await
}

/// Prints the changed channel as JSON, or what was changed.
async fn print_changed(
    manage: &ManageChannels,
    json: bool,
    id: &ChannelId,
    said: String,
) -> Result<()> {
    if json {
        let found = manage.show(id).await?;
        let setup = manage.setup(&found.channel).ok();
        return output::json(&ChannelView::new(&found, setup, false));
    }
    output::line(said);
    Ok(())
}

async fn remove(manage: &ManageChannels, id: &str) -> Result<()> {
    let id = ChannelId::parse(id)?;
    manage.remove(&id).await?;
    output::line(format!("Removed channel {id}. Its messages are kept."));
    Ok(())
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
        None => "as RECEIPTD_KEEP_MESSAGES_DAYS says".to_owned(),
    }
}
