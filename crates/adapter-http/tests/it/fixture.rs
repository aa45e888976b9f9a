//! A service on a store, listening on ports of its own.

use std::sync::Arc;
use std::time::Duration;

use adapter_http::{
    AdminToken, GracefulShutdown, HostNames, ListenerSettings, MetricsRegistry, OperatorState,
    PublicState, StreamSettings,
};
use async_trait::async_trait;
use domain::PublicUrl;
use domain::webhook::AnswerExcerpt;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target, WebhookSender};
use ports::{AttemptLog, DeliveryLog, SubscriptionStore};
use ports::{
    ChannelStore, Clock, Erasures, EventLog, Integrator, LogCursors, Metrics, RejectionStore,
    ReportStore,
};
use testkit::builders::server_secret;
use testkit::clock::{CountingIds, FixedClock};
use testkit::memory::MemoryStore;
use tokio::sync::watch;
use usecases::ingest::group_commit::IngestSettings;
use usecases::subscriptions::SubscriptionParts;
use usecases::{
    AuthenticateCaller, ChannelDirectory, CheckHealth, EraseRecipient, IngestQueue, Integrators,
    ListErasures, ListMessages, ListRejections, LogTailCache, ManageChannels, ManageCursors,
    ManageSubscriptions, ReadEvents, ReceiveReport, ShowMessage, SubscriptionStatistics,
};

use crate::client::Request;
use crate::service::Service;

pub const ADMIN_TOKEN: &str = "the-admin-token-of-tests";

/// Where the internet reaches the service of the tests.
pub const PUBLIC_URL: &str = "https://reports.example.com";

/// What a service keeps its data in.
#[derive(Clone)]
pub struct Stores {
    pub reports: Arc<dyn ReportStore>,
    pub channels: Arc<dyn ChannelStore>,
    pub rejections: Arc<dyn RejectionStore>,
    pub log: Arc<dyn EventLog>,
    pub cursors: Arc<dyn LogCursors>,
    pub subscriptions: Arc<dyn SubscriptionStore>,
    pub deliveries: Arc<dyn DeliveryLog>,
    pub attempts: Arc<dyn AttemptLog>,
    pub erasures: Arc<dyn Erasures>,
}

impl From<&MemoryStore> for Stores {
    fn from(store: &MemoryStore) -> Self {
        Self {
            reports: Arc::new(store.clone()),
            channels: Arc::new(store.clone()),
            rejections: Arc::new(store.clone()),
            log: Arc::new(store.clone()),
            cursors: Arc::new(store.clone()),
            subscriptions: Arc::new(store.clone()),
            deliveries: Arc::new(store.clone()),
            attempts: Arc::new(store.clone()),
            erasures: Arc::new(store.clone()),
        }
    }
}

/// A target that takes whatever it is sent.
struct Takes;

#[async_trait]
impl WebhookSender for Takes {
    async fn deliver(&self, _: &Target, _: &OutgoingEvent) -> Result<Delivered, SendError> {
        Ok(Delivered {
            answer: Answer {
                status: 202,
                excerpt: AnswerExcerpt::of(b"thank you"),
            },
            took: Duration::from_millis(1),
        })
    }
}

/// How a service of the tests is dimensioned.
#[derive(Clone, Copy)]
pub struct Size {
    pub public: ListenerSettings,
    pub operator: ListenerSettings,
    pub intake: IngestSettings,
    pub streams: StreamSettings,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            public: ListenerSettings::default(),
            operator: ListenerSettings::operator(),
            intake: IngestSettings::default(),
            streams: StreamSettings::default(),
        }
    }
}

/// A running service, and what a test may turn.
pub struct Running {
    pub service: Service,
    pub clock: Arc<FixedClock>,
    /// Prepares the public listener for its end.
    pub farewell: GracefulShutdown,
}

/// A service on a memory store.
pub async fn on_memory() -> (Running, MemoryStore) {
    let store = MemoryStore::new();
    (start(Stores::from(&store), &Size::default()).await, store)
}

/// Starts a service. It runs until the runtime of the test ends.
pub async fn start(stores: Stores, size: &Size) -> Running {
    let integrators = adapter_integrators::all();
    start_with(stores, size, integrators).await
}

