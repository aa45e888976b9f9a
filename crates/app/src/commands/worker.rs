//! A process that pushes events and clears up, and receives nothing.

use std::sync::Arc;
use std::time::Duration;

use adapter_http::Metrics;
use anyhow::{Context as _, Result};
use tokio_util::sync::CancellationToken;
use usecases::push::PushParts;
use usecases::{ChannelDirectory, PushEvents, SharedLog};

use super::serve::keep_directory;
use crate::config::Settings;
use crate::event_sink;
use crate::system::SystemClock;
use crate::wiring::{self, Stores};
use crate::{lifecycle, pushing, system, workers};

/// Works until asked to stop.
pub async fn run(settings: &Settings) -> Result<()> {
    let secret = settings.server_secret()?;
    let stores = Stores::create(settings).await?;
    let metrics = Arc::new(Metrics::new(
        env!("CARGO_PKG_VERSION"),
        &wiring::integrators(),
    ));
    let directory = Arc::new(ChannelDirectory::new(
        Arc::clone(&stores.channels),
        secret.clone(),
        metrics.clone(),
    ));
    directory
        .refresh()
        .await
        .context("the channels cannot be read")?;

    let asked_to_stop = lifecycle::asked_to_stop()?;
    let stop = CancellationToken::new();
    let mut chores = vec![keep_directory(Arc::clone(&directory))];
    let log = Arc::new(SharedLog::new(Arc::clone(&stores.log)));
    chores.extend(wiring::clearing_up(&stores, settings, &log));
    let workers = workers::start(chores, &stop);
    let parts = PushParts {
        queue: Arc::clone(&stores.queue),
        log,
        // Reports are taken elsewhere.
        pace: Arc::default(),
        sink: event_sink::of(settings)?,
        directory,
        secret,
        clock: Arc::new(SystemClock),
        observer: metrics,
    };
    let push = PushEvents::new(parts, settings.push(), system::worker_name());
    #[expect(clippy::disallowed_methods, reason = "awaited when stopping")]
    let pushing = tokio::spawn(pushing::run(Arc::new(push), stop.clone()));
    tracing::info!(database = %settings.database()?, "working");

    let signal = asked_to_stop.await;
    tracing::info!(signal, "stopping: finishing the events under way");
    stop.cancel();
    workers.wait().await;
    let ended = lifecycle::in_time("pushing", Duration::from_secs(5), pushing).await;
    ended.transpose().context("pushing died")?;
    stores.close().await;
    tracing::info!("stopped");
    Ok(())
}
