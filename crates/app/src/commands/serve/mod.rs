//! The life of the server: open, listen, work, stop.

mod begin;
mod end;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use adapter_http::{
    AdminToken, HostNames, ListenerSettings, MetricsRegistry, OperatorState, PublicState,
    StreamSettings,
};
use anyhow::{Context as _, Result};
use domain::PublicUrl;
use domain::secret::ServerSecret;
use ports::WebhookSender;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use usecases::delivery::DeliveryDependencies;
use usecases::{
    AuthenticateCaller, ChannelDirectory, CheckHealth, DeliveryWorker, GroupCommitWriters,
    IngestQueue, ListErasures, ListMessages, ListRejections, LogTailCache, ManageChannels,
    ReadEvents, ReceiveReport, RetentionHolds, ShowMessage, SubscriptionStatistics, Throttle,
};

use super::demo::{self, Demo};
use crate::cli::ServeArgs;
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::event_sink;
use crate::lifecycle::{self, Deadline};
use crate::outage::DegradedMode;
use crate::system::System;
use crate::workers::{self, Worker};
use crate::{open_files, output, pushing, system, telemetry};
use begin::Start;
use end::{Running, Tasks};

/// Serves until asked to stop.
pub async fn run(settings: &Settings, args: &ServeArgs) -> Result<()> {
    super::inspect(settings)?;
    let public = listen(settings.public_listen, "RECEIPTD_PUBLIC_LISTEN")?;
    let operator = listen(settings.admin_listen, "RECEIPTD_ADMIN_LISTEN")?;
    let addresses = (public.local_addr()?, operator.local_addr()?);
    let public_url = settings.public_url_at(addresses.0)?;

    let secret = settings.server_secret()?;
    let sink = event_sink::of(settings)?;
    let stores = Stores::connect(settings).await?;
    let outage = DegradedMode::prepare(settings)?;
    let holds = Arc::<RetentionHolds>::default();
    let metrics = metrics(&outage, &holds);
    let directory = Arc::new(outage.keep_copy(ChannelDirectory::new(
        stores.store(),
        secret.clone(),
        metrics.clone(),
    )));
    let start = begin::begin(&stores, &directory).await?;
    let manage = composition::manage_channels(&stores, secret.clone(), public_url.clone());
    let demo = match &start {
        Start::Complete if args.demo => prepare_demo(settings, &manage, &directory).await?,
        Start::Complete => None,
        Start::WithoutDatabase(_) => {
            outage.begin();
            None
        }
    };

    let (intake, writers) =
        GroupCommitWriters::new(stores.store(), metrics.clone(), settings.intake());
    metrics.observe_queue(intake.depth());
    let log = Arc::new(LogTailCache::new(stores.store()));
    let throttle = Arc::<Throttle>::default();
    let writers = outage.keep_reports(writers).notifying(Arc::clone(&log));
    let writers = writers.throttling(Arc::clone(&throttle));
    #[expect(
        clippy::disallowed_methods,
        reason = "awaited when stopping, after the listeners"
    )]
    let writers = tokio::spawn(writers.run());
    let shared = Shared {
        settings,
        secret: &secret,
        stores: &stores,
        directory: &directory,
        metrics: &metrics,
        log: &log,
        throttle: &throttle,
        holds: &holds,
        sink: &sink,
    };
    let (stopping, streams_stop) = watch::channel(false);
    let public_state = shared.public_state(intake, public_url);
    let asked_to_stop = lifecycle::asked_to_stop()?;
    let admin_token = super::admin_token(settings)?;
    let operator_state = shared.operator_state(manage, &outage, streams_stop, &admin_token);

    let (public, farewell) =
        adapter_http::serve_public(public, public_state, server_settings(settings))?;
    let operator =
        adapter_http::serve_operator(operator, operator_state, operator_settings(settings))?;
    let (public_handle, operator_handle) = (public.handle(), operator.handle());
    #[expect(clippy::disallowed_methods, reason = "stopped and awaited below")]
    let (public, operator) = (tokio::spawn(public), tokio::spawn(operator));

    let stop = CancellationToken::new();
    let mut chores = shared.chores(&outage, args);
    if let Start::WithoutDatabase(under_way) = start {
        chores.push(begin::migrate_later(&stores, under_way));
    }
    let workers = workers::start(chores, &stop);
    let pushing = (!args.no_workers).then(|| shared.start_pushing(&stop));
    let pushing = pushing.transpose()?;

    announce(settings, addresses)?;
    if args.demo {
        show(demo.as_ref(), settings, addresses.1);
    }

    let running = Running {
        tasks: Tasks {
            public,
            operator,
            writers,
            workers,
            pushing,
        },
        public: public_handle,
        farewell,
        operator: operator_handle,
        streams: stopping,
        stop,
    };
    until_the_end(running, asked_to_stop, &stores, &directory).await
}

