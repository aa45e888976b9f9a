//! Operator events reach the subscriptions that ask for them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::subscription::{PauseReason, SubscriptionState};
use domain::webhook::AnswerExcerpt;
use domain::{EventFilter, LogPosition, Subscription};
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target};
use ports::{SubscriptionStore, TroubleStore as _, WebhookSender};
use testkit::builders::{server_secret, subscription, time};
use usecases::subscriptions::{NewSubscription, OperatorEventProgress, SubscriptionDependencies};
use usecases::trouble::{DeliverOperatorEvents, OperatorEventDependencies};
use usecases::{ChannelDirectory, LogTailCache, ManageSubscriptions};

use super::{NOW, World};

/// An endpoint that answers with the statuses it was given, then with 204.
#[derive(Default)]
struct Endpoint {
    statuses: Mutex<Vec<u16>>,
    received: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl WebhookSender for Endpoint {
    async fn deliver(&self, _: &Target, event: &OutgoingEvent) -> Result<Delivered, SendError> {
        let status = self.statuses.lock().unwrap().pop().unwrap_or(204);
        let answer = Answer {
            status,
            excerpt: AnswerExcerpt::of(b""),
        };
        let took = Duration::from_millis(1);
        let body = String::from_utf8(event.body.to_vec()).unwrap();
        self.received
            .lock()
            .unwrap()
            .push((event.id.to_string(), body));
        match status {
            204 => Ok(Delivered { answer, took }),
            410 => Err(SendError::Gone { answer, took }),
            _ => Err(SendError::Retry {
                after: None,
                answer: Some(answer),
                took,
                source: "a test made it so".into(),
            }),
        }
    }
}

impl Endpoint {
    /// Returns the types of the received events.
    fn types(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let of = |(_, body): &(String, String)| {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let event_type = body.get("type").and_then(|it| it.as_str());
            event_type.unwrap().to_owned()
        };
        received.iter().map(of).collect()
    }
}

struct Delivery {
    world: World,
    endpoint: Arc<Endpoint>,
    deliver: DeliverOperatorEvents,
}

impl Delivery {
    async fn new() -> Self {
        let world = World::new().await;
        let endpoint = Arc::new(Endpoint::default());
        let shared = Arc::new(world.store.clone());
        let deliver = DeliverOperatorEvents::new(OperatorEventDependencies {
            troubles: shared.clone(),
            events: shared.clone(),
            subscriptions: shared,
            sender: endpoint.clone(),
            secret: server_secret(),
            environment: world.clock.clone(),
            holder: "one".to_owned(),
            lease: Duration::from_mins(3),
        });
        Self {
            world,
            endpoint,
            deliver,
        }
    }

    fn manage(&self) -> ManageSubscriptions {
        let shared = Arc::new(self.world.store.clone());
        ManageSubscriptions::new(SubscriptionDependencies {
            store: shared.clone(),
            deliveries: shared.clone(),
            operator_events: shared.clone(),
            log: Arc::new(LogTailCache::new(shared.clone())),
            reports: shared.clone(),
            sender: self.endpoint.clone(),
            directory: Arc::new(ChannelDirectory::new(
                shared,
                server_secret(),
                Arc::new(ports::metrics::NoMetrics),
            )),
            secret: server_secret(),
            environment: self.world.clock.clone(),
            private_targets: false,
        })
    }

    /// Adds a subscription to these types of events.
    async fn subscribe(&self, types: &[&str]) -> Subscription {
        let mut filter = EventFilter::default();
        filter.set_types(types.iter().copied()).unwrap();
        let new = NewSubscription {
            url: subscription(7).url,
            filter,
            reveal: false,
            description: subscription(7).description,
            secret: None,
            from: None,
            may_reveal: false,
        };
        self.manage().add(new).await.unwrap().0
    }

    /// Makes a trouble: a subscription that was paused.
    async fn pause_another(&self, number: u128) {
        let paused = Subscription {
            state: SubscriptionState::Paused {
                reason: PauseReason::Failing,
                since: time(NOW),
            },
            ..subscription(number)
        };
        let added = SubscriptionStore::add(&self.world.store, &paused, LogPosition(0)).await;
        assert!(added.unwrap());
        self.world.evaluate(2).await;
    }

