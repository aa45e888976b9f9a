//! Manages webhook subscriptions.

mod change;
pub mod deliveries;
pub mod manage;
pub mod replay;
mod show;
mod test_event;

use std::time::Duration;

use anyhow::Result;
use manage::parse_id;
use usecases::ManageSubscriptions;

use super::installation::with_stores;
use crate::cli::SubscriptionCommand;
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, command: SubscriptionCommand) -> Result<()> {
    if let SubscriptionCommand::Replay { id, from } = &command {
        return replay::run(settings, json, id, from).await;
    }
    if matches!(
        command,
        SubscriptionCommand::Add(_) | SubscriptionCommand::Rotate { .. }
    ) {
        output::check_writable()?;
    }
    with_stores(settings, async |stores| {
        let manage = manage::create(settings, stores).await?;
        execute(settings, &manage, json, command).await
    })
    .await
}

async fn execute(
    settings: &Settings,
    manage: &ManageSubscriptions,
    json: bool,
    command: SubscriptionCommand,
) -> Result<()> {
    match command {
        SubscriptionCommand::Add(args) => change::add(manage, json, args).await,
        SubscriptionCommand::List => show::list(manage, json).await,
        SubscriptionCommand::Show(arg) => show::show(manage, json, parse_id(&arg.id)?).await,
        SubscriptionCommand::Update { id, changes } => {
            change::update(manage, json, parse_id(&id)?, &changes).await
        }
        SubscriptionCommand::Pause(arg) => change::pause(manage, json, parse_id(&arg.id)?).await,
        SubscriptionCommand::Resume(arg) => change::resume(manage, json, parse_id(&arg.id)?).await,
        SubscriptionCommand::Remove(arg) => {
            manage.remove(parse_id(&arg.id)?).await?;
            output::line(format!("Subscription {} removed.", arg.id));
            Ok(())
        }
        SubscriptionCommand::Rotate {
            id,
            overlap_hours,
            secret_stdin,
            end_previous,
        } => {
            let overlap = Duration::from_hours(u64::from(overlap_hours));
            let flags = (secret_stdin, end_previous);
            change::rotate(manage, json, parse_id(&id)?, overlap, flags).await
        }
        SubscriptionCommand::Test(arg) => {
            test_event::run(settings, manage, json, parse_id(&arg.id)?).await
        }
        SubscriptionCommand::Replay { id, from } => replay::run(settings, json, &id, &from).await,
        SubscriptionCommand::Deliveries { id, filter, page } => {
            deliveries::list(manage, json, parse_id(&id)?, &filter, &page).await
        }
        SubscriptionCommand::Retry { id, filter } => {
            deliveries::retry_all(manage, json, parse_id(&id)?, &filter).await
        }
    }
}
