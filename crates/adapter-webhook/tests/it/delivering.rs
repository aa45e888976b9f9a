//! Event delivery over HTTP to failing endpoints.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adapter_webhook::WebhookSettings;
use domain::crypto::SigningSecret;
use domain::delivery::DeliveryFilter;
use domain::page::{PageSize, ScanLimit};
use domain::subscription::{SubscriptionSecret, SubscriptionState};
use domain::webhook::TargetUrl;
use domain::{Delivery, DeliveryState, LogPosition, Subscription, SubscriptionId};
use ports::metrics::NoMetrics;
use ports::{DeliveryStore as _, ReportStore as _, SubscriptionStore as _};
use testkit::builders::{report, server_secret, subscription};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use usecases::delivery::{DeliveryDependencies, DeliverySettings};
use usecases::{ChannelDirectory, DeliveryWorker, LogTailCache};

use crate::server::{NO_CONTENT, Server, read_request, reset, wait_for_end};
use crate::support::{impatient, settings, sink};

/// A subscription in the in-memory store, and a worker that delivers its events over HTTP.
struct World {
    store: MemoryStore,
    clock: Arc<FixedClock>,
    id: SubscriptionId,
    settings: WebhookSettings,
}

impl World {
    /// With events of so many messages.
    async fn new(url: &str, settings: WebhookSettings, messages: usize) -> Self {
        let store = MemoryStore::new();
        let mut subscription = subscription(1);
        let id = subscription.id;
        subscription.url = TargetUrl::parse(url).unwrap();
        let secret = SigningSecret::from_random(&[1; 32]).reveal();
        let context = Subscription::secret_context(id);
        subscription.secrets = SubscriptionSecret {
            sealed: server_secret().seal(&secret, &context, [2; 24]),
            created_at: subscription.created_at,
        }
        .into();
        let added = store.add(&subscription, LogPosition::START).await;
        assert!(added.unwrap());
        for number in 0..messages {
            let report = report(&format!("SM{number}")).build();
            store.record(&[report]).await.unwrap();
        }
        Self {
            store,
            clock: Arc::default(),
            id,
            settings,
        }
    }

    /// Delivers events until a condition holds.
    async fn deliver_until(&self, what: &str, mut there: impl AsyncFnMut() -> bool) {
        let store = Arc::new(self.store.clone());
        let parts = DeliveryDependencies {
            queue: store.clone(),
            log: Arc::new(LogTailCache::new(store.clone())),
            throttle: Arc::default(),
            sender: Arc::new(sink(self.settings.clone())),
            directory: Arc::new(ChannelDirectory::new(
                store,
                server_secret(),
                Arc::new(NoMetrics),
            )),
            secret: server_secret(),
            environment: self.clock.clone(),
            metrics: Arc::new(NoMetrics),
        };
        let push = DeliverySettings {
            write_interval: Duration::from_millis(5),
            lease: Duration::from_millis(300),
            ..DeliverySettings::default()
        };
        let push = DeliveryWorker::new(parts, push, "one".to_owned());
        // The one before has not given its lease back.
        let dispatcher = loop {
            match push.claim().await.unwrap() {
                Some(dispatcher) => break dispatcher,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let until = async move {
            for _ in 0..2_000 {
                if there().await {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("not within ten seconds: {what}");
        };
        tokio::select! {
            () = dispatcher.run(std::future::pending()) => {}
            () = until => {}
        }
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        let all = DeliveryFilter::of(self.id);
        let page = self
            .store
            .deliveries(&all, None, PageSize::MAX, ScanLimit::MAX)
            .await;
        page.unwrap().items
    }

    /// How many were delivered.
    async fn delivered(&self) -> usize {
        let all = self.deliveries().await.into_iter();
        all.filter(|it| it.state == DeliveryState::Delivered)
            .count()
    }

    async fn state(&self) -> SubscriptionState {
        let found = self.store.find(self.id).await.unwrap().unwrap();
        found.subscription.state
    }
}

/// Serves one request per connection and passes it the number of the connection.
fn one_by_one(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |stream| serve(count.fetch_add(1, Ordering::SeqCst), stream))
}

fn answer(mut stream: TcpStream, bytes: &[u8]) {
    read_request(&mut stream);
    let _ = stream.write_all(bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_arrives_whatever_became_of_it_before() {
    let server = one_by_one(|nth, mut stream| match nth {
        0 => reset(stream),
        1 => answer(stream, b"HTTP/1.1 200 O"),
        2 => {
            read_request(&mut stream);
            wait_for_end(&mut stream);
        }
        3 => answer(stream, b"HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nhalf"),
        4 => answer(
            stream,
            b"HTTP/1.1 302 Over\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
        ),
        5 => answer(stream, b"not HTTP at all\r\n\r\n"),
        _ => answer(stream, NO_CONTENT),
    });
    let world = World::new(&server.url(), impatient(), 1).await;
    world
        .deliver_until("it arrives", async || {
            world.clock.advance(Duration::from_secs(10));
            world.delivered().await == 1
        })
        .await;
    let delivery = world.deliveries().await.remove(0);
    let statuses: Vec<_> = delivery
        .attempts
        .last()
        .iter()
        .map(|it| it.status)
        .collect();
    let said = [None, None, None, Some(500), Some(302), None, Some(204)];
    assert_eq!(statuses, said);
    assert_eq!(server.connections(), said.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_wants_fewer_events_is_sent_none_until_its_time() {
    let server = one_by_one(|nth, stream| match nth {
        0 => answer(
            stream,
            b"HTTP/1.1 429 Slower\r\nretry-after: 600\r\ncontent-length: 0\r\n\r\n",
        ),
        _ => answer(stream, NO_CONTENT),
    });
    let world = World::new(&server.url(), settings(), 1).await;
    world
        .deliver_until("it has asked", async || {
            !world.deliveries().await.is_empty()
        })
        .await;
    for number in 1..20 {
        let report = report(&format!("SM{number}")).build();
        world.store.record(&[report]).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(599));
    let mut looks = 0;
    world
        .deliver_until("it rests", async || {
            looks += 1;
            looks > 40
        })
        .await;
    assert_eq!(server.connections(), 1);
    world.clock.advance(Duration::from_secs(2));
    world
        .deliver_until("all arrive", async || world.delivered().await == 20)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_410_ends_the_subscription() {
    let server = Server::answering_once("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n");
    let world = World::new(&server.url(), settings(), 1).await;
    world
        .deliver_until("it has ended", async || {
            matches!(world.state().await, SubscriptionState::Ended { .. })
        })
        .await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_an_endpoint_with_a_wrong_certificate() {
    let server = crate::tls::stranger();
    let url = format!("https://127.0.0.1:{}/", server.port());
    let world = World::new(&url, settings(), 6).await;
    world
        .deliver_until("the endpoint fails", async || {
            let found = world.store.find(world.id).await.unwrap().unwrap();
            found.failing_since.is_some() && found.pending == 6
        })
        .await;
    let deliveries = world.deliveries().await;
    for attempt in deliveries.iter().flat_map(|it| it.attempts.last()) {
        let said = attempt.error.as_ref().unwrap().as_str();
        assert!(said.contains("certificate"), "{said}");
        assert_eq!(attempt.status, None);
    }
}
