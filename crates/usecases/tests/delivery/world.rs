//! A store, a log, an endpoint and workers, all in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::crypto::ServerSecret;
use domain::crypto::SigningSecret;
use domain::delivery::DeliveryFilter;
use domain::page::{PageSize, ScanLimit};
use domain::subscription::SubscriptionSecret;
use domain::webhook::AnswerExcerpt;
use domain::{
    Delivery, DeliveryState, Effect, IntegratorName, LogPosition, RejectionReason, ReportedStatus,
    Subscription, SubscriptionId,
};
use ports::metrics::{NoMetrics, StopReason};
use ports::subscriptions::SubscriptionStatus;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target, WebhookSender};
use ports::{
    DeliveryStore as _, Environment as _, Metrics, ReportStore as _, SubscriptionStore as _,
};
use serde_json::Value;
use testkit::builders::{report, server_secret, subscription};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use usecases::delivery::{DeliveryDependencies, DeliverySettings};
use usecases::{ChannelDirectory, DeliveryWorker, LogTailCache, Throttle};

/// How an endpoint answers: HTTP status and `Retry-After`, by message and number of attempts.
type Behaviour = dyn Fn(&str, usize) -> (u16, Option<Duration>) + Send + Sync;

/// An endpoint in memory.
pub(crate) struct MemoryEndpoint {
    /// Message and revision of each delivered event, in order.
    taken: Mutex<Vec<(String, i64)>>,
    pub(crate) tries: Mutex<HashMap<String, usize>>,
    /// The recipient in each attempt.
    pub(crate) shown: Mutex<Vec<String>>,
    pub(crate) under_way: Mutex<HashSet<String>>,
    behaviour: Mutex<Arc<Behaviour>>,
}

#[async_trait]
impl WebhookSender for MemoryEndpoint {
    async fn deliver(&self, _: &Target, event: &OutgoingEvent) -> Result<Delivered, SendError> {
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(body["id"], event.id.as_str());
        let sid = body["subject"].as_str().unwrap().to_owned();
        let alone = self.under_way.lock().unwrap().insert(sid.clone());
        assert!(alone, "two events of one message are in flight");
        let tries = {
            let mut tries = self.tries.lock().unwrap();
            let tries = tries.entry(event.id.to_string()).or_default();
            *tries += 1;
            *tries
        };
        let to = body["data"]["to"].as_str().unwrap().to_owned();
        self.shown.lock().unwrap().push(to);
        tokio::task::yield_now().await;
        let behaviour = self.behaviour.lock().unwrap().clone();
        let (status, after) = behaviour(&sid, tries);
        self.under_way.lock().unwrap().remove(&sid);
        let answer = Answer {
            status,
            excerpt: AnswerExcerpt::default(),
        };
        let took = Duration::from_millis(1);
        match status {
            200..300 => {
                let revision = body["data"]["revision"].as_i64().unwrap();
                self.taken.lock().unwrap().push((sid, revision));
                Ok(Delivered { answer, took })
            }
            410 => Err(SendError::Gone { answer, took }),
            _ => Err(SendError::Retry {
                after,
                answer: Some(answer),
                took,
                source: "refused".into(),
            }),
        }
    }
}

/// Records why subscriptions were stopped, in order.
#[derive(Default)]
pub(crate) struct StopRecorder(Mutex<Vec<StopReason>>);

impl Metrics for StopRecorder {
    fn recorded(&self, _: &IntegratorName, _: &ReportedStatus, _: Effect) {}
    fn committed(&self, _: usize, _: Duration) {}
    fn commit_failed(&self, _: usize) {}
    fn rejected(&self, _: RejectionReason) {}
    fn channels_known(&self, _: usize) {}
    fn subscription_stopped(&self, reason: StopReason) {
        self.0.lock().unwrap().push(reason);
    }
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    stops: Arc<StopRecorder>,
    pub(crate) log: Arc<LogTailCache>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) sink: Arc<MemoryEndpoint>,
    pub(crate) clock: Arc<FixedClock>,
    stop: watch::Sender<bool>,
    pub(crate) settings: DeliverySettings,
}

