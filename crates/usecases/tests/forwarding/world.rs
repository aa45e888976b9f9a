//! A receiver and workers on a memory store, with receivers of forwarded requests in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::forwarding::WaitingRequests;
use domain::webhook::{AnswerExcerpt, TargetUrl};
use domain::{
    CredentialId, Effect, ForwardedRequest, IntegratorName, PublicUrl, RejectionReason,
    ReportedStatus,
};
use ports::forwarding::RequestForwarder;
use ports::metrics::{ForwardOutcome, NoMetrics};
use ports::webhook_sender::{Answer, Delivered, SendError};
use ports::{ChannelStore as _, Headers, Metrics};
use serde_json::json;
use testkit::builders::{channel, channel_id, credential, keep_days, server_secret};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use usecases::forwarding::{
    ForwardingArrivals, ForwardingDependencies, ForwardingExpiry, ForwardingFigures,
    ForwardingOutbox, ForwardingSettings, ForwardingWorker,
};
use usecases::ingest::queue::IngestSettings;
use usecases::ingest::receive::ReportRequest;
use usecases::retention::prune::KeepFor;
use usecases::{
    AuthenticatedCaller, ChannelDirectory, GroupCommitWriters, Integrators, Prune, ReceiveError,
    ReceiveReport,
};

/// How a URL answers an attempt: HTTP status and `Retry-After`; `None` does not answer.
pub(crate) type Behaviour = dyn Fn(&str) -> Option<(u16, Option<Duration>)> + Send + Sync;

/// The URLs that requests are forwarded to.
pub(crate) struct MemoryTargets {
    behaviour: Mutex<Arc<Behaviour>>,
    /// Requests that are answered with a status of their own, by their bodies.
    own_answers: Mutex<HashMap<Vec<u8>, u16>>,
    /// All attempts in their order: the URL and the request.
    attempts: Mutex<Vec<(String, ForwardedRequest)>>,
    /// Whether all attempts wait.
    pub(crate) held: watch::Sender<bool>,
}

impl MemoryTargets {
    pub(crate) fn answers(&self, status: u16) {
        self.behaves(move |_| Some((status, None)));
    }

    /// Answers a request with a status, whatever the URL does.
    pub(crate) fn answers_to(&self, body: Vec<u8>, status: u16) {
        self.own_answers.lock().unwrap().insert(body, status);
    }

    /// Returns how often a request was sent.
    pub(crate) fn attempts_of(&self, body: &[u8]) -> usize {
        let attempts = self.attempts();
        attempts.iter().filter(|(_, it)| it.body() == body).count()
    }