fn metrics(outage: &DegradedMode, holds: &Arc<RetentionHolds>) -> Arc<MetricsRegistry> {
    let metrics = MetricsRegistry::new(env!("CARGO_PKG_VERSION"), &composition::integrators());
    metrics.observe_dropped_log_lines(telemetry::dropped_lines);
    outage.watch(&metrics);
    metrics.observe_retention(Arc::clone(holds));
    Arc::new(metrics)
}

/// Goes on until it is asked to stop, or cannot go on, and ends in good order.
async fn until_the_end(
    mut running: Running,
    asked_to_stop: impl Future<Output = &'static str>,
    stores: &Stores,
    directory: &ChannelDirectory,
) -> Result<()> {
    let died = tokio::select! {
        signal = asked_to_stop => {
            tracing::info!(signal, "stopping: finishing the reports in flight");
            None
        }
        died = running.tasks.died() => {
            tracing::error!(error = format!("{died:#}"), "stopping: it has to be started anew");
            Some(died)
        }
    };
    let deadline = Deadline::after(end::WHOLE);
    let ended = running.end(deadline).await;
    end::leave(stores, directory, deadline).await;
    if let Some(died) = died {
        return Err(died);
    }
    ended?;
    tracing::info!("stopped");
    Ok(())
}

/// The demo channel, known from now on.
async fn prepare_demo(
    settings: &Settings,
    manage: &ManageChannels,
    directory: &ChannelDirectory,
) -> Result<Option<Demo>> {
    let demo = demo::prepare(settings, manage).await?;
    let refreshed = directory.refresh().await;
    refreshed.context("the channels cannot be read")?;
    Ok(demo)
}

/// Opens the listening socket of a setting.
pub fn listen(address: SocketAddr, setting: &str) -> Result<TcpListener> {
    let listener = adapter_http::bind(address);
    listener.with_context(|| format!("{setting}: {address} cannot be listened on"))
}

/// What the parts of a server have in common.
struct Shared<'a> {
    settings: &'a Settings,
    secret: &'a ServerSecret,
    stores: &'a Stores,
    directory: &'a Arc<ChannelDirectory>,
    metrics: &'a Arc<MetricsRegistry>,
    log: &'a Arc<LogTailCache>,
    throttle: &'a Arc<Throttle>,
    holds: &'a Arc<RetentionHolds>,
    sink: &'a Arc<dyn WebhookSender>,
}

