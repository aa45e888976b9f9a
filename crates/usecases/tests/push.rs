//! Pushing: every event once or more, those of a message in order, whatever
//! the target, the store and the workers do.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, its helpers too"
)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::delivery::DeliveryFilter;
use domain::page::PageSize;
use domain::subscription::{Description, PauseReason, SubscriptionSecret, SubscriptionState};
use domain::webhook::{AnswerExcerpt, SigningSecret, TargetUrl};
use domain::{
    Delivery, DeliveryState, EventFilter, LogPosition, Subscription, SubscriptionId, Timestamp,
};
use ports::events::{Answer, Delivered, EventSink, OutgoingEvent, SinkError, Target};
use ports::observer::Unobserved;
use ports::{
    Clock as _, DeliveryLog as _, ReportLog as _, ReportStore as _, SubscriptionRepository as _,
};
use serde_json::Value;
use testkit::builders::{report, server_secret};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use usecases::check_health::Condition;
use usecases::push::{PushParts, PushSettings};
use usecases::{ChannelDirectory, CheckHealth, PushEvents, SharedLog};
use uuid::Uuid;

/// What a target does with an event: its HTTP status, by message and how often
/// it has come.
type Behaviour = dyn Fn(&str, usize) -> u16 + Send + Sync;

/// A target in memory.
struct Heard {
    /// Message and revision of every event that was taken, in order.
    taken: Mutex<Vec<(String, i64)>>,
    tries: Mutex<HashMap<String, usize>>,
    under_way: Mutex<HashSet<String>>,
    behaviour: Mutex<Arc<Behaviour>>,
}

#[async_trait]
impl EventSink for Heard {
    async fn deliver(&self, _: &Target, event: &OutgoingEvent) -> Result<Delivered, SinkError> {
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(body["id"], event.id.as_str());
        let sid = body["subject"].as_str().unwrap().to_owned();
        let alone = self.under_way.lock().unwrap().insert(sid.clone());
        assert!(alone, "two events of one message are under way");
        let tries = {
            let mut tries = self.tries.lock().unwrap();
            let tries = tries.entry(event.id.to_string()).or_default();
            *tries += 1;
            *tries
        };
        tokio::task::yield_now().await;
        let behaviour = self.behaviour.lock().unwrap().clone();
        let status = behaviour(&sid, tries);
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
            410 => Err(SinkError::Gone { answer, took }),
            _ => Err(SinkError::Retry {
                after: None,
                answer: Some(answer),
                took,
                source: "the answer says no".into(),
            }),
        }
    }
}

struct World {
    store: MemoryStore,
    log: Arc<SharedLog>,
    sink: Arc<Heard>,
    clock: Arc<FixedClock>,
    stop: watch::Sender<bool>,
    settings: PushSettings,
}

impl World {
    fn new(behaviour: impl Fn(&str, usize) -> u16 + Send + Sync + 'static) -> Self {
        let store = MemoryStore::new();
        Self {
            log: Arc::new(SharedLog::new(Arc::new(store.clone()))),
            store,
            sink: Arc::new(Heard {
                taken: Mutex::default(),
                tries: Mutex::default(),
                under_way: Mutex::default(),
                behaviour: Mutex::new(Arc::new(behaviour)),
            }),
            clock: Arc::new(FixedClock::default()),
            stop: watch::Sender::new(false),
            settings: PushSettings {
                record_every: Duration::from_millis(5),
                lease: Duration::from_millis(200),
                ..PushSettings::default()
            },
        }
    }

