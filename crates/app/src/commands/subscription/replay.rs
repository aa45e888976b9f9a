//! Sends events to a subscription again.

use adapter_http::wire::ReplayView;
use anyhow::{Result, bail};
use domain::{SubscriptionId, Timestamp};
use usecases::ManageSubscriptions;
use usecases::subscriptions::ReplayFrom;

use super::manage;
use crate::cli::ReplayArgs;
use crate::commands::event_options;
use crate::commands::installation::with_stores;
use crate::composition::Stores;
use crate::config::Settings;
use crate::output;

pub async fn run(settings: &Settings, json: bool, id: &str, args: &ReplayArgs) -> Result<()> {
    with_stores(settings, async |stores| {
        let manage = manage::create(settings, stores).await?;
        replay(&manage, stores, json, manage::parse_id(id)?, args).await
    })
    .await
}

async fn replay(
    manage: &ManageSubscriptions,
    stores: &Stores,
    json: bool,
    id: SubscriptionId,
    args: &ReplayArgs,
) -> Result<()> {
    let log = manage.log();
    let from = if let Some(text) = &args.since {
        ReplayFrom::Time(event_options::time("--since", text)?)
    } else if let Some(key) = event_options::message(args.message.as_deref())? {
        ReplayFrom::Message(key)
    } else if let Some(text) = &args.after {
        if text == "latest" {
            bail!("--after is latest: there are no events after it to send again");
        }
        ReplayFrom::Position(event_options::position(log, "--after", text).await?)
    } else if let Some(name) = &args.cursor {
        ReplayFrom::Position(event_options::cursor(stores, log, name).await?)
    } else {
        // --all: clap requires one of the options.
        ReplayFrom::Position(log.seek(Timestamp::EPOCH).await?)
    };
    let events = manage.replay(id, from).await?;
    if json {
        return output::json(&ReplayView { events });
    }
    output::line(match events {
        Some(events) => format!("{events} events will be sent again."),
        None => "All events from there on will be sent again.".to_owned(),
    });
    Ok(())
}