impl Shared<'_> {
    fn public_state(&self, intake: IngestQueue, public_url: PublicUrl) -> PublicState {
        PublicState {
            integrators: composition::integrators(),
            authenticate: Arc::new(AuthenticateCaller::new(
                Arc::clone(self.directory),
                self.secret.clone(),
                Arc::new(System),
            )),
            receive: Arc::new(ReceiveReport::new(
                intake,
                self.stores.store(),
                public_url,
                Arc::new(System),
                self.metrics.clone(),
            )),
            metrics: Arc::clone(self.metrics),
        }
    }

    fn operator_state(
        &self,
        manage: ManageChannels,
        outage: &DegradedMode,
        stop: watch::Receiver<bool>,
        admin_token: &str,
    ) -> OperatorState {
        let stores = self.stores;
        let subscriptions = composition::manage_subscriptions(
            stores,
            self.settings,
            self.secret.clone(),
            Arc::clone(self.log),
            Arc::clone(self.directory),
            Arc::clone(self.sink),
        );
        OperatorState {
            manage: Arc::new(manage),
            show: Arc::new(ShowMessage::new(stores.store(), stores.store())),
            list: Arc::new(ListMessages::new(stores.store())),
            events: Arc::new(ReadEvents::new(Arc::clone(self.log))),
            streams: StreamSettings::default(),
            cursors: Arc::new(composition::manage_cursors(stores, Arc::clone(self.log))),
            subscriptions: Arc::new(subscriptions),
            statistics: Arc::new(SubscriptionStatistics::new(
                stores.store(),
                Arc::clone(self.log),
                Arc::new(System),
            )),
            stop,
            erase: Arc::new(
                composition::erase_recipient(stores).invalidating(Arc::clone(self.log)),
            ),
            erasures: Arc::new(ListErasures::new(stores.store())),
            rejections: Arc::new(ListRejections::new(stores.store())),
            health: Arc::new(
                outage.check(
                    CheckHealth::new(stores.store(), Arc::clone(self.directory))
                        .with_retention(Arc::clone(self.holds))
                        .with_subscriptions(
                            stores.store(),
                            self.secret.clone(),
                            self.settings.push().max_pending,
                        ),
                ),
            ),
            directory: Arc::clone(self.directory),
            metrics: Arc::clone(self.metrics),
            admin_token: AdminToken::new(admin_token),
            hosts: HostNames::new(self.settings.admin_hosts.iter().cloned()),
        }
    }

    fn start_pushing(&self, stop: &CancellationToken) -> Result<oneshot::Receiver<()>> {
        let parts = DeliveryDependencies {
            queue: self.stores.store(),
            log: Arc::clone(self.log),
            throttle: Arc::clone(self.throttle),
            // Its own: connections to targets belong to the thread that pushes.
            sender: event_sink::of(self.settings)?,
            directory: Arc::clone(self.directory),
            secret: self.secret.clone(),
            environment: Arc::new(System),
            metrics: self.metrics.clone(),
        };
        let push = DeliveryWorker::new(parts, self.settings.push(), system::worker_name());
        pushing::beside_the_intake(push, stop.clone()).context("events cannot be pushed")
    }

    fn chores(&self, outage: &DegradedMode, args: &ServeArgs) -> Vec<Worker> {
        let batch = self.settings.intake().batch;
        let mut chores = self.stores.workers();
        chores.push(keep_directory(Arc::clone(self.directory)));
        chores.push(outage.worker(self.stores, self.metrics.clone(), batch));
        if !args.no_workers {
            chores.extend(composition::clearing_up(
                self.stores,
                self.settings,
                self.log,
                self.holds,
            ));
        }
        chores
    }
}

fn server_settings(settings: &Settings) -> ListenerSettings {
    let limit = open_files::raise();
    let (wanted, allowed) = (settings.limits.max_connections, settings.connections(limit));
    if allowed < wanted {
        tracing::warn!(
            wanted,
            allowed,
            open_files = limit,
            "fewer connections are held than RECEIPTD_MAX_CONNECTIONS: too few files may be open"
        );
    }
    let number = |setting: u32| usize::try_from(setting).unwrap_or(usize::MAX);
    ListenerSettings {
        threads: settings.limits.http_threads.map(number),
        max_connections: number(allowed),
        max_head: settings.max_head(),
        // Longer than it is given: whoever stops it gives up first.
        shutdown_timeout: end::WHOLE,
        ..ListenerSettings::default()
    }
}

/// The limits of the listeners of operators and probes.
pub fn operator_settings(settings: &Settings) -> ListenerSettings {
    ListenerSettings {
        max_head: settings.max_head(),
        ..ListenerSettings::operator()
    }
}

/// Reads changed channels again and writes down which credentials were used.
pub fn keep_directory(directory: Arc<ChannelDirectory>) -> Worker {
    Worker::new("channels", Duration::from_secs(1), move || {
        let directory = Arc::clone(&directory);
        async move {
            directory.refresh().await?;
            directory.write_usage().await?;
            Ok(())
        }
    })
}

fn show(demo: Option<&Demo>, settings: &Settings, operator: SocketAddr) {
    match demo {
        Some(demo) => demo.print(settings, operator),
        None => output::hint(demo::NO_CHANNEL_MADE),
    }
}

fn announce(settings: &Settings, (public, operator): (SocketAddr, SocketAddr)) -> Result<()> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        database = %settings.database()?,
        "receiving reports on {public}, the operator's API is on {operator}"
    );
    Ok(())
}
