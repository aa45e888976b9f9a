//! Delivers events, forwards requests and runs maintenance, without receiving reports.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use adapter_http::{MetricsRegistry, MonitoringState};
use anyhow::{Context as _, Result, anyhow};
use domain::crypto::ServerSecret;
use ports::{Metrics, RequestForwarder, WebhookSender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usecases::delivery::DeliveryDependencies;
use usecases::{
    ChannelDirectory, CheckHealth, DeliveryWorker, ForwardingWorker, LogTailCache, RetentionHolds,
    SubscriptionStatistics, TroubleFigures,
};

use super::startup;
use crate::background::{BackgroundTask, BackgroundTasks};
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::forwarding::{self, ForwardingParts};
use crate::system::{self, System};
use crate::{
    event_delivery, open_files, reconciliation, shutdown, telemetry, trouble, webhook_sender,
};

/// The longest time to save the progress of event delivery when stopping.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Works until a stop signal.
pub async fn run(settings: &Settings) -> Result<()> {
    startup::check(settings)?;
    open_files::raise();
    let secret = settings.server_secret()?;
    let socket = settings.listeners.worker_listen;
    let socket = socket.map(|at| startup::listen(at, "RECEIPTD_WORKER_LISTEN"));
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
    let refreshed = directory.refresh().await;
    refreshed.context("cannot read the channels")?;

    let stop_signal = shutdown::stop_signal()?;
    let stop = CancellationToken::new();
    let log = Arc::new(LogTailCache::new(stores.store()));
    let holds = Arc::<RetentionHolds>::default();
    metrics.observe_retention(Arc::clone(&holds));
    let parts = WorkerParts {
        settings,
        stores: &stores,
        directory: &directory,
        metrics: &metrics,
        log: &log,
        holds: &holds,
        secret: &secret,
    };
    let mut background = BackgroundTasks::start(parts.tasks()?, &stop);
    let listener = socket.map(|socket| parts.listen(socket)).transpose()?;
    let sender = webhook_sender::create(settings)?;
    let forwarding = parts.forwarding(sender.clone());
    let worker = DeliveryWorker::new(
        parts.delivery(sender),
        settings.delivery.settings(),
        system::worker_name(),
    );
    #[expect(clippy::disallowed_methods, reason = "awaited when stopping")]
    let mut delivery = tokio::spawn(event_delivery::run(
        Arc::new(worker),
        forwarding,
        stop.clone(),
    ));
    tracing::info!(database = %settings.storage.database()?, "working");

    let died = tokio::select! {
        signal = stop_signal => {
            tracing::info!(signal, "stopping: finishing the attempts in flight");
            None
        }
        task = background.died() => Some(anyhow!("the background task `{task}` died")),
        _ = &mut delivery => Some(anyhow!("event delivery died")),
    };
    stop.cancel();
    background.wait().await;
    if !delivery.is_finished() {
        let stopped = shutdown::within(DELIVERY_TIMEOUT, "event delivery", delivery).await;
        stopped.transpose().context("event delivery died")?;
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

/// A running listener, and what stops it.
type Listener = (ServerHandle, JoinHandle<std::io::Result<()>>);

struct WorkerParts<'a> {
    settings: &'a Settings,
    stores: &'a Stores,
    directory: &'a Arc<ChannelDirectory>,
    metrics: &'a Arc<MetricsRegistry>,
    log: &'a Arc<LogTailCache>,
    holds: &'a Arc<RetentionHolds>,
    secret: &'a ServerSecret,
}

impl WorkerParts<'_> {
    /// Returns what runs in the background, besides event delivery.
    fn tasks(&self) -> Result<Vec<BackgroundTask>> {
        let (settings, store) = (self.settings, self.stores.store());
        let mut tasks = vec![startup::refresh_channels(Arc::clone(self.directory))];
        tasks.extend(composition::clearing_up(
            self.stores,
            settings,
            self.log,
            self.holds,
            self.secret,
            // Never throttled: this process receives no reports.
            &Arc::default(),
            self.metrics.clone(),
        )?);
        let sender: Arc<dyn WebhookSender> = webhook_sender::create(settings)?;
        let url = settings.public_url()?;
        tasks.extend(trouble::tasks(
            &store,
            settings,
            self.secret,
            &sender,
            &url,
        )?);
        let metrics: Arc<dyn Metrics> = self.metrics.clone();
        tasks.extend(reconciliation::tasks(
            &store,
            settings,
            self.secret,
            &metrics,
        )?);
        Ok(tasks)
    }

    fn forwarding(&self, forwarder: Arc<dyn RequestForwarder>) -> ForwardingWorker {
        let parts = ForwardingParts {
            store: self.stores.store(),
            secret: self.secret.clone(),
            metrics: self.metrics.clone(),
            // Polled: this process receives no requests.
            arrivals: Arc::default(),
        };
        parts.worker(Arc::clone(self.directory), forwarder)
    }

    fn delivery(&self, sender: Arc<dyn WebhookSender>) -> DeliveryDependencies {
        DeliveryDependencies {
            queue: self.stores.store(),
            log: Arc::clone(self.log),
            // Never throttled: this process receives no reports.
            throttle: Arc::default(),
            sender,
            directory: Arc::clone(self.directory),
            secret: self.secret.clone(),
            environment: Arc::new(System),
            metrics: self.metrics.clone(),
        }
    }

    /// Starts the listener for metrics and health.
    fn listen(&self, socket: TcpListener) -> Result<Listener> {
        let address = socket.local_addr()?;
        let health = CheckHealth::new(self.stores.store(), Arc::clone(self.directory));
        let token = startup::admin_token(self.settings)?;
        let state = MonitoringState {
            statistics: Arc::new(SubscriptionStatistics::new(
                self.stores.store(),
                Arc::clone(self.log),
                Arc::new(System),
            )),
            forwarding: Arc::new(forwarding::figures(self.stores.store())),
            troubles: Arc::new(TroubleFigures::new(self.stores.store(), Arc::new(System))),
            health: Arc::new(
                health
                    .with_retention(Arc::clone(self.holds))
                    .with_subscriptions(
                        self.stores.store(),
                        self.secret.clone(),
                        self.settings.delivery.max_pending(),
                    ),
            ),
            metrics: Arc::clone(self.metrics),
            authenticate: composition::access_control(self.stores, &token).authenticate,
        };
        let server = adapter_http::serve_monitoring(
            socket,
            state,
            startup::operator_settings(self.settings),
        )?;
        tracing::info!("serving metrics and health on {address}");
        let handle = server.handle();
        #[expect(
            clippy::disallowed_methods,
            reason = "stopped and awaited when stopping"
        )]
        let server = tokio::spawn(server);
        Ok((handle, server))
    }
}
