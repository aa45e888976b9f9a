//! What the parts of a server have in common, and how the listeners and tasks are built from it.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::Server;
use adapter_console::ConsoleState;
use adapter_http::{HostNames, MetricsRegistry, OperatorState, PublicState, StreamSettings};
use anyhow::{Context as _, Result};
use domain::PublicUrl;
use domain::access::ConsoleUrl;
use domain::crypto::ServerSecret;
use ports::{Metrics, WebhookSender};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use usecases::delivery::DeliveryDependencies;
use usecases::forwarding::ForwardingArrivals;
use usecases::ingest::group_commit::WriterDied;
use usecases::statistics::CountRequests;
use usecases::{
    AccessControl, AllowSender, AuthenticateCaller, ChannelDirectory, CheckHealth, DeliveryWorker,
    GroupCommitWriters, IngestQueue, ListErasures, ListMessages, ListRejections, LogTailCache,
    ManageChannels, ReadEvents, ReceiveReport, RecipientLinks, RetentionHolds, RuntimeHandle,
    SavedViews, ShowMessage, SubscriptionStatistics, Throttle, TroubleFigures,
};

use super::installation;
use crate::background::BackgroundTask;
use crate::cli::ServeArgs;
use crate::commands::startup;
use crate::composition::{self, Stores};
use crate::config::Settings;
use crate::degraded_mode::DegradedMode;
use crate::forwarding::{self, ForwardingParts};
use crate::system::{self, System};
use crate::{event_delivery, reconciliation, statistics, trouble, webhook_sender};

pub struct ServerParts<'a> {
    pub settings: &'a Settings,
    pub secret: &'a ServerSecret,
    pub stores: &'a Stores,
    pub directory: &'a Arc<ChannelDirectory>,
    pub requests: &'a Arc<CountRequests>,
    pub metrics: &'a Arc<MetricsRegistry>,
    pub log: &'a Arc<LogTailCache>,
    pub throttle: &'a Arc<Throttle>,
    pub holds: &'a Arc<RetentionHolds>,
    pub sink: &'a Arc<dyn WebhookSender>,
    pub arrivals: &'a ForwardingArrivals,
}