    async fn run(&self) {
        self.deliver.run().await.unwrap();
    }
}

const OPENED: &str = "receiptd.trouble.opened";
const RESOLVED: &str = "receiptd.trouble.resolved";

#[tokio::test]
async fn subscription_receives_the_operator_events_it_asks_for() {
    let delivery = Delivery::new().await;
    delivery.pause_another(90).await;
    delivery.world.clock.advance(Duration::from_secs(1));
    delivery.subscribe(&[OPENED]).await;
    delivery.subscribe(&["message.delivered"]).await;
    // What happened before is not sent.
    delivery.run().await;
    assert_eq!(delivery.endpoint.types(), [""; 0]);
    delivery.pause_another(91).await;
    delivery.run().await;
    delivery.run().await;
    assert_eq!(delivery.endpoint.types(), [OPENED]);
    let removed = subscription(91).id;
    let removed = SubscriptionStore::remove(&delivery.world.store, removed).await;
    assert!(removed.unwrap());
    delivery.world.evaluate(2).await;
    delivery.run().await;
    assert_eq!(delivery.endpoint.types(), [OPENED]);
    delivery.subscribe(&[RESOLVED]).await;
    let removed = subscription(90).id;
    let removed = SubscriptionStore::remove(&delivery.world.store, removed).await;
    assert!(removed.unwrap());
    delivery.world.evaluate(2).await;
    delivery.run().await;
    assert_eq!(delivery.endpoint.types(), [OPENED, RESOLVED]);
}

#[tokio::test]
async fn failed_event_is_sent_again_with_the_same_id() {
    let delivery = Delivery::new().await;
    delivery.subscribe(&[OPENED]).await;
    *delivery.endpoint.statuses.lock().unwrap() = vec![503, 500];
    delivery.pause_another(90).await;
    for _ in 0..20 {
        delivery.run().await;
        delivery.world.clock.advance(Duration::from_secs(3));
    }
    let received = delivery.endpoint.received.lock().unwrap().clone();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|event| *event == received[0]));
}

#[tokio::test]
async fn subscription_tells_which_operator_events_wait() {
    let delivery = Delivery::new().await;
    let subscription = delivery.subscribe(&[OPENED]).await;
    let progress = async || {
        let manage = delivery.manage();
        let progress = manage.operator_events(&subscription).await.unwrap();
        progress.unwrap()
    };
    assert_eq!(progress().await, OperatorEventProgress::default());
    *delivery.endpoint.statuses.lock().unwrap() = vec![503];
    delivery.pause_another(90).await;
    delivery.pause_another(91).await;
    assert_eq!(progress().await.waiting, 2);
    delivery.run().await;
    let failing = progress().await;
    assert_eq!(failing.waiting, 2);
    assert_eq!(failing.failing_since, Some(delivery.world.now()));
    assert!(failing.retry_at > failing.failing_since);
    delivery.world.clock.advance(Duration::from_mins(2));
    delivery.run().await;
    assert_eq!(progress().await, OperatorEventProgress::default());
    let without = delivery.subscribe(&["message.delivered"]).await;
    let progress = delivery.manage().operator_events(&without).await;
    assert_eq!(progress.unwrap(), None);
}

#[tokio::test]
async fn clock_that_is_set_back_delays_no_event() {
    let delivery = Delivery::new().await;
    delivery.subscribe(&[OPENED]).await;
    *delivery.endpoint.statuses.lock().unwrap() = vec![503];
    delivery.pause_another(90).await;
    delivery.world.clock.advance(Duration::from_hours(100));
    delivery.run().await;
    assert_eq!(delivery.endpoint.received.lock().unwrap().len(), 1);
    delivery.world.clock.turn_back(Duration::from_hours(100));
    delivery.run().await;
    assert_eq!(delivery.endpoint.received.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn event_is_given_up_after_three_days() {
    let delivery = Delivery::new().await;
    delivery.subscribe(&[OPENED]).await;
    *delivery.endpoint.statuses.lock().unwrap() = vec![500; 1_000];
    delivery.pause_another(90).await;
    for _ in 0..100 {
        delivery.run().await;
        delivery.world.clock.advance(Duration::from_hours(1));
    }
    let attempts = delivery.endpoint.received.lock().unwrap().len();
    delivery.world.clock.advance(Duration::from_hours(100));
    delivery.run().await;
    assert_eq!(delivery.endpoint.received.lock().unwrap().len(), attempts);
    assert!((10..80).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn endpoint_that_is_gone_ends_the_subscription() {
    let delivery = Delivery::new().await;
    let subscription = delivery.subscribe(&[OPENED]).await;
    *delivery.endpoint.statuses.lock().unwrap() = vec![410];
    delivery.pause_another(90).await;
    delivery.run().await;
    let found = SubscriptionStore::find(&delivery.world.store, subscription.id).await;
    let state = found.unwrap().unwrap().subscription.state;
    assert!(matches!(state, SubscriptionState::Ended { .. }));
}

#[tokio::test]
async fn process_without_the_lease_sends_nothing() {
    let delivery = Delivery::new().await;
    delivery.subscribe(&[OPENED]).await;
    delivery.pause_another(90).await;
    let store = &delivery.world.store;
    let leave = store.lease_evaluation("one", Duration::ZERO).await;
    assert!(leave.unwrap().is_some());
    let other = store.lease_evaluation("two", Duration::from_mins(3)).await;
    assert!(other.unwrap().is_some());
    delivery.run().await;
    assert_eq!(delivery.endpoint.types(), [""; 0]);
}
