//! Opens the database of an existing installation for a command.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use domain::{ChannelId, IntegratorName};
use ports::ChannelStore;

use crate::composition::Stores;
use crate::config::Settings;

/// Opens the database of an existing installation, runs `work`, and closes the database.
pub async fn with_stores<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&Stores) -> Result<T>,
) -> Result<T> {
    let stores = Stores::open(settings).await?;
    let outcome = work(&stores).await;
    stores.close().await;
    outcome
}

/// Returns the integrator of each channel; integrators explain error codes.
pub async fn integrators(stores: &Stores) -> Result<BTreeMap<ChannelId, IntegratorName>> {
    let channels = stores.store().all().await?.into_iter();
    let channels = channels.map(|each| (each.channel.id, each.channel.integrator));
    Ok(channels.collect())
}

/// Fails if there is no channel `id`. Called where nothing was found of a channel: what a removed
/// one has left behind can still be shown.
pub async fn ensure_exists(stores: &Stores, id: &ChannelId) -> Result<()> {
    let found = ChannelStore::find(&*stores.store(), id).await?;
    ensure!(
        found.is_some(),
        "there is no channel {id}; `receiptd channel list` shows all"
    );
    Ok(())
}
