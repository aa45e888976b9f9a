//! The life of the server: open, listen, work, stop.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use adapter_http::{AdminToken, Home, Metrics, OperatorState, PublicSettings, PublicState};
use anyhow::{Context as _, Result, bail};
use domain::PublicUrl;
use ports::{EventSink, StoreError};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use usecases::push::PushParts;
use usecases::{
    AdmitCaller, ChannelDirectory, CheckHealth, Intake, ListErasures, ListMessages, ListRejections,
    ManageChannels, Pace, PushEvents, ReadEvents, ReceiveReport, SharedLog, ShowMessage,
    SurveySubscriptions,
};

use super::demo;
use crate::at_home::AtHome;
use crate::cli::ServeArgs;
use crate::config::{Secrets, Settings};
use crate::event_sink;
use crate::lifecycle;
use crate::outage::Outage;
use crate::system::SystemClock;
use crate::wiring::{self, Stores};
use crate::workers::{self, Worker};
use crate::{output, pushing, system};

/// Serves until asked to stop.
pub async fn run(settings: &Settings, args: &ServeArgs) -> Result<()> {
    let secrets = settings.secrets()?;
    let public = listen(settings.public_listen, "RECEIPTD_PUBLIC_LISTEN")?;
    let operator = listen(settings.admin_listen, "RECEIPTD_ADMIN_LISTEN")?;
    let addresses = (public.local_addr()?, operator.local_addr()?);
    let public_url = settings.public_url_at(addresses.0)?;

    let stores = Stores::connect(settings).await?;
    let outage = Outage::prepare(settings, &stores)?;
    let metrics = Arc::new(Metrics::new(
        env!("CARGO_PKG_VERSION"),
        &wiring::integrators(),
    ));
    outage.watch(&metrics);
    let directory = Arc::new(outage.keep_copy(ChannelDirectory::new(
        Arc::clone(&stores.channels),
        secrets.server.clone(),
        metrics.clone(),
    )));
    let schema_is_there = begin(&stores, &directory).await?;
    let manage = wiring::manage_channels(&stores, secrets.server.clone(), public_url.clone());
    let demo = if args.demo && schema_is_there {
        demo::prepare(settings, &manage).await?
    } else {
        None
    };
    if schema_is_there {
        directory
            .refresh()
            .await
            .context("the channels cannot be read")?;
    } else {
        outage.begin();
    }

    let (intake, writers) = Intake::new(
        Arc::clone(&stores.reports),
        metrics.clone(),
        settings.intake(),
    );
    let home = Home::here()?;
    let log = AtHome::new(Arc::clone(&stores.log), home.clone());
    let log = Arc::new(SharedLog::new(Arc::new(log)));
    let pace = Arc::<Pace>::default();
    let writers = outage.keep_reports(writers).telling(Arc::clone(&log));
    let writers = writers.slowing(Arc::clone(&pace));
    #[expect(
        clippy::disallowed_methods,
        reason = "awaited when stopping, after the listeners"
    )]
    let writers = tokio::spawn(writers.run());
    let shared = Shared {
        settings,
        secrets: &secrets,
        stores: &stores,
        directory: &directory,
        metrics: &metrics,
        log: &log,
        pace: &pace,
        sink: &event_sink::of(settings)?,
        home,
    };
    let (stopping, streams_stop) = watch::channel(false);
    let public_state = shared.public_state(intake, public_url);
    let operator_state = shared.operator_state(manage, &outage, streams_stop);

    let asked_to_stop = lifecycle::asked_to_stop()?;
    let public = adapter_http::serve_public(public, public_state, server_settings(settings))?;
    let operator = adapter_http::serve_operator(operator, operator_state)?;
    let (public_handle, operator_handle) = (public.handle(), operator.handle());
    #[expect(clippy::disallowed_methods, reason = "stopped and awaited below")]
    let (public, operator) = (tokio::spawn(public), tokio::spawn(operator));

    let stop = CancellationToken::new();
    let mut chores = shared.chores(&outage, args);
    if !schema_is_there {
        chores.extend(stores.migrate_later());
    }
    let workers = workers::start(chores, &stop);
    let pushing = (!args.no_workers).then(|| shared.start_pushing(&stop));
    let pushing = pushing.transpose()?;

    announce(settings, &secrets, addresses)?;
    if let Some(demo) = demo {
        demo.print();
    }

    let signal = asked_to_stop.await;
    tracing::info!(signal, "stopping: finishing the reports in flight");
    let running = Running {
        public: (public_handle, public),
        operator: (operator_handle, operator),
        streams: stopping,
        stop,
        workers,
        pushing,
        writers,
    };
    running.end().await?;
    leave(&stores, &directory).await;
    tracing::info!("stopped");
    Ok(())
}