impl ServerParts<'_> {
    /// Starts the writers of the ingest queue. The shutdown awaits them after the listeners.
    #[expect(clippy::disallowed_methods, reason = "awaited by the shutdown")]
    pub fn start_writers(
        &self,
        degraded_mode: &DegradedMode,
    ) -> (IngestQueue, JoinHandle<Result<(), WriterDied>>) {
        let settings = self.settings.ingest.settings();
        let (queue, writers) =
            GroupCommitWriters::new(self.stores.store(), self.metrics.clone(), settings);
        self.metrics.observe_queue(queue.depth());
        let writers = degraded_mode.spill(writers).notifying(Arc::clone(self.log));
        let writers = writers.throttling(Arc::clone(self.throttle));
        (queue, tokio::spawn(writers.run()))
    }

    pub fn public_state(&self, queue: IngestQueue, public_url: PublicUrl) -> PublicState {
        PublicState {
            integrators: composition::integrators(),
            authenticate: Arc::new(AuthenticateCaller::new(
                Arc::clone(self.directory),
                self.secret.clone(),
                Arc::new(System),
            )),
            receive: Arc::new(
                ReceiveReport::new(
                    queue,
                    self.stores.store(),
                    self.stores.store(),
                    public_url,
                    Arc::new(System),
                    self.metrics.clone(),
                )
                .sealing_senders(self.secret.clone())
                .forwarding(Arc::new(self.forwarding().outbox())),
            ),
            metrics: Arc::clone(self.metrics),
        }
    }

    fn forwarding(&self) -> ForwardingParts {
        ForwardingParts {
            store: self.stores.store(),
            secret: self.secret.clone(),
            metrics: self.metrics.clone(),
            arrivals: Arc::clone(self.arrivals),
        }
    }

    pub fn operator_state(
        &self,
        manage: ManageChannels,
        degraded_mode: &DegradedMode,
        stop: watch::Receiver<bool>,
        access: AccessControl,
    ) -> Result<OperatorState> {
        let stores = self.stores;
        let subscriptions = composition::manage_subscriptions(
            stores,
            self.settings,
            self.secret.clone(),
            Arc::clone(self.log),
            Arc::clone(self.directory),
            Arc::clone(self.sink),
        );
        let test_channel = composition::test_channel(
            stores,
            self.settings,
            self.secret.clone(),
            manage.public_url().clone(),
            Arc::clone(self.directory),
        );
        Ok(OperatorState {
            manage: Arc::new(manage),
            reconciliation: Arc::new(reconciliation::manage(&stores.store(), self.secret.clone())),
            forwarding: Arc::new(forwarding::figures(stores.store())),
            test_channel: Arc::new(test_channel?),
            show: Arc::new(ShowMessage::new(stores.store(), stores.store())),
            list: Arc::new(ListMessages::new(
                stores.store(),
                stores.store(),
                self.secret.clone(),
            )),
            events: Arc::new(ReadEvents::new(Arc::clone(self.log))),
            streams: StreamSettings::default(),
            cursors: Arc::new(composition::manage_cursors(stores, Arc::clone(self.log))),
            subscriptions: Arc::new(subscriptions),
            statistics: Arc::new(SubscriptionStatistics::new(
                stores.store(),
                Arc::clone(self.log),
                Arc::new(System),
            )),
            read_statistics: Arc::new(statistics::read(&stores.store(), self.settings)),
            troubles: Arc::new(trouble::manage(&stores.store())),
            trouble_figures: Arc::new(TroubleFigures::new(stores.store(), Arc::new(System))),
            stop,
            erase: Arc::new(
                composition::erase_recipient(stores, self.secret.clone())
                    .invalidating(Arc::clone(self.log)),
            ),
            erasures: Arc::new(ListErasures::new(stores.store())),
            rejections: Arc::new(ListRejections::new(stores.store())),
            health: Arc::new(
                degraded_mode.check(
                    CheckHealth::new(stores.store(), Arc::clone(self.directory))
                        .with_retention(Arc::clone(self.holds))
                        .with_subscriptions(
                            stores.store(),
                            self.secret.clone(),
                            self.settings.delivery.max_pending(),
                        ),
                ),
            ),
            directory: Arc::clone(self.directory),
            metrics: Arc::clone(self.metrics),
            access,
            hosts: HostNames::new(self.settings.listeners.operator_hosts()),
        })
    }

    /// Serves the operator's listener, with the console.
    pub fn serve_operator(
        &self,
        listener: TcpListener,
        state: OperatorState,
        console_url: &ConsoleUrl,
    ) -> Result<Server> {
        let console = self.console_state(&state, console_url.clone())?;
        let console = adapter_console::configure(console, RuntimeHandle::here()?);
        let settings = startup::operator_settings(self.settings);
        let server = adapter_http::serve_operator(listener, state, console, settings)?;
        Ok(server)
    }

    /// Returns the state of the console, which shares the use cases of the operator's API.
    fn console_state(&self, operator: &OperatorState, url: ConsoleUrl) -> Result<ConsoleState> {
        Ok(ConsoleState {
            access: operator.access.clone(),
            installation: installation::describe(self.settings, &url)?,
            url,
            channels: Arc::clone(&operator.manage),
            reconciliation: Arc::clone(&operator.reconciliation),
            forwarding: Arc::clone(&operator.forwarding),
            test_channel: Arc::clone(&operator.test_channel),
            directory: Arc::clone(self.directory),
            views: Arc::new(SavedViews::new(self.stores.store(), Arc::new(System))),
            list: Arc::clone(&operator.list),
            show: Arc::clone(&operator.show),
            recipients: Arc::new(RecipientLinks::new(self.secret.clone(), Arc::new(System))),
            rejections: Arc::clone(&operator.rejections),
            allow_sender: Arc::new(AllowSender::new(
                self.stores.store(),
                Arc::clone(&operator.manage),
                self.secret.clone(),
            )),
            subscriptions: Arc::clone(&operator.subscriptions),
            statistics: Arc::clone(&operator.read_statistics),
            troubles: Arc::clone(&operator.troubles),
            events: Arc::clone(&operator.events),
            stop: operator.stop.clone(),
            erase: Arc::clone(&operator.erase),
            erasures: Arc::clone(&operator.erasures),
            health: Arc::clone(&operator.health),
            time_zone: self.settings.statistics.time_zone.to_string(),
        })
    }

    /// Starts the thread that delivers events and forwards requests; see
    /// [`event_delivery::start_thread`].
    pub fn start_delivery(&self, stop: &CancellationToken) -> Result<oneshot::Receiver<()>> {
        // A sender of its own: connections to endpoints belong to the delivery thread.
        let sender = webhook_sender::create(self.settings)?;
        let directory = Arc::clone(self.directory);
        let forwarding = self.forwarding().worker(directory, sender.clone());
        let parts = DeliveryDependencies {
            queue: self.stores.store(),
            log: Arc::clone(self.log),
            throttle: Arc::clone(self.throttle),
            sender,
            directory: Arc::clone(self.directory),
            secret: self.secret.clone(),
            environment: Arc::new(System),
            metrics: self.metrics.clone(),
        };
        let settings = self.settings.delivery.settings();
        let worker = DeliveryWorker::new(parts, settings, system::worker_name());
        event_delivery::start_thread(worker, forwarding, stop.clone())
            .context("cannot start event delivery")
    }

    /// Returns the background tasks of a server; with `--no-workers` without maintenance.
    pub fn background_tasks(
        &self,
        degraded_mode: &DegradedMode,
        args: &ServeArgs,
        public_url: &PublicUrl,
    ) -> Result<Vec<BackgroundTask>> {
        let batch = self.settings.ingest.settings().batch;
        let mut tasks = self.stores.workers();
        tasks.push(startup::refresh_channels(Arc::clone(self.directory)));
        tasks.push(statistics::requests_task(Arc::clone(self.requests)));
        tasks.push(degraded_mode.replay_task(self.stores, self.metrics.clone(), batch));
        tasks.push(degraded_mode.note_use_task(self.stores));
        if !args.no_workers {
            tasks.extend(composition::clearing_up(
                self.stores,
                self.settings,
                self.log,
                self.holds,
                self.secret,
                self.throttle,
                self.metrics.clone(),
            )?);
            let store = self.stores.store();
            tasks.extend(trouble::tasks(
                &store,
                self.settings,
                self.secret,
                self.sink,
                public_url,
            )?);
            let metrics: Arc<dyn Metrics> = self.metrics.clone();
            tasks.extend(reconciliation::tasks(
                &store,
                self.settings,
                self.secret,
                &metrics,
            )?);
        }
        Ok(tasks)
    }
}
