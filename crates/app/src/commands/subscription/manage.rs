//! The use case that all commands about subscriptions call.

use std::sync::Arc;

use adapter_http::MetricsRegistry;
use anyhow::{Context as _, Result};
use domain::SubscriptionId;
use usecases::{ChannelDirectory, LogTailCache, ManageSubscriptions};

use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::webhook_sender;

pub async fn create(settings: &Settings, stores: &Stores) -> Result<ManageSubscriptions> {
    let secret = settings.server_secret()?;
    let metrics = Arc::new(MetricsRegistry::new(
        env!("CARGO_PKG_VERSION"),
        &composition::integrators(),
    ));
    let directory = ChannelDirectory::new(stores.store(), secret.clone(), metrics);
    directory.refresh().await?;
    Ok(composition::manage_subscriptions(
        stores,
        settings,
        secret,
        Arc::new(LogTailCache::new(stores.store())),
        Arc::new(directory),
        webhook_sender::create(settings)?,
    ))
}

pub fn parse_id(id: &str) -> Result<SubscriptionId> {
    let parsed = id.parse().ok().map(SubscriptionId);
    parsed.with_context(|| {
        format!("{id:?} is not a subscription id; `receiptd subscription list` shows them")
    })
}
