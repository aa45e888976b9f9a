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
use crate::config::Settings;
use crate::output;
use crate::wiring::Stores;

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
        Command::Serve(args) => serve::run(&settings, &args).await,
        Command::Worker => worker::run(&settings).await,
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
        Command::Config(ConfigCommand::Check) => config_check::run(&settings, json).await,
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

/// The integrators of all channels, which explain errors.
async fn integrators(stores: &Stores) -> Result<BTreeMap<ChannelId, IntegratorName>> {
    let channels = stores.channels.all().await?.into_iter();
    let channels = channels.map(|each| (each.channel.id, each.channel.integrator));
    Ok(channels.collect())
}

/// How long a page is, and where it begins.
fn page<T>(args: &PageArgs, read: impl Fn(&str) -> Option<T>) -> Result<(PageSize, Option<T>)> {
    let after = args.cursor.as_deref().map(|text| {
        read(text).with_context(|| format!("--cursor is {text:?}; it is the `next` of a page"))
    });
    Ok((PageSize::new(args.limit)?, after.transpose()?))
}

/// Says how to go on behind a page.
fn hint_of(next: Option<&str>) {
    if let Some(next) = next {
        output::hint(format!("There are more: --cursor {next}"));
    }
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
