//! Runs the server: open, listen, work, stop.

mod database_start;
mod graceful_stop;
mod installation;
mod parts;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::Server;
use adapter_http::{ListenerSettings, MetricsRegistry};
use anyhow::{Context as _, Result};
use database_start::Start;
use domain::PublicUrl;
use graceful_stop::{Counters, RunningServer, ServerTasks};
use parts::ServerParts;
use ports::WebhookSender;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usecases::forwarding::ForwardingArrivals;
use usecases::{ChannelDirectory, LogTailCache, ManageChannels, RetentionHolds, Throttle};

use super::demo::{self, Demo};
use super::startup;
use crate::background::BackgroundTasks;
use crate::cli::ServeArgs;
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::degraded_mode::DegradedMode;
use crate::shutdown::{self, Deadline};
use crate::{open_files, output, statistics, telemetry, webhook_sender};

/// Serves until a stop signal.
pub async fn run(settings: &Settings, args: &ServeArgs) -> Result<()> {
    startup::check(settings)?;
    let listeners = &settings.listeners;
    let public = startup::listen(listeners.public_listen, "RECEIPTD_PUBLIC_LISTEN")?;
    let operator = startup::listen(listeners.admin_listen, "RECEIPTD_ADMIN_LISTEN")?;
    let addresses = (public.local_addr()?, operator.local_addr()?);
    let public_url = settings.public_url_at(addresses.0)?;

    let secret = settings.server_secret()?;
    let sink: Arc<dyn WebhookSender> = webhook_sender::create(settings)?;
    let stores = Stores::connect(settings).await?;
    let degraded_mode = DegradedMode::prepare(settings)?;
    let holds = Arc::<RetentionHolds>::default();
    let metrics = metrics(&degraded_mode, &holds);
    let directory = ChannelDirectory::new(stores.store(), secret.clone(), metrics.clone());
    let directory = Arc::new(degraded_mode.save_snapshots(directory));
    let start = database_start::start(&stores, &directory).await?;
    let manage =
        composition::manage_channels(&stores, settings, secret.clone(), public_url.clone());
    let demo = match start {
        Start::WithoutDatabase(_) => {
            degraded_mode.enter();
            None
        }
        Start::Complete if args.demo => prepare_demo(settings, &manage, &directory).await?,
        Start::Complete => None,
    };

    let log = Arc::new(LogTailCache::new(stores.store()));
    let throttle = Arc::<Throttle>::default();
    let requests = Arc::new(statistics::requests(&stores.store(), settings, &directory));
    let parts = ServerParts {
        settings,
        secret: &secret,
        stores: &stores,
        directory: &directory,
        requests: &requests,
        metrics: &metrics,
        log: &log,
        throttle: &throttle,
        holds: &holds,
        sink: &sink,
        arrivals: &ForwardingArrivals::default(),
    };
    let opened = Opened {
        public,
        operator,
        addresses,
        public_url,
        degraded_mode,
        manage,
        start,
        demo,
    };
    serve(&parts, opened, args).await
}

/// What was opened before the server starts.
struct Opened {
    public: TcpListener,
    operator: TcpListener,
    /// Those of the two listeners.
    addresses: (SocketAddr, SocketAddr),
    public_url: PublicUrl,
    degraded_mode: DegradedMode,
    manage: ManageChannels,
    start: Start,
    demo: Option<Demo>,
}

/// Starts everything, and stops it after a stop signal.
async fn serve(parts: &ServerParts<'_>, opened: Opened, args: &ServeArgs) -> Result<()> {
    let settings = parts.settings;
    let (queue, writers) = parts.start_writers(&opened.degraded_mode);
    let (streams, streams_stop) = watch::channel(false);
    let stop_signal = shutdown::stop_signal()?;
    let access = composition::access_control(parts.stores, &startup::admin_token(settings)?);
    let sessions = Arc::clone(&access.sessions);
    let operator_state =
        parts.operator_state(opened.manage, &opened.degraded_mode, streams_stop, access)?;

    let public_state = parts.public_state(queue, opened.public_url.clone());
    let (public, drain) =
        adapter_http::serve_public(opened.public, public_state, public_settings(settings))?;
    let console_url = settings.console_url_at(opened.addresses.1)?;
    let operator = parts.serve_operator(opened.operator, operator_state, &console_url)?;
    let (public_handle, operator_handle) = (public.handle(), operator.handle());
    let (public, operator) = (start_listener(public), start_listener(operator));

    let stop = CancellationToken::new();
    let mut tasks = parts.background_tasks(&opened.degraded_mode, args, &opened.public_url)?;
    tasks.extend(opened.start.migrate_later(parts.stores));
    let tasks = ServerTasks {
        public,
        operator,
        writers,
        background: BackgroundTasks::start(tasks, &stop),
        delivery: (!args.no_workers)
            .then(|| parts.start_delivery(&stop))
            .transpose()?,
    };

    announce(settings, opened.addresses)?;
    if args.demo {
        let link = adapter_console::sign_in_url(&console_url, &sessions.add_link());
        print_demo(opened.demo.as_ref(), settings, opened.addresses.1, &link);
    }

    let running = RunningServer {
        tasks,
        public: public_handle,
        drain,
        operator: operator_handle,
        streams,
        stop,
    };
    wait_and_stop(
        running,
        stop_signal,
        parts.stores,
        &Counters(parts.directory, parts.requests),
    )
    .await
}

