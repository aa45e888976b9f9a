//! Opens the database of an existing installation for a command.

use std::collections::BTreeMap;

use anyhow::Result;
use domain::{ChannelId, IntegratorName};

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