    pub(crate) fn behaves(
        &self,
        behaviour: impl Fn(&str) -> Option<(u16, Option<Duration>)> + Send + Sync + 'static,
    ) {
        *self.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    pub(crate) fn attempts(&self) -> Vec<(String, ForwardedRequest)> {
        self.attempts.lock().unwrap().clone()
    }

    pub(crate) fn attempts_at(&self, url: &str) -> usize {
        let attempts = self.attempts();
        attempts.iter().filter(|(at, _)| at == url).count()
    }
}

#[async_trait]
impl RequestForwarder for MemoryTargets {
    async fn forward(
        &self,
        url: &TargetUrl,
        request: &ForwardedRequest,
    ) -> Result<Delivered, SendError> {
        let behaviour = Arc::clone(&self.behaviour.lock().unwrap());
        let attempt = (url.reveal().to_owned(), request.clone());
        self.attempts.lock().unwrap().push(attempt);
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.unwrap();
        let own = self
            .own_answers
            .lock()
            .unwrap()
            .get(request.body())
            .copied();
        let answer = own.map(|status| (status, None));
        let Some((status, after)) = answer.or_else(|| behaviour(url.reveal())) else {
            return std::future::pending().await;
        };
        let excerpt = AnswerExcerpt::default();
        let (answer, took) = (Answer { status, excerpt }, Duration::from_millis(1));
        match status {
            200..300 => Ok(Delivered { answer, took }),
            410 => Err(SendError::Gone { answer, took }),
            _ => Err(SendError::Retry {
                after,
                answer: Some(answer),
                took,
                source: format!("the target answered {status}").into(),
            }),
        }
    }
}

/// Counts outcomes of forwarding.
#[derive(Default)]
pub(crate) struct ForwardCounter(Mutex<HashMap<ForwardOutcome, u64>>);

impl ForwardCounter {
    pub(crate) fn of(&self, outcome: ForwardOutcome) -> u64 {
        self.0.lock().unwrap().get(&outcome).copied().unwrap_or(0)
    }
}

impl Metrics for ForwardCounter {
    fn recorded(&self, _: &IntegratorName, _: &ReportedStatus, _: Effect) {}
    fn committed(&self, _: usize, _: Duration) {}
    fn commit_failed(&self, _: usize) {}
    fn rejected(&self, _: RejectionReason) {}
    fn channels_known(&self, _: usize) {}
    fn forwarding(&self, outcome: ForwardOutcome, requests: u64) {
        *self.0.lock().unwrap().entry(outcome).or_default() += requests;
    }
}

/// The head of a request.
pub(crate) struct Head;

impl Headers for Head {
    fn get(&self, name: &str) -> Option<&[u8]> {
        Some(match name {
            "Content-Type" => b"application/json; charset=UTF-8",
            "X-Hub-Signature-256" => b"sha256=00ff",
            "Authorization" => b"Basic c2VjcmV0",
            _ => return None,
        })
    }
}

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) directory: Arc<ChannelDirectory>,
    pub(crate) targets: Arc<MemoryTargets>,
    pub(crate) counter: Arc<ForwardCounter>,
    pub(crate) receive: ReceiveReport,
    arrivals: ForwardingArrivals,
    integrators: Integrators,
    stop: watch::Sender<bool>,
}

impl World {
    /// Creates a receiver with an enabled channel of 360dialog for each id and forward URL.
    pub(crate) async fn new(channels: &[(&str, Option<&str>)]) -> Self {
        let (store, clock) = (MemoryStore::new(), Arc::new(FixedClock::default()));
        let counter = Arc::<ForwardCounter>::default();
        let arrivals = ForwardingArrivals::default();
        let (queue, writers) = GroupCommitWriters::new(
            Arc::new(store.clone()),
            Arc::new(NoMetrics),
            IngestSettings::default(),
        );
        spawn(writers.run());
        let outbox = ForwardingOutbox::new(
            Arc::new(store.clone()),
            server_secret(),
            clock.clone(),
            counter.clone(),
            Arc::clone(&arrivals),
        );
        let receive = ReceiveReport::new(
            queue,
            Arc::new(store.clone()),
            Arc::new(store.clone()),
            PublicUrl::parse("https://reports.example.com").unwrap(),
            clock.clone(),
            counter.clone(),
        );
        let world = Self {
            directory: Arc::new(ChannelDirectory::new(
                Arc::new(store.clone()),
                server_secret(),
                Arc::new(NoMetrics),
            )),
            targets: Arc::new(MemoryTargets {
                behaviour: Mutex::new(Arc::new(|_: &str| Some((200, None)))),
                own_answers: Mutex::default(),
                attempts: Mutex::default(),
                held: watch::Sender::new(false),
            }),
            counter,
            receive: receive.forwarding(Arc::new(outbox)),
            arrivals,
            integrators: Integrators::new(adapter_integrators::all()),
            stop: watch::Sender::new(false),
            store,
            clock,
        };
        for (id, url) in channels {
            let built = channel(id).integrator("360dialog");
            let built = match url {
                Some(url) => built.forward_url(url),
                None => built,
            };
            let first = credential(id, 1).build();
            world.store.add(&built.build(), &first).await.unwrap();
        }
        world.directory.refresh().await.unwrap();
        world
    }

    /// Receives a request of a channel.
    pub(crate) async fn receive(&self, id: &str, body: &[u8]) -> Result<(), ReceiveError> {
        self.receive_from(id, body, false).await
    }