/// Serves in the background. The shutdown stops and awaits it.
#[expect(clippy::disallowed_methods, reason = "awaited by the shutdown")]
fn start_listener(server: Server) -> JoinHandle<std::io::Result<()>> {
    tokio::spawn(server)
}

fn metrics(degraded_mode: &DegradedMode, holds: &Arc<RetentionHolds>) -> Arc<MetricsRegistry> {
    let metrics = MetricsRegistry::new(env!("CARGO_PKG_VERSION"), &composition::integrators());
    metrics.observe_dropped_log_lines(telemetry::dropped_lines);
    degraded_mode.watch(&metrics);
    metrics.observe_retention(Arc::clone(holds));
    Arc::new(metrics)
}

/// Waits for a stop signal or the death of a part, and shuts down. Fails if a part died.
async fn wait_and_stop(
    mut running: RunningServer,
    stop_signal: impl Future<Output = &'static str>,
    stores: &Stores,
    counters: &Counters<'_>,
) -> Result<()> {
    let died = tokio::select! {
        signal = stop_signal => {
            tracing::info!(signal, "stopping: finishing the requests in flight");
            None
        }
        died = running.tasks.died() => {
            tracing::error!(error = format!("{died:#}"), "stopping; restart this process");
            Some(died)
        }
    };
    let deadline = Deadline::after(graceful_stop::SHUTDOWN_TIMEOUT);
    let stopped = running.stop(deadline).await;
    graceful_stop::close_stores(stores, counters, deadline).await;
    if let Some(died) = died {
        return Err(died);
    }
    stopped?;
    tracing::info!("stopped");
    Ok(())
}

/// Creates the demo channel and makes it known to the directory.
async fn prepare_demo(
    settings: &Settings,
    manage: &ManageChannels,
    directory: &ChannelDirectory,
) -> Result<Option<Demo>> {
    let demo = demo::prepare(settings, manage).await?;
    let refreshed = directory.refresh().await;
    refreshed.context("cannot read the channels")?;
    Ok(demo)
}

fn public_settings(settings: &Settings) -> ListenerSettings {
    let limit = open_files::raise();
    let (wanted, allowed) = (
        settings.listeners.max_connections,
        settings.connections(limit),
    );
    if allowed < wanted {
        tracing::warn!(
            wanted,
            allowed,
            open_files = limit,
            "accepting fewer connections than RECEIPTD_MAX_CONNECTIONS: raise the limit of open \
             files"
        );
    }
    ListenerSettings {
        threads: settings.listeners.threads(),
        max_connections: usize::try_from(allowed).unwrap_or(usize::MAX),
        max_head: settings.listeners.max_head(),
        // Never reached: the shutdown aborts the listener earlier.
        shutdown_timeout: graceful_stop::SHUTDOWN_TIMEOUT,
        ..ListenerSettings::default()
    }
}

fn print_demo(demo: Option<&Demo>, settings: &Settings, operator: SocketAddr, sign_in: &str) {
    match demo {
        Some(demo) => demo.print(settings, operator),
        None => output::hint(demo::NO_CHANNEL_MADE),
    }
    output::line(format!(
        "Open the console; the link signs in once, within ten minutes, on this machine:\n  \
         {sign_in}\n\nEvery report is logged below.\n"
    ));
}

fn announce(settings: &Settings, (public, operator): (SocketAddr, SocketAddr)) -> Result<()> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        database = %settings.storage.database()?,
        "receiving reports on {public}, the operator's API is on {operator}"
    );
    Ok(())
}