/// The last that is written, when nobody calls any more.
async fn leave(stores: &Stores, directory: &ChannelDirectory) {
    let uses = directory.flush_uses();
    if let Some(Err(error)) = lifecycle::in_time("uses", Duration::from_secs(2), uses).await {
        tracing::warn!(%error, "when credentials were last used was not written down");
    }
    stores.close().await;
}

type Listener = (ServerHandle, JoinHandle<std::io::Result<()>>);

/// What has to be ended.
struct Running {
    public: Listener,
    operator: Listener,
    streams: watch::Sender<bool>,
    stop: CancellationToken,
    workers: TaskTracker,
    pushing: Option<oneshot::Receiver<()>>,
    writers: JoinHandle<()>,
}

impl Running {
    /// Ends everything that uses the stores, and loses no report over it.
    async fn end(self) -> Result<()> {
        let (handle, public) = self.public;
        handle.stop(true).await;
        public.await.context("the public listener died")??;
        self.stop.cancel();
        self.workers.wait().await;
        if let Some(pushing) = self.pushing {
            // What was not taken down is sent again, with the same ids.
            let ended = lifecycle::in_time("pushing", Duration::from_secs(5), pushing);
            ended.await.transpose().context("pushing died")?;
        }
        self.streams.send_replace(true);
        // The operator's listener goes last, so that one can watch.
        let (handle, operator) = self.operator;
        handle.stop(true).await;
        operator.await.context("the operator's listener died")??;
        // Every request is answered now, so nothing holds the intake any more.
        lifecycle::in_time("recording", Duration::from_secs(4), self.writers).await;
        Ok(())
    }
}

fn listen(address: SocketAddr, setting: &str) -> Result<TcpListener> {
    let listener = adapter_http::bind(address);
    listener.with_context(|| format!("{setting}: {address} cannot be listened on"))
}

/// Brings the schema up to date, or, while the store is away, takes the
/// channels from the copy. `true` if the schema is there.
async fn begin(stores: &Stores, directory: &ChannelDirectory) -> Result<bool> {
    match stores.migrate().await {
        Ok(()) => Ok(true),
        Err(error @ StoreError::Unavailable(_)) => {
            let filled = directory.fill_from_copy();
            if !filled
                .map_err(|error| anyhow::anyhow!(error))
                .context("the copy of the channels cannot be read")?
            {
                return Err(error).context(
                    "the database cannot be used, and there is no copy of its channels to start with",
                );
            }
            let error = usecases::intake::chain(&error);
            tracing::warn!(
                error,
                "started without the database: callers are proven by the copy of the channels, reports go to the journal"
            );
            Ok(false)
        }
        Err(error @ (StoreError::Rejected { .. } | StoreError::Corrupt { .. })) => {
            bail!(
                anyhow::Error::new(error)
                    .context("the database has a schema that is not this program's")
            )
        }
    }
}

/// What the parts of a server have in common.
struct Shared<'a> {
    settings: &'a Settings,
    secrets: &'a Secrets,
    stores: &'a Stores,
    directory: &'a Arc<ChannelDirectory>,
    metrics: &'a Arc<Metrics>,
    log: &'a Arc<SharedLog>,
    pace: &'a Arc<Pace>,
    sink: &'a Arc<dyn EventSink>,
    home: Home,
}

