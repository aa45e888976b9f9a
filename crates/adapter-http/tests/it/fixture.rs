//! Starts a service on a store, on free ports.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use adapter_http::{
    GracefulShutdown, HostNames, ListenerSettings, MetricsRegistry, OperatorState, PublicState,
    StreamSettings,
};
use async_trait::async_trait;
use domain::PublicUrl;
use domain::access::TokenHash;
use domain::webhook::AnswerExcerpt;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target, WebhookSender};
use ports::{Environment, Integrator, Metrics, Store};
use testkit::builders::server_secret;
use testkit::clock::{FixedClock, UtcDays};
use testkit::memory::MemoryStore;
use testkit::probe::UnresolvedHost;
use tokio::sync::watch;
use usecases::channels::channel_test::TestDependencies;
use usecases::ingest::queue::IngestSettings;
use usecases::subscriptions::SubscriptionDependencies;
use usecases::{
    AccessControl, AuthenticateCaller, ChannelDirectory, CheckHealth, EraseRecipient,
    ForwardingFigures, ForwardingOutbox, GroupCommitWriters, IngestQueue, Integrators,
    ListErasures, ListMessages, ListRejections, LogTailCache, ManageChannels, ManageCursors,
    ManageReconciliation, ManageSubscriptions, ManageTroubles, ReadEvents, ReadStatistics,
    ReceiveReport, ShowMessage, SubscriptionStatistics, TestChannel, TroubleFigures,
};

use crate::client::Request;
use crate::service::Service;

pub const ADMIN_TOKEN: &str = "the-admin-token-of-tests";

/// The public URL of the service.
pub const PUBLIC_URL: &str = "https://reports.example.com";

/// An endpoint that accepts every event.
struct AcceptingEndpoint;

#[async_trait]
impl WebhookSender for AcceptingEndpoint {
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

/// The settings of a service.
#[derive(Clone, Copy)]
pub struct Size {
    pub public: ListenerSettings,
    pub operator: ListenerSettings,
    pub ingest: IngestSettings,
    pub streams: StreamSettings,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            public: ListenerSettings::default(),
            operator: ListenerSettings::operator(),
            ingest: IngestSettings::default(),
            streams: StreamSettings::default(),
        }
    }
}

/// A running service, and what a test controls.
pub struct Running {
    pub service: Service,
    pub clock: Arc<FixedClock>,
    pub shutdown: GracefulShutdown,
}

