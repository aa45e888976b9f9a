//! What each command does.

mod audit;
mod audit_trail;
mod channel;
mod channel_test;
mod config_check;
mod credential;
mod cursor;
mod demo;
mod demo_data;
mod erase;
mod erasure;
mod event;
mod event_options;
mod health;
mod http_client;
mod installation;
mod message;
mod page;
mod reconcile;
mod reconciliation_account;
mod rejections;
mod retention;
pub mod serve;
mod server_api;
pub mod simulate;
mod startup;
mod stats;
mod subscription;
mod token;
mod trouble;
mod worker;

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::{Cli, Command, ConfigCommand};
use crate::composition::Stores;
use crate::config::{self, Settings};
use crate::output;

/// How long threads may continue after the command has finished.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the command.
pub fn run(cli: Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let done = runtime.block_on(dispatch(cli));
    // A thread that waits for a disk or a name server must not keep the process from ending.
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    done
}

async fn dispatch(cli: Cli) -> Result<()> {
    let Cli {
        settings,
        json,
        command,
    } = cli;
    let audited = audit_trail::of(&command);
    // Boxed: the futures of all commands together are large.
    let execution = Box::pin(execute(&settings, json, command));
    audit_trail::audited(&settings, audited, execution).await
}

async fn execute(settings: &Settings, json: bool, command: Command) -> Result<()> {
    match command {
        Command::Serve(args) => serve::run(&settings.clone().with(&args.settings), &args).await,
        Command::Worker(later) => worker::run(&settings.clone().with(&later)).await,
        Command::Migrate => migrate(settings).await,
        Command::Channel(command) => channel::run(settings, json, command).await,
        Command::Credential(command) => credential::run(settings, json, command).await,
        Command::Message(command) => message::run(settings, json, command).await,
        Command::Event(command) => event::run(settings, json, command).await,
        Command::Cursor(command) => cursor::run(settings, json, command).await,
        Command::Subscription(command) => subscription::run(settings, json, command).await,
        Command::Delivery(command) => subscription::deliveries::run(settings, json, command).await,
        Command::Erase(args) => erase::run(settings, json, args).await,
        Command::Erasure(command) => erasure::run(settings, json, command).await,
        Command::Rejections(args) => rejections::run(settings, json, args).await,
        Command::Reconcile(args) => reconcile::run(settings, json, args).await,
        Command::Trouble(command) => trouble::run(settings, json, command).await,
        Command::Retention(command) => retention::run(settings, json, command).await,
        Command::Token(command) => token::run(settings, json, command).await,
        Command::Audit(command) => audit::run(settings, json, command).await,
        Command::Stats(args) => stats::run(settings, json, args).await,
        Command::Config(ConfigCommand::Check(later)) => {
            config_check::run(&settings.clone().with(&later), json).await
        }
        Command::Demo => demo_data::run(settings).await,
        Command::Simulate(args) => simulate::run(settings, json, args).await,
        Command::Health => health::run(settings, json).await,
        Command::Settings if json => output::json(&config::SettingList::new()),
        Command::Settings => {
            output::line(config::help().trim_end());
            Ok(())
        }
    }
}

async fn migrate(settings: &Settings) -> Result<()> {
    let stores = Stores::create(settings).await?;
    stores.close().await;
    output::line(format!(
        "{} has the schema of this version",
        settings.storage.database()?
    ));
    Ok(())
}