/// Starts a service that speaks with these integrators.
pub async fn start_with(
    stores: Stores,
    size: &Size,
    integrators: Vec<Arc<dyn Integrator>>,
) -> Running {
    let clock = Arc::new(FixedClock::default());
    let integrators = Integrators::new(integrators);
    let metrics = Arc::new(MetricsRegistry::new("1.2.3", &integrators));
    let observer: Arc<dyn Metrics> = metrics.clone();
    let public_url = PublicUrl::parse(PUBLIC_URL).unwrap();
    let directory = Arc::new(ChannelDirectory::new(
        stores.channels.clone(),
        server_secret(),
        observer.clone(),
    ));
    directory.refresh().await.unwrap();
    let dyn_clock: Arc<dyn Clock> = clock.clone();
    let (intake, writers) = IngestQueue::new(stores.reports.clone(), observer.clone(), size.intake);
    metrics.watch_backlog(intake.backlog());
    let log = Arc::new(LogTailCache::new(stores.log.clone()));
    spawn(writers.telling(log.clone()).run());
    let public = PublicState {
        integrators: integrators.clone(),
        admit: Arc::new(AuthenticateCaller::new(
            directory.clone(),
            server_secret(),
            dyn_clock.clone(),
        )),
        receive: Arc::new(ReceiveReport::new(
            intake,
            stores.rejections.clone(),
            public_url.clone(),
            dyn_clock.clone(),
            observer,
        )),
        metrics: metrics.clone(),
    };
    let operator = OperatorState {
        manage: Arc::new(ManageChannels::new(
            stores.channels.clone(),
            integrators,
            server_secret(),
            public_url,
            dyn_clock,
            Arc::new(CountingIds::default()),
        )),
        show: Arc::new(ShowMessage::new(
            stores.reports.clone(),
            stores.channels.clone(),
        )),
        list: Arc::new(ListMessages::new(stores.reports.clone())),
        cursors: Arc::new(ManageCursors::new(
            stores.cursors.clone(),
            log.clone(),
            clock.clone(),
        )),
        subscriptions: Arc::new(ManageSubscriptions::new(SubscriptionParts {
            repository: stores.subscriptions.clone(),
            deliveries: stores.deliveries.clone(),
            attempts: stores.attempts.clone(),
            log: log.clone(),
            reports: stores.reports.clone(),
            sink: Arc::new(Takes),
            directory: directory.clone(),
            secret: server_secret(),
            clock: clock.clone(),
            ids: Arc::new(CountingIds::default()),
            private_targets: false,
        })),
        survey: Arc::new(SubscriptionStatistics::new(
            stores.subscriptions.clone(),
            log.clone(),
            clock.clone(),
        )),
        erase: Arc::new(
            EraseRecipient::new(
                stores.erasures.clone(),
                clock.clone(),
                Arc::new(CountingIds::default()),
            )
            .telling(log.clone()),
        ),
        erasures: Arc::new(ListErasures::new(stores.erasures.clone())),
        events: Arc::new(ReadEvents::new(log)),
        streams: size.streams,
        stop: watch::channel(false).1,
        rejections: Arc::new(ListRejections::new(stores.rejections.clone())),
        health: Arc::new(CheckHealth::new(stores.reports.clone(), directory.clone())),
        directory: directory.clone(),
        metrics,
        admin_token: AdminToken::new(ADMIN_TOKEN),
        hosts: HostNames::new(["test".to_owned()]),
    };
    let (service, farewell) = listen(public, operator, size).await;
    Running {
        service,
        clock,
        farewell,
    }
}

/// Serves on free ports.
async fn listen(
    public: PublicState,
    operator: OperatorState,
    size: &Size,
) -> (Service, GracefulShutdown) {
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let settings = ListenerSettings {
        threads: Some(1),
        disconnect_timeout: Duration::from_secs(1),
        ..size.public
    };
    let listener = adapter_http::bind(anywhere).unwrap();
    let public_address = listener.local_addr().unwrap();
    let (server, farewell) = adapter_http::serve_public(listener, public, settings).unwrap();
    spawn(server);
    let listener = adapter_http::bind(anywhere).unwrap();
    let operator_address = listener.local_addr().unwrap();
    spawn(adapter_http::serve_operator(listener, operator, size.operator).unwrap());

    let service = Service {
        public: public_address,
        operator: operator_address,
        admin_token: ADMIN_TOKEN.to_owned(),
    };
    // Connections wait in the backlog until the listeners accept them.
    let alive = Request::get("/healthz").send(service.operator).await;
    assert_eq!(alive.status, 200);
    (service, farewell)
}

#[expect(
    clippy::disallowed_methods,
    reason = "what it starts ends with the test's runtime"
)]
fn spawn<F: Future<Output: Send> + Send + 'static>(work: F) {
    tokio::spawn(work);
}