impl World {
    pub(crate) fn new(behaviour: impl Fn(&str, usize) -> u16 + Send + Sync + 'static) -> Self {
        let behaviour = move |sid: &str, tries| (behaviour(sid, tries), None);
        let store = MemoryStore::new();
        Self {
            log: Arc::new(LogTailCache::new(Arc::new(store.clone()))),
            store,
            stops: Arc::default(),
            throttle: Arc::default(),
            sink: Arc::new(MemoryEndpoint {
                taken: Mutex::default(),
                tries: Mutex::default(),
                shown: Mutex::default(),
                under_way: Mutex::default(),
                behaviour: Mutex::new(Arc::new(behaviour)),
            }),
            clock: Arc::new(FixedClock::default()),
            stop: watch::Sender::new(false),
            settings: DeliverySettings {
                write_interval: Duration::from_millis(5),
                // A busy machine must not lose it: a new dispatcher sends and probes again.
                lease: Duration::from_secs(1),
                ..DeliverySettings::default()
            },
        }
    }

    pub(crate) fn now_behaves(
        &self,
        behaviour: impl Fn(&str, usize) -> u16 + Send + Sync + 'static,
    ) {
        self.now_answers(move |sid, tries| (behaviour(sid, tries), None));
    }

    pub(crate) fn now_answers(
        &self,
        behaviour: impl Fn(&str, usize) -> (u16, Option<Duration>) + Send + Sync + 'static,
    ) {
        *self.sink.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    pub(crate) async fn subscribe(&self, number: u128) -> SubscriptionId {
        self.subscribe_under(number, &server_secret()).await
    }

    /// Adds a subscription whose signing secret is sealed under `server_secret`.
    pub(crate) async fn subscribe_under(
        &self,
        number: u128,
        server_secret: &ServerSecret,
    ) -> SubscriptionId {
        let subscription = sealed(subscription(number), server_secret);
        let id = subscription.id;
        let added = self.store.add(&subscription, LogPosition::START).await;
        assert!(added.unwrap());
        id
    }

    pub(crate) fn directory(&self) -> ChannelDirectory {
        ChannelDirectory::new(
            Arc::new(self.store.clone()),
            server_secret(),
            Arc::new(NoMetrics),
        )
    }

    pub(crate) fn stops(&self) -> Vec<StopReason> {
        self.stops.0.lock().unwrap().clone()
    }

    pub(crate) fn worker(&self, name: &str) -> DeliveryWorker {
        self.worker_on(Arc::new(self.store.clone()), name)
    }

    pub(crate) fn worker_on(
        &self,
        queue: Arc<dyn ports::DeliveryQueue>,
        name: &str,
    ) -> DeliveryWorker {
        self.worker_of(queue, self.sink.clone(), name)
    }

    /// Creates a worker that sends through `sink`.
    pub(crate) fn worker_with(&self, sink: Arc<dyn WebhookSender>, name: &str) -> DeliveryWorker {
        self.worker_of(Arc::new(self.store.clone()), sink, name)
    }

    fn worker_of(
        &self,
        queue: Arc<dyn ports::DeliveryQueue>,
        sink: Arc<dyn WebhookSender>,
        name: &str,
    ) -> DeliveryWorker {
        let parts = DeliveryDependencies {
            queue,
            log: self.log.clone(),
            throttle: self.throttle.clone(),
            sender: sink,
            directory: Arc::new(self.directory()),
            secret: server_secret(),
            environment: self.clock.clone(),
            metrics: self.stops.clone(),
        };
        DeliveryWorker::new(parts, self.settings, name.to_owned())
    }

    /// Delivers until the world ends, or the task is aborted.
    pub(crate) fn work(&self, name: &str) -> JoinHandle<()> {
        let worker = self.worker(name);
        let mut stop = self.stop.subscribe();
        spawn(async move {
            while !*stop.borrow() {
                if let Some(dispatcher) = worker.claim().await.unwrap() {
                    let mut stop = stop.clone();
                    dispatcher
                        .run(async move {
                            let _ = stop.wait_for(|stop| *stop).await;
                        })
                        .await;
                } else {
                    let _ = tokio::time::timeout(Duration::from_millis(5), stop.changed()).await;
                }
            }
        })
    }

    /// Saturates ingest until [`relieve_ingest`](Self::relieve_ingest), however busy the machine
    /// is.
    pub(crate) fn saturate_ingest(&self) {
        let until = Instant::now() + Duration::from_hours(1);
        self.throttle.batch_taken(256, 256, until);
    }

    pub(crate) fn relieve_ingest(&self) {
        self.throttle.batch_taken(256, 256, Instant::now());
    }

    pub(crate) async fn record(&self, sid: &str, statuses: &[&str]) {
        for status in statuses {
            let report = report(sid).status(status).at(self.clock_micros());
            self.store.record(&[report.build()]).await.unwrap();
        }
        self.log.notify();
    }

    /// Records `sent` for messages `SM0` and following.
    pub(crate) async fn record_messages(&self, count: usize) {
        for number in 0..count {
            self.record(&format!("SM{number}"), &["sent"]).await;
        }
    }

    fn clock_micros(&self) -> i64 {
        self.clock.now().unix_micros()
    }

    /// Returns the number of attempts.
    pub(crate) fn tries(&self) -> usize {
        self.sink.tries.lock().unwrap().values().sum()
    }

    /// Returns whether an event of the message was delivered.
    pub(crate) fn has(&self, sid: &str) -> bool {
        !self.revisions(sid).is_empty()
    }

    pub(crate) async fn status(&self, id: SubscriptionId) -> SubscriptionStatus {
        self.store.find(id).await.unwrap().unwrap()
    }

    /// Retries all deliveries that can be.
    pub(crate) async fn retry_all(&self, id: SubscriptionId) -> u64 {
        let (filter, now) = (DeliveryFilter::of(id), self.clock.now());
        self.store.retry_all(&filter, now).await.unwrap()
    }

    /// Waits long enough for a worker to do something wrong.
    pub(crate) async fn rest(&self) {
        self.rest_for(self.settings.lease).await;
    }

    pub(crate) async fn rest_for(&self, time: Duration) {
        self.log.notify();
        tokio::time::sleep(time).await;
    }

    /// Kills a worker as if its process died.
    pub(crate) async fn kill(&self, worker: JoinHandle<()>) {
        worker.abort();
        let _ = worker.await;
        self.sink.under_way.lock().unwrap().clear();
    }

    pub(crate) fn taken(&self) -> Vec<(String, i64)> {
        self.sink.taken.lock().unwrap().clone()
    }

    /// Returns the delivered revisions of a message, without immediate repetitions.
    pub(crate) fn revisions(&self, sid: &str) -> Vec<i64> {
        let taken = self.taken();
        let mut revisions: Vec<_> = taken
            .iter()
            .filter(|(of, _)| of == sid)
            .map(|(_, revision)| *revision)
            .collect();
        revisions.dedup();
        revisions
    }

    pub(crate) async fn deliveries(&self, id: SubscriptionId) -> Vec<Delivery> {
        let filter = DeliveryFilter::of(id);
        let page = self
            .store
            .deliveries(&filter, None, PageSize::MAX, ScanLimit::MAX);
        page.await.unwrap().items
    }

    pub(crate) async fn end(self, workers: impl IntoIterator<Item = JoinHandle<()>>) {
        self.stop.send_replace(true);
        for worker in workers {
            worker.await.unwrap();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "awaited or aborted by the test")]
pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(work)
}

/// Returns the subscription with a signing secret that is sealed under `server_secret`.
pub(crate) fn sealed(mut subscription: Subscription, server_secret: &ServerSecret) -> Subscription {
    let secret = SigningSecret::from_random(&[1; 32]).reveal();
    let context = Subscription::secret_context(subscription.id);
    subscription.secrets = SubscriptionSecret {
        sealed: server_secret.seal(&secret, &context, [2; 24]),
        created_at: subscription.created_at,
    }
    .into();
    subscription
}

pub(crate) async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if there().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds: {what}");
}

pub(crate) fn delivered(deliveries: &[Delivery]) -> usize {
    let delivered = deliveries.iter();
    delivered
        .filter(|each| each.state == DeliveryState::Delivered)
        .count()
}