    fn now_behaves(&self, behaviour: impl Fn(&str, usize) -> u16 + Send + Sync + 'static) {
        *self.sink.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    async fn subscribe(&self, number: u128) -> SubscriptionId {
        let id = SubscriptionId(Uuid::from_u128(number));
        let secret = SigningSecret::from_random(&[1; 32]).reveal();
        let now = Timestamp::EPOCH;
        let context = Subscription::secret_context(id);
        let sealed = server_secret().seal(&secret, &context, [2; 24]);
        let subscription = Subscription {
            id,
            url: TargetUrl::parse("https://subscriber.example/events").unwrap(),
            filter: EventFilter::default(),
            reveal: false,
            description: Description::default(),
            state: SubscriptionState::Active,
            secrets: SubscriptionSecret {
                sealed,
                created_at: now,
            }
            .into(),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let added = self.store.add(&subscription, LogPosition::START).await;
        assert!(added.unwrap());
        id
    }

    fn directory(&self) -> ChannelDirectory {
        ChannelDirectory::new(
            Arc::new(self.store.clone()),
            server_secret(),
            Arc::new(Unobserved),
        )
    }

    fn worker(&self, name: &str) -> PushEvents {
        let parts = PushParts {
            queue: Arc::new(self.store.clone()),
            log: self.log.clone(),
            sink: self.sink.clone(),
            directory: Arc::new(self.directory()),
            secret: server_secret(),
            clock: self.clock.clone(),
            observer: Arc::new(Unobserved),
        };
        PushEvents::new(parts, self.settings, name.to_owned())
    }

    /// Pushes until the world ends, or the task is aborted.
    fn work(&self, name: &str) -> JoinHandle<()> {
        let worker = self.worker(name);
        let mut stop = self.stop.subscribe();
        spawn(async move {
            while !*stop.borrow() {
                if let Some(pusher) = worker.claim().await.unwrap() {
                    let mut stop = stop.clone();
                    pusher
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

    async fn record(&self, sid: &str, statuses: &[&str]) {
        for status in statuses {
            let report = report(sid).status(status).at(self.clock_micros());
            self.store.record(&[report.build()]).await.unwrap();
        }
        self.log.recorded();
    }

    fn clock_micros(&self) -> i64 {
        self.clock.now().unix_micros()
    }

    fn taken(&self) -> Vec<(String, i64)> {
        self.sink.taken.lock().unwrap().clone()
    }

    /// The revisions that were taken of a message, repetitions in a row apart.
    fn revisions(&self, sid: &str) -> Vec<i64> {
        let taken = self.taken();
        let mut revisions: Vec<_> = taken
            .iter()
            .filter(|(of, _)| of == sid)
            .map(|(_, revision)| *revision)
            .collect();
        revisions.dedup();
        revisions
    }

    async fn deliveries(&self, id: SubscriptionId) -> Vec<Delivery> {
        let filter = DeliveryFilter::of(id);
        let page = self
            .store
            .deliveries(&filter, None, PageSize::new(500).unwrap());
        page.await.unwrap().items
    }

    async fn end(self, workers: impl IntoIterator<Item = JoinHandle<()>>) {
        self.stop.send_replace(true);
        for worker in workers {
            worker.await.unwrap();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "awaited or aborted by the test")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(work)
}

async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if there().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds: {what}");
}

fn delivered(deliveries: &[Delivery]) -> usize {
    let delivered = deliveries.iter();
    delivered
        .filter(|each| each.state == DeliveryState::Delivered)
        .count()
}

#[tokio::test]
async fn every_event_arrives_once_and_is_taken_down() {
    let world = World::new(|_, _| 204);
    let id = world.subscribe(1).await;
    for number in 0..60 {
        world
            .record(&format!("SM{number}"), &["sent", "delivered", "read"])
            .await;
    }
    let worker = world.work("one");
    until("all are taken down", async || {
        delivered(&world.deliveries(id).await) == 180
    })
    .await;
    assert_eq!(world.taken().len(), 180);
    for number in 0..60 {
        assert_eq!(world.revisions(&format!("SM{number}")), [1, 2, 3]);
    }
    let head = world.store.head().await.unwrap();
    until("the position moves to the end", async || {
        world.store.find(id).await.unwrap().unwrap().position == head
    })
    .await;
    world.record("SM99", &["failed"]).await;
    until("what comes later arrives", async || {
        world.taken().len() == 181
    })
    .await;
    let status = world.store.find(id).await.unwrap().unwrap();
    assert_eq!((status.open, status.dead), (0, 0));
    assert!(
        world
            .deliveries(id)
            .await
            .iter()
            .all(|each| each.body.is_none())
    );
    world.end([worker]).await;
}

#[tokio::test]
async fn later_events_of_a_message_wait_for_one_that_is_retried_and_others_do_not() {
    let world = World::new(|sid, tries| if sid == "SM1" && tries < 3 { 500 } else { 200 });
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent", "delivered"]).await;
    world.record("SM2", &["sent", "delivered", "read"]).await;
    let worker = world.work("one");
    until("the other message is through", async || {
        world.revisions("SM2").len() == 3
    })
    .await;
    assert_eq!(world.revisions("SM1"), [0_i64; 0]);
    world.record("SM1", &["read"]).await;
    until("what waits is taken down", async || {
        let all = world.deliveries(id).await;
        all.iter()
            .filter(|each| each.state == DeliveryState::Waiting)
            .count()
            == 2
    })
    .await;
    let head = world.store.head().await.unwrap();
    until("the position does not wait", async || {
        world.store.find(id).await.unwrap().unwrap().position == head
    })
    .await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(30));
        world.record("SM3", &["sent"]).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    until("the retried message is through", async || {
        world.clock.advance(Duration::from_secs(30));
        world.log.recorded();
        world.revisions("SM1") == [1, 2, 3]
    })
    .await;
    world.end([worker]).await;
}

#[tokio::test]
async fn a_target_that_takes_nothing_is_asked_rarely_and_catches_up_at_once() {
    let mut world = World::new(|_, _| 503);
    world.settings.window = 8;
    let id = world.subscribe(1).await;
    for number in 0..300 {
        world
            .record(&format!("SM{number}"), &["sent", "read"])
            .await;
    }
    let worker = world.work("one");
    until("it is known to fail", async || {
        world
            .store
            .find(id)
            .await
            .unwrap()
            .unwrap()
            .failing_since
            .is_some()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let tries: usize = world.sink.tries.lock().unwrap().values().sum();
    assert!(tries <= 13, "{tries} tries at a target that takes nothing");
    world.now_behaves(|_, _| 200);
    // The next one to claim it asks at once; waiting for the probe takes seconds.
    worker.abort();
    let _ = worker.await;
    world.sink.under_way.lock().unwrap().clear();
    let worker = world.work("two");
    until("everything is through", async || {
        (0..300).all(|number| world.revisions(&format!("SM{number}")) == [1, 2])
    })
    .await;
    until("it is not failing any more", async || {
        let status = world.store.find(id).await.unwrap().unwrap();
        status.failing_since.is_none() && status.open == 0
    })
    .await;
    world.end([worker]).await;
}

#[tokio::test]
async fn workers_that_are_killed_lose_nothing_and_break_no_order() {
    let world = World::new(|_, _| 200);
    let id = world.subscribe(1).await;
    let mut workers: Vec<_> = (0..2).map(|n| world.work(&format!("worker {n}"))).collect();
    for round in 0..20 {
        for number in 0..10 {
            world
                .record(
                    &format!("SM{round}-{number}"),
                    &["sent", "delivered", "read"],
                )
                .await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let killed = workers.remove(0);
        killed.abort();
        let _ = killed.await;
        world.sink.under_way.lock().unwrap().clear();
        workers.push(world.work(&format!("worker {}", round + 2)));
    }
    until("all are taken down", async || {
        let mut all = 0;
        let (filter, mut after) = (DeliveryFilter::of(id), None);
        loop {
            let size = PageSize::new(500).unwrap();
            let page = world.store.deliveries(&filter, after, size).await.unwrap();
            all += delivered(&page.items);
            after = page.next;
            if after.is_none() {
                return all == 600;
            }
        }
    })
    .await;
    for round in 0..20 {
        for number in 0..10 {
            let sid = format!("SM{round}-{number}");
            let taken = world.taken();
            let of_it: Vec<_> = taken.iter().filter(|(of, _)| *of == sid).collect();
            let firsts: HashSet<_> = of_it.iter().map(|(_, revision)| *revision).collect();
            assert_eq!(firsts.len(), 3, "{sid}: {of_it:?}");
            let mut newest = 0;
            for (_, revision) in of_it {
                assert!(*revision <= newest + 1, "{sid} skipped to {revision}");
                newest = newest.max(*revision);
            }
        }
    }
    world.end(workers).await;
}

#[tokio::test]
async fn a_target_that_is_gone_ends_its_subscription() {
    let world = World::new(|_, _| 410);
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent"]).await;
    let worker = world.work("one");
    until("it has ended", async || {
        let status = world.store.find(id).await.unwrap().unwrap();
        matches!(status.subscription.state, SubscriptionState::Ended { .. })
    })
    .await;
    assert_eq!(world.sink.tries.lock().unwrap().len(), 1);
    world.end([worker]).await;
}

#[tokio::test]
async fn a_target_that_fails_for_too_long_is_paused() {
    let mut world = World::new(|_, _| 500);
    world.settings.pause_after = Duration::from_hours(1);
    let id = world.subscribe(1).await;
    for number in 0..10 {
        world.record(&format!("SM{number}"), &["sent"]).await;
    }
    let worker = world.work("one");
    until("it is known to fail", async || {
        world
            .store
            .find(id)
            .await
            .unwrap()
            .unwrap()
            .failing_since
            .is_some()
    })
    .await;
    world.clock.advance(Duration::from_secs(3_601));
    world.log.recorded();
    until("it is paused", async || {
        let status = world.store.find(id).await.unwrap().unwrap();
        status.subscription.state.reason() == Some(PauseReason::Failing)
    })
    .await;
    let health = CheckHealth::new(Arc::new(world.store.clone()), Arc::new(world.directory()))
        .with_subscriptions(Arc::new(world.store.clone()));
    let parts = health.run().await;
    let part = parts
        .iter()
        .find(|part| part.name == "subscriptions")
        .unwrap();
    assert_eq!(part.condition, Condition::Degraded);
    assert_eq!(
        part.detail.as_deref(),
        Some(&*format!("{id} was paused: failing"))
    );
    world.end([worker]).await;
}

#[tokio::test]
async fn what_fails_for_three_days_is_a_dead_letter_and_the_rest_of_its_message_goes_on() {
    let world = World::new(|sid, _| if sid == "SM1" { 400 } else { 200 });
    let id = world.subscribe(1).await;
    world.record("SM1", &["sent"]).await;
    let worker = world.work("one");
    let mut others = 0;
    until("it is given up", async || {
        world.clock.advance(Duration::from_hours(4));
        // Others work, so it is this one alone that fails.
        world.record(&format!("SM1{others}"), &["sent"]).await;
        others += 1;
        world.store.find(id).await.unwrap().unwrap().dead == 1
    })
    .await;
    let all = world.deliveries(id).await;
    let dead = all
        .iter()
        .find(|each| each.state == DeliveryState::Dead)
        .unwrap();
    assert!(dead.body.is_some(), "a dead letter can be sent again");
    assert!(dead.attempts.count() >= 3);
    world.now_behaves(|_, _| 200);
    world.record("SM1", &["read"]).await;
    until("its next event arrives", async || {
        world.revisions("SM1") == [2]
    })
    .await;
    assert!(world.store.retry(dead.key, dead.created_at).await.unwrap());
    // What was not taken down yet when it was asked for may come again.
    until("the dead letter arrives when it is asked for", async || {
        world.revisions("SM1").starts_with(&[2, 1])
    })
    .await;
    world.end([worker]).await;
}