impl Shared<'_> {
    fn public_state(&self, intake: Intake, public_url: PublicUrl) -> PublicState {
        PublicState {
            integrators: wiring::integrators(),
            admit: Arc::new(AdmitCaller::new(
                Arc::clone(self.directory),
                self.secrets.server.clone(),
                Arc::new(SystemClock),
            )),
            receive: Arc::new(ReceiveReport::new(
                intake,
                Arc::clone(&self.stores.rejections),
                public_url,
                Arc::new(SystemClock),
                self.metrics.clone(),
            )),
            metrics: Arc::clone(self.metrics),
        }
    }

    fn operator_state(
        &self,
        manage: ManageChannels,
        outage: &Outage,
        stop: watch::Receiver<bool>,
    ) -> OperatorState {
        let stores = self.stores;
        let subscriptions = wiring::manage_subscriptions(
            stores,
            self.settings,
            self.secrets.server.clone(),
            Arc::clone(self.log),
            Arc::clone(self.directory),
            Arc::clone(self.sink),
        );
        OperatorState {
            manage: Arc::new(manage),
            show: Arc::new(ShowMessage::new(
                Arc::clone(&stores.reports),
                Arc::clone(&stores.channels),
            )),
            list: Arc::new(ListMessages::new(Arc::clone(&stores.reports))),
            events: Arc::new(ReadEvents::new(Arc::clone(self.log))),
            cursors: Arc::new(wiring::manage_cursors(stores, Arc::clone(self.log))),
            subscriptions: Arc::new(subscriptions),
            survey: Arc::new(SurveySubscriptions::new(
                Arc::clone(&stores.subscriptions),
                Arc::clone(self.log),
                Arc::new(SystemClock),
            )),
            stop,
            erase: Arc::new(wiring::erase_recipient(stores).telling(Arc::clone(self.log))),
            erasures: Arc::new(ListErasures::new(Arc::clone(&stores.erasures))),
            rejections: Arc::new(ListRejections::new(Arc::clone(&stores.rejections))),
            health: Arc::new(
                outage.check(
                    CheckHealth::new(Arc::clone(&stores.reports), Arc::clone(self.directory))
                        .with_subscriptions(
                            Arc::clone(&stores.subscriptions),
                            self.secrets.server.clone(),
                            self.settings.push().open,
                        ),
                ),
            ),
            directory: Arc::clone(self.directory),
            metrics: Arc::clone(self.metrics),
            admin_token: AdminToken::new(&self.secrets.admin_token.token),
        }
    }

    fn start_pushing(&self, stop: &CancellationToken) -> Result<oneshot::Receiver<()>> {
        let queue = AtHome::new(Arc::clone(&self.stores.queue), self.home.clone());
        let parts = PushParts {
            queue: Arc::new(queue),
            log: Arc::clone(self.log),
            pace: Arc::clone(self.pace),
            // Its own: connections to targets belong to the thread that pushes.
            sink: event_sink::of(self.settings)?,
            directory: Arc::clone(self.directory),
            secret: self.secrets.server.clone(),
            clock: Arc::new(SystemClock),
            observer: self.metrics.clone(),
        };
        let push = PushEvents::new(parts, self.settings.push(), system::worker_name());
        pushing::beside_the_intake(push, stop.clone()).context("events cannot be pushed")
    }

    fn chores(&self, outage: &Outage, args: &ServeArgs) -> Vec<Worker> {
        let batch = self.settings.intake().batch;
        let mut chores = self.stores.workers();
        chores.push(keep_directory(Arc::clone(self.directory)));
        chores.extend(outage.worker(self.stores, self.metrics.clone(), batch));
        if !args.no_workers {
            chores.extend(wiring::clearing_up(self.stores, self.settings, self.log));
        }
        chores
    }
}

fn server_settings(settings: &Settings) -> PublicSettings {
    let number = |setting: u32| usize::try_from(setting).unwrap_or(usize::MAX);
    PublicSettings {
        threads: settings.limits.http_threads.map(number),
        max_connections: number(settings.limits.max_connections),
        shutdown_timeout: Duration::from_secs(12),
        ..PublicSettings::default()
    }
}

/// Reads changed channels again and writes down which credentials were used.
pub fn keep_directory(directory: Arc<ChannelDirectory>) -> Worker {
    Worker::new("channels", Duration::from_secs(1), move || {
        let directory = Arc::clone(&directory);
        async move {
            directory.refresh().await?;
            directory.flush_uses().await?;
            Ok(())
        }
    })
}

fn announce(
    settings: &Settings,
    secrets: &Secrets,
    (public, operator): (SocketAddr, SocketAddr),
) -> Result<()> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        database = %settings.database()?,
        "receiving reports on {public}, the operator's API is on {operator}"
    );
    if secrets.admin_token.is_new {
        let kept = settings.data_dir.join("admin-token");
        output::hint(format!(
            "The operator's token, shown this once and kept in {}:\n  {}",
            kept.display(),
            secrets.admin_token.token
        ));
    }
    Ok(())
}