impl Deref for Running {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

/// Starts a service on a memory store.
pub async fn on_memory() -> (Running, MemoryStore) {
    sized(|_| {}).await
}

/// Starts a service on a memory store, with changed settings.
pub async fn sized(change: impl FnOnce(&mut Size)) -> (Running, MemoryStore) {
    let mut size = Size::default();
    change(&mut size);
    start(&size, adapter_integrators::all()).await
}

fn cursors(
    store: &Arc<dyn Store>,
    log: &Arc<LogTailCache>,
    clock: &Arc<FixedClock>,
) -> Arc<ManageCursors> {
    let (store, log) = (store.clone(), log.clone());
    Arc::new(ManageCursors::new(store, log, clock.clone()))
}

fn troubles(store: &Arc<dyn Store>, clock: &Arc<FixedClock>) -> Arc<ManageTroubles> {
    let clock = clock.clone();
    let troubles = ManageTroubles::new(store.clone(), store.clone(), store.clone(), clock);
    Arc::new(troubles)
}

fn list_messages(store: &Arc<dyn Store>) -> ListMessages {
    ListMessages::new(store.clone(), store.clone(), server_secret())
}

fn reconciliation(store: &Arc<dyn Store>, clock: &Arc<FixedClock>) -> Arc<ManageReconciliation> {
    let (secret, clock) = (server_secret(), clock.clone());
    Arc::new(ManageReconciliation::new(
        store.clone(),
        store.clone(),
        secret,
        clock,
    ))
}

/// Starts a service with these integrators. It runs until the runtime of the test ends.
pub async fn start(size: &Size, integrators: Vec<Arc<dyn Integrator>>) -> (Running, MemoryStore) {
    let store = MemoryStore::new();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let clock = Arc::new(FixedClock::default());
    let integrators = Integrators::new(integrators);
    let metrics = Arc::new(MetricsRegistry::new("1.2.3", &integrators));
    let observer: Arc<dyn Metrics> = metrics.clone();
    let public_url = PublicUrl::parse(PUBLIC_URL).unwrap();
    let directory = Arc::new(ChannelDirectory::new(
        shared.clone(),
        server_secret(),
        observer.clone(),
    ));
    directory.refresh().await.unwrap();
    let dyn_clock: Arc<dyn Environment> = clock.clone();
    let (intake, writers) = GroupCommitWriters::new(shared.clone(), observer.clone(), size.ingest);
    metrics.observe_queue(intake.depth());
    let log = Arc::new(LogTailCache::new(shared.clone()));
    spawn(writers.notifying(log.clone()).run());
    let public = PublicState {
        integrators: integrators.clone(),
        authenticate: Arc::new(AuthenticateCaller::new(
            directory.clone(),
            server_secret(),
            dyn_clock.clone(),
        )),
        receive: Arc::new(receive(intake, &shared, &clock, observer)),
        metrics: metrics.clone(),
    };
    let operator = OperatorState {
        manage: Arc::new(ManageChannels::new(
            shared.clone(),
            integrators,
            server_secret(),
            public_url,
            dyn_clock,
        )),
        reconciliation: reconciliation(&shared, &clock),
        forwarding: Arc::new(ForwardingFigures::new(shared.clone(), clock.clone())),
        test_channel: Arc::new(test_channel(&shared, &directory, &clock)),
        show: Arc::new(ShowMessage::new(shared.clone(), shared.clone())),
        list: Arc::new(list_messages(&shared)),
        cursors: cursors(&shared, &log, &clock),
        subscriptions: Arc::new(ManageSubscriptions::new(SubscriptionDependencies {
            store: shared.clone(),
            deliveries: shared.clone(),
            operator_events: shared.clone(),
            log: log.clone(),
            reports: shared.clone(),
            sender: Arc::new(AcceptingEndpoint),
            directory: directory.clone(),
            secret: server_secret(),
            environment: clock.clone(),
            private_targets: false,
        })),
        statistics: Arc::new(SubscriptionStatistics::new(
            shared.clone(),
            log.clone(),
            clock.clone(),
        )),
        read_statistics: Arc::new(ReadStatistics::new(
            shared.clone(),
            shared.clone(),
            Arc::new(UtcDays),
            clock.clone(),
        )),
        troubles: troubles(&shared, &clock),
        trouble_figures: Arc::new(TroubleFigures::new(shared.clone(), clock.clone())),
        erase: Arc::new(
            EraseRecipient::new(shared.clone(), server_secret(), clock.clone())
                .invalidating(log.clone()),
        ),
        erasures: Arc::new(ListErasures::new(shared.clone())),
        events: Arc::new(ReadEvents::new(log)),
        streams: size.streams,
        stop: watch::channel(false).1,
        rejections: Arc::new(ListRejections::new(shared.clone())),
        health: Arc::new(CheckHealth::new(shared.clone(), directory.clone())),
        directory: directory.clone(),
        metrics,
        access: AccessControl::new(
            shared.clone(),
            shared,
            TokenHash::of(ADMIN_TOKEN.as_bytes()),
            clock.clone(),
        ),
        hosts: HostNames::new(["test".to_owned()]),
    };
    let (service, shutdown) = listen(public, operator, size).await;
    let running = Running {
        service,
        clock,
        shutdown,
    };
    (running, store)
}

/// The use case that receives reports, and stores requests to forward.
fn receive(
    intake: IngestQueue,
    store: &Arc<dyn Store>,
    clock: &Arc<FixedClock>,
    metrics: Arc<dyn Metrics>,
) -> ReceiveReport {
    let outbox = ForwardingOutbox::new(
        store.clone(),
        server_secret(),
        clock.clone(),
        metrics.clone(),
        Arc::default(),
    );
    let public_url = PublicUrl::parse(PUBLIC_URL).unwrap();
    let receive = ReceiveReport::new(
        intake,
        store.clone(),
        store.clone(),
        public_url,
        clock.clone(),
        metrics,
    );
    receive.forwarding(Arc::new(outbox))
}

/// The use case that tests channels, on a network without names.
fn test_channel(
    store: &Arc<dyn Store>,
    directory: &Arc<ChannelDirectory>,
    clock: &Arc<FixedClock>,
) -> TestChannel {
    TestChannel::new(TestDependencies {
        channels: store.clone(),
        reports: store.clone(),
        directory: Some(directory.clone()),
        probe: Arc::new(UnresolvedHost),
        integrators: Integrators::new(adapter_integrators::all()),
        secret: server_secret(),
        public_url: PublicUrl::parse(PUBLIC_URL).unwrap(),
        private_targets: false,
        environment: clock.clone(),
    })
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
    let (server, shutdown) = adapter_http::serve_public(listener, public, settings).unwrap();
    spawn(server);
    let listener = adapter_http::bind(anywhere).unwrap();
    let operator_address = listener.local_addr().unwrap();
    spawn(adapter_http::serve_operator(listener, operator, |_| {}, size.operator).unwrap());

    let service = Service {
        public: public_address,
        operator: operator_address,
        admin_token: ADMIN_TOKEN.to_owned(),
    };
    // Connections wait until the listeners accept them.
    let alive = Request::get("/healthz").send(service.operator).await;
    assert_eq!(alive.status, 200);
    (service, shutdown)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the task ends with the runtime of the test"
)]
fn spawn<F: Future<Output: Send> + Send + 'static>(work: F) {
    tokio::spawn(work);
}
