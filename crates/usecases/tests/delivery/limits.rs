//! Limits over all subscriptions of a process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::webhook::{AnswerExcerpt, TargetUrl};
use domain::{LogPosition, Subscription};
use ports::SubscriptionStore as _;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target, WebhookSender};
use testkit::builders::{server_secret, subscription};
use tokio::sync::watch;

use crate::world::{World, sealed, spawn, until};

const HANGING: &str = "https://hanging.example.com/";
const HEALTHY: &str = "https://healthy.example.com/";

/// Endpoints that hang until the test fails them, and healthy ones.
struct Endpoints {
    fails: watch::Sender<usize>,
    under_way: Mutex<HashMap<String, usize>>,
    most: Mutex<usize>,
    tried: Mutex<HashMap<String, usize>>,
}

impl Endpoints {
    fn begin(&self, url: &str) {
        let mut under_way = self.under_way.lock().unwrap();
        *under_way.entry(url.to_owned()).or_default() += 1;
        let mut most = self.most.lock().unwrap();
        *most = under_way.values().sum::<usize>().max(*most);
        *self
            .tried
            .lock()
            .unwrap()
            .entry(url.to_owned())
            .or_default() += 1;
    }

    fn tried(&self, url: &str) -> usize {
        self.tried.lock().unwrap().get(url).copied().unwrap_or(0)
    }
}

#[async_trait]
impl WebhookSender for Endpoints {
    async fn deliver(&self, target: &Target, _: &OutgoingEvent) -> Result<Delivered, SendError> {
        let url = target.url.reveal().to_owned();
        let mut fails = self.fails.subscribe();
        self.begin(&url);
        if url.starts_with(HANGING) {
            fails.changed().await.unwrap();
        }
        *self.under_way.lock().unwrap().get_mut(&url).unwrap() -= 1;
        if url.starts_with(HANGING) {
            return Err(SendError::Retry {
                after: None,
                answer: None,
                took: Duration::from_secs(15),
                source: "it hangs".into(),
            });
        }
        let answer = Answer {
            status: 204,
            excerpt: AnswerExcerpt::default(),
        };
        Ok(Delivered {
            answer,
            took: Duration::from_millis(1),
        })
    }
}

async fn subscribe(world: &World, number: u128, url: &str) {
    let url = TargetUrl::parse(url).unwrap();
    let subscription = Subscription {
        url,
        ..sealed(subscription(number), &server_secret())
    };
    let added = world.store.add(&subscription, LogPosition::START).await;
    assert!(added.unwrap());
}

#[tokio::test]
async fn attempts_are_limited_and_hanging_endpoints_do_not_delay_healthy_ones() {
    const ENDPOINTS: u128 = 30;
    let mut world = World::new(|_, _| 204);
    world.settings.max_in_flight_total = 16;
    world.settings.lease = Duration::from_secs(30);
    let hanging = |number| format!("{HANGING}{number}");
    for number in 1..=ENDPOINTS {
        subscribe(&world, number, &hanging(number)).await;
    }
    world.record_messages(50).await;
    let endpoints = Arc::new(Endpoints {
        fails: watch::Sender::new(0),
        under_way: Mutex::default(),
        most: Mutex::default(),
        tried: Mutex::default(),
    });
    let worker = world.worker_with(endpoints.clone(), "one");
    let mut dispatchers = Vec::new();
    let claim = async || worker.claim().await.unwrap();
    while let Some(dispatcher) = claim().await {
        dispatchers.push(spawn(dispatcher.run(std::future::pending())));
    }
    // Until all are known to be slow.
    until("each has failed", async || {
        endpoints.fails.send_modify(|fails| *fails += 1);
        (1..=ENDPOINTS).all(|number| endpoints.tried(&hanging(number)) > 0)
    })
    .await;
    endpoints.fails.send_modify(|fails| *fails += 1);
    world.rest_for(Duration::from_millis(300)).await;
    assert!(*endpoints.most.lock().unwrap() <= 16);

    subscribe(&world, 1_000, HEALTHY).await;
    let dispatcher = claim().await.unwrap();
    dispatchers.push(spawn(dispatcher.run(std::future::pending())));
    until("all events arrive", async || endpoints.tried(HEALTHY) == 50).await;
    for dispatcher in dispatchers {
        dispatcher.abort();
    }
}
