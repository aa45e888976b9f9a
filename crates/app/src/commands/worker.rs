//! A process that pushes events and clears up, and receives nothing.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use adapter_http::{AdminToken, MetricsRegistry, MonitoringState};
use anyhow::{Context as _, Result, anyhow};
use domain::secret::ServerSecret;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usecases::delivery::DeliveryDependencies;
use usecases::{
    ChannelDirectory, CheckHealth, DeliveryWorker, LogTailCache, RetentionHolds,
    SubscriptionStatistics,
};

use super::serve::{keep_directory, listen, operator_settings};
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::event_sink;
use crate::system::System;
use crate::{lifecycle, open_files, pushing, system, telemetry, workers};

/// Works until asked to stop.
pub async fn run(settings: &Settings) -> Result<()> {
    super::inspect(settings)?;
    open_files::raise();
    let secret = settings.server_secret()?;
    let socket = settings.push.worker_listen;
    let socket = socket.map(|at| listen(at, "RECEIPTD_WORKER_LISTEN"));
    let socket = socket.transpose()?;
    let stores = Stores::create(settings).await?;
    let metrics = Arc::new(MetricsRegistry::new(
        env!("CARGO_PKG_VERSION"),
        &composition::integrators(),
    ));
    metrics.observe_dropped_log_lines(telemetry::dropped_lines);
    let directory = Arc::new(ChannelDirectory::new(
        stores.store(),
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
    let log = Arc::new(LogTailCache::new(stores.store()));
    let holds = Arc::<RetentionHolds>::default();
    metrics.observe_retention(Arc::clone(&holds));
    chores.extend(composition::clearing_up(&stores, settings, &log, &holds));
    let mut workers = workers::start(chores, &stop);
    let watched = Watched {
        settings,
        stores: &stores,
        directory: &directory,
        metrics: &metrics,
        log: &log,
        holds: &holds,
        secret: &secret,
    };
    let listener = socket.map(|socket| watched.serve(socket)).transpose()?;
    let parts = DeliveryDependencies {
        queue: stores.store(),
        log,
        // A worker ingests no reports.
        throttle: Arc::default(),
        sender: event_sink::of(settings)?,
        directory,
        secret,
        environment: Arc::new(System),
        metrics,
    };
    let push = DeliveryWorker::new(parts, settings.push(), system::worker_name());
    #[expect(clippy::disallowed_methods, reason = "awaited when stopping")]
    let mut pushing = tokio::spawn(pushing::run(Arc::new(push), stop.clone()));
    tracing::info!(database = %settings.database()?, "working");

    let died = tokio::select! {
        signal = asked_to_stop => {
            tracing::info!(signal, "stopping: finishing the events under way");
            None
        }
        name = workers.died() => Some(anyhow!("the worker {name} died")),
        _ = &mut pushing => Some(anyhow!("pushing died")),
    };
    stop.cancel();
    workers.wait().await;
    if !pushing.is_finished() {
        let ended = lifecycle::in_time("pushing", Duration::from_secs(5), pushing).await;
        ended.transpose().context("pushing died")?;
    }
    if let Some((handle, listener)) = listener {
        handle.stop(true).await;
        listener.await.context("the worker's listener died")??;
    }
    stores.close().await;
    if let Some(died) = died {
        return Err(died);
    }
    tracing::info!("stopped");
    Ok(())
}

/// A listener that is served, and what stops it.
type Listener = (ServerHandle, JoinHandle<std::io::Result<()>>);

/// What a worker is watched by.
struct Watched<'a> {
    settings: &'a Settings,
    stores: &'a Stores,
    directory: &'a Arc<ChannelDirectory>,
    metrics: &'a Arc<MetricsRegistry>,
    log: &'a Arc<LogTailCache>,
    holds: &'a Arc<RetentionHolds>,
    secret: &'a ServerSecret,
}

impl Watched<'_> {
    fn serve(&self, socket: TcpListener) -> Result<Listener> {
        let address = socket.local_addr()?;
        let health = CheckHealth::new(self.stores.store(), Arc::clone(self.directory));
        let token = super::admin_token(self.settings)?;
        let state = MonitoringState {
            statistics: Arc::new(SubscriptionStatistics::new(
                self.stores.store(),
                Arc::clone(self.log),
                Arc::new(System),
            )),
            health: Arc::new(
                health
                    .with_retention(Arc::clone(self.holds))
                    .with_subscriptions(
                        self.stores.store(),
                        self.secret.clone(),
                        self.settings.push().max_pending,
                    ),
            ),
            metrics: Arc::clone(self.metrics),
            admin_token: AdminToken::new(&token),
        };
        let server =
            adapter_http::serve_monitoring(socket, state, operator_settings(self.settings))?;
        tracing::info!("metrics and health are on {address}");
        let handle = server.handle();
        #[expect(
            clippy::disallowed_methods,
            reason = "stopped and awaited when stopping"
        )]
        let server = tokio::spawn(server);
        Ok((handle, server))
    }
}