    pub(crate) async fn receive_from(
        &self,
        id: &str,
        body: &[u8],
        is_test: bool,
    ) -> Result<(), ReceiveError> {
        let known = self.directory.find(&channel_id(id)).unwrap();
        let integrator = self.integrators.find(&known.channel.integrator).unwrap();
        let request = ReportRequest {
            integrator: integrator.as_ref(),
            endpoint: integrator.report_endpoint(),
            caller: AuthenticatedCaller {
                channel: known,
                credential: CredentialId(uuid::Uuid::from_u128(1)),
                is_test,
                presented: None,
                signature_verified: false,
            },
            headers: &Head,
            query: None,
            body,
        };
        self.receive.run(request).await
    }

    /// Receives so many messages on a channel.
    pub(crate) async fn receive_messages(&self, id: &str, numbers: std::ops::Range<u64>) {
        for number in numbers {
            self.receive(id, &message(number)).await.unwrap();
        }
    }

    /// Starts a worker.
    pub(crate) fn work(&self) -> JoinHandle<()> {
        self.work_with(server_secret())
    }

    pub(crate) fn work_with(&self, secret: domain::crypto::ServerSecret) -> JoinHandle<()> {
        let needs = ForwardingDependencies {
            store: Arc::new(self.store.clone()),
            maintenance: Arc::new(self.store.clone()),
            forwarder: self.targets.clone(),
            directory: Arc::clone(&self.directory),
            secret,
            environment: self.clock.clone(),
            metrics: self.counter.clone(),
            arrivals: Arc::clone(&self.arrivals),
        };
        let settings = ForwardingSettings {
            poll_interval: Duration::from_millis(2),
        };
        let worker = ForwardingWorker::new(needs, settings);
        let mut stop = self.stop.subscribe();
        spawn(async move {
            let stop = async move {
                // Cannot fail: the world holds the sender.
                let _ = stop.wait_for(|stop| *stop).await;
            };
            worker.run(stop).await;
        })
    }

    /// Creates retention, which removes what was not forwarded in time.
    pub(crate) fn retention(&self) -> Prune {
        let keep_for = KeepFor {
            reports: Duration::MAX,
            messages: keep_days(3_650),
            deliveries: Duration::MAX,
            audit: Duration::MAX,
        };
        let store = Arc::new(self.store.clone());
        Prune::new(
            store.clone(),
            store.clone(),
            ForwardingExpiry::new(store, self.counter.clone()),
            self.clock.clone(),
            keep_for,
            Arc::default(),
        )
    }

    pub(crate) fn begin_stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) async fn stop(&self, worker: JoinHandle<()>) {
        self.begin_stop();
        worker.await.unwrap();
        self.stop.send_replace(false);
    }

    pub(crate) async fn waiting(&self, id: &str) -> Option<WaitingRequests> {
        let figures = ForwardingFigures::new(Arc::new(self.store.clone()), self.clock.clone());
        figures.of(&channel_id(id)).await.unwrap()
    }

    pub(crate) async fn waits(&self, id: &str) -> u64 {
        self.waiting(id).await.map_or(0, |waiting| waiting.requests)
    }
}

/// A request with an incoming message.
pub(crate) fn message(number: u64) -> Vec<u8> {
    envelope(&json!({
        "messages": [{ "from": "15550100001", "id": format!("wamid.{number}"), "type": "text",
            "text": { "body": "Grüße \u{0}\u{1f44d}" } }],
    }))
}

/// A request with a status, and with an incoming message if wanted.
pub(crate) fn status(number: u64, with_message: bool) -> Vec<u8> {
    let mut value = json!({
        "statuses": [{ "id": format!("wamid.{number}"), "status": "delivered",
            "recipient_id": "15550100001" }],
    });
    if with_message {
        value["messages"] = json!([{ "from": "15550100001", "id": "wamid.in" }]);
    }
    envelope(&value)
}

fn envelope(value: &serde_json::Value) -> Vec<u8> {
    let envelope = json!({
        "object": "whatsapp_business_account",
        "entry": [{ "changes": [{ "field": "messages", "value": value }] }],
    });
    envelope.to_string().into_bytes()
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests await or outlive what they start"
)]
pub(crate) fn spawn<T: Send + 'static>(
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Waits until a condition holds, ten seconds at most.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "waited for: {what}"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
