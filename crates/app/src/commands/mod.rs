//! What each command does.

mod channel;
mod config_check;
mod credential;
mod cursor;
mod demo;
mod erase;
mod erasure;
mod event;
mod health;
mod message;
mod rejections;
mod retention;
pub mod serve;
pub mod simulate;
mod subscription;
mod worker;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use domain::page::PageSize;
use domain::{ChannelId, IntegratorName};

use crate::cli::{Cli, Command, ConfigCommand, PageArgs};
use crate::composition::Stores;
use crate::config::{self, AdminToken, Settings};
use crate::output;

/// How long what still runs in a thread of its own may take at the end.
const LEAVING: Duration = Duration::from_secs(1);

/// Does what was asked.
pub fn run(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let done = runtime.block_on(dispatch(cli));
    // A thread that waits for a disk or the name of a host keeps nobody from leaving.
    runtime.shutdown_timeout(LEAVING);
    done
}

async fn dispatch(cli: Cli) -> Result<()> {
    let Cli {
        settings,
        json,
        command,
    } = cli;
    match command {
        Command::Serve(args) => serve::run(&settings.with(&args.settings), &args).await,
        Command::Worker(later) => worker::run(&settings.with(&later)).await,
        Command::Migrate => migrate(&settings).await,
        Command::Channel(command) => channel::run(&settings, json, command).await,
        Command::Credential(command) => credential::run(&settings, json, command).await,
        Command::Message(command) => message::run(&settings, json, command).await,
        Command::Event(command) => event::run(&settings, json, command).await,
        Command::Cursor(command) => cursor::run(&settings, json, command).await,
        Command::Subscription(command) => subscription::run(&settings, json, command).await,
        Command::Delivery(command) => subscription::deliveries::run(&settings, json, command).await,
        Command::Erase(args) => erase::run(&settings, json, args).await,
        Command::Erasure(command) => erasure::run(&settings, json, command).await,
        Command::Rejections(args) => rejections::run(&settings, json, args).await,
        Command::Retention(command) => retention::run(&settings, json, command).await,
        Command::Config(ConfigCommand::Check(later)) => {
            config_check::run(&settings.with(&later), json).await
        }
        Command::Simulate(args) => simulate::run(&settings, json, args).await,
        Command::Health => health::run(&settings).await,
    }
}

async fn migrate(settings: &Settings) -> Result<()> {
    let stores = Stores::create(settings).await?;
    stores.close().await;
    output::line(format!(
        "{} has the schema of this version",
        settings.database()?
    ));
    Ok(())
}

/// Checks what a process needs that runs for long, and warns of what its settings leave open.
fn inspect(settings: &Settings) -> Result<()> {
    let (_, warnings) = settings.inspect_secrets()?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    for name in config::unknown_variables() {
        tracing::warn!("the variable {name} is no setting and is ignored");
    }
    Ok(())
}

/// The token of the operator's API. One that is made is shown, this once, so nothing that may
/// keep the process from starting comes after this.
fn admin_token(settings: &Settings) -> Result<String> {
    let AdminToken { token, is_new } = settings.admin_token()?;
    if is_new {
        output::hint(format!(
            "The operator's token, shown this once and kept in {}:\n  {token}",
            settings.data_dir.join("admin-token").display(),
        ));
    }
    Ok(token)
}

/// The integrators of all channels, which explain errors.
async fn integrators(stores: &Stores) -> Result<BTreeMap<ChannelId, IntegratorName>> {
    let channels = stores.store().all().await?.into_iter();
    let channels = channels.map(|each| (each.channel.id, each.channel.integrator));
    Ok(channels.collect())
}

/// How long a page is, and where it begins.
fn page<T>(args: &PageArgs, read: impl Fn(&str) -> Option<T>) -> Result<(PageSize, Option<T>)> {
    let after = args.cursor.as_deref().map(|text| {
        read(text).context("--cursor is not valid: pass the `next` of the previous page unchanged")
    });
    Ok((PageSize::new(args.limit)?, after.transpose()?))
}

/// Says how to go on behind a page.
fn hint_of(next: Option<&str>) {
    if let Some(next) = next {
        output::hint(format!("There are more: --cursor {next}"));
    }
}

/// The configured token, or the one that a server on this machine has kept.
fn kept_admin_token(settings: &Settings) -> Result<String> {
    if let Some(token) = &settings.admin_token {
        return Ok(token.clone());
    }
    let path = settings.data_dir.join("admin-token");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "the operator's token is missing: set RECEIPTD_ADMIN_TOKEN, since there is none in {}",
            path.display()
        )
    })?;
    Ok(text.trim().to_owned())
}

/// A client for HTTP and HTTPS.
fn http_client(timeout: Duration) -> Result<reqwest::Client> {
    // Somebody else may have installed it; either way there is one now.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .context("the HTTP client cannot be made")
}
