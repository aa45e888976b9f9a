//! What is stored before a request is answered.

use std::rc::Rc;
use std::time::Duration;

use domain::forwarding::MAX_WAITING_REQUESTS;
use domain::page::PageSize;
use domain::{ForwardedRequest, ForwardedRequestKey};
use ports::forwarding::{ClaimableChannel, NewForwardedRequest, RequestClaim, StoredRequest};
use ports::metrics::ForwardOutcome;
use ports::{Environment as _, ForwardedRequestStore as _, RejectionStore, ReportStore as _};
use testkit::builders::{channel_id, key_on, server_secret};
use tokio::task::LocalSet;
use usecases::ReceiveError;
use usecases::forwarding::ForwardError;

use super::world::{World, message, status};

const URL: &str = "https://inbox.example.com/";

async fn is_recorded(world: &World, number: u64) -> bool {
    let key = key_on("1", &format!("wamid.{number}"));
    world.store.message(&key).await.unwrap().is_some()
}

#[tokio::test]
async fn mixed_request_is_recorded_and_stored_whole() {
    let world = World::new(&[("1", Some(URL))]).await;
    let body = status(1, true);
    world.receive("1", &body).await.unwrap();
    assert!(is_recorded(&world, 1).await);
    assert_eq!(world.waits("1").await, 1);

    let channels = [ClaimableChannel {
        id: channel_id("1"),
        in_flight: 0,
    }];
    let claim = RequestClaim {
        channels: &channels,
        per_channel: 1,
        total: 1,
        now: world.clock.now(),
        lease: Duration::from_secs(1),
    };
    let claimed = world.store.claim_requests(&claim).await.unwrap().remove(0);
    let sealed = claimed.sealed.0.windows(5).any(|bytes| bytes == b"wamid");
    assert!(!sealed, "the content is sealed");
    let context = ForwardedRequest::sealing_context(&channel_id("1"));
    let opened = server_secret().open_bytes(&claimed.sealed, &context);
    let request = ForwardedRequest::decode(&opened.unwrap()).unwrap();
    assert_eq!(request.body(), body);
    let expected = [
        ("Content-Type", b"application/json; charset=UTF-8".to_vec()),
        ("X-Hub-Signature-256", b"sha256=00ff".to_vec()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(request.headers(), expected, "and no credentials");
}

#[tokio::test]
async fn reports_alone_and_other_channels_are_not_stored() {
    let world = World::new(&[("1", Some(URL)), ("2", None)]).await;
    world.receive("1", &status(1, false)).await.unwrap();
    world.receive("2", &message(1)).await.unwrap();
    world.receive_from("1", &message(1), true).await.unwrap();
    assert_eq!(world.waits("1").await + world.waits("2").await, 0);
    assert_eq!(world.counter.of(ForwardOutcome::Stored), 0);
}

#[tokio::test]
async fn body_that_cannot_be_parsed_is_stored_and_rejected() {
    let world = World::new(&[("1", Some(URL)), ("2", None)]).await;
    world.receive("1", b"no JSON").await.unwrap();
    world.receive("2", b"no JSON").await.unwrap();
    world.receive_from("1", b"a test", true).await.unwrap();
    assert_eq!((world.waits("1").await, world.waits("2").await), (1, 0));
    let rejections = RejectionStore::list(&world.store, None, None, PageSize::default());
    assert_eq!(rejections.await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn redelivered_request_is_stored_once() {
    let world = World::new(&[("1", Some(URL)), ("2", Some(URL))]).await;
    for _ in 0..3 {
        world.receive("1", &message(1)).await.unwrap();
    }
    world.receive("2", &message(1)).await.unwrap();
    assert_eq!((world.waits("1").await, world.waits("2").await), (1, 1));
    assert_eq!(world.counter.of(ForwardOutcome::Stored), 2);
}

#[tokio::test]
async fn full_channel_is_refused_and_its_reports_are_recorded() {
    let world = World::new(&[("1", Some(URL)), ("2", Some(URL))]).await;
    let requests = (0..MAX_WAITING_REQUESTS).map(|number| {
        let mut body_hash = [0xff; 32];
        body_hash[..8].copy_from_slice(&number.to_be_bytes());
        NewForwardedRequest {
            key: ForwardedRequestKey {
                channel: channel_id("1"),
                body_hash,
            },
            sealed: domain::crypto::SealedSecret(Vec::new()),
            arrived_at: world.clock.now(),
        }
    });
    let requests: Vec<_> = requests.collect();
    let outcomes = world.store.store_requests(&requests).await.unwrap();
    assert!(outcomes.iter().all(|it| *it == StoredRequest::Stored));

    let refused = world.receive("1", &status(1, true)).await;
    assert!(
        matches!(
            &refused,
            Err(ReceiveError::NotForwarded(ForwardError::Full))
        ),
        "{refused:?}"
    );
    assert!(is_recorded(&world, 1).await);
    world.receive("1", &status(2, false)).await.unwrap();
    world.receive("2", &message(1)).await.unwrap();
    assert_eq!(world.counter.of(ForwardOutcome::Refused), 1);
}

#[tokio::test]
async fn unavailable_store_refuses_the_request() {
    let world = World::new(&[("1", Some(URL))]).await;
    world.store.set_unavailable(true);
    let refused = world.receive("1", &message(1)).await;
    assert!(
        matches!(
            &refused,
            Err(ReceiveError::NotForwarded(ForwardError::Unavailable(_)))
        ),
        "{refused:?}"
    );
    world.store.set_unavailable(false);
    world.receive("1", &message(1)).await.unwrap();
    assert_eq!(world.waits("1").await, 1);
}

#[tokio::test]
async fn concurrent_requests_are_all_stored_and_cancelled_ones_cost_the_others_nothing() {
    let world = Rc::new(World::new(&[("1", Some(URL))]).await);
    // Requests stay on their thread, like those of the listener.
    let calls = LocalSet::new();
    let receive = |number| {
        let world = Rc::clone(&world);
        calls.spawn_local(async move { world.receive("1", &message(number)).await })
    };
    let callers: Vec<_> = (0..200).map(receive).collect();
    let waiting = calls.run_until(async {
        tokio::task::yield_now().await;
        for (number, caller) in callers.into_iter().enumerate() {
            if number % 10 == 0 {
                caller.abort();
            } else {
                caller.await.unwrap().unwrap();
            }
        }
    });
    waiting.await;
    let stored = world.waits("1").await;
    assert!((180..=200).contains(&stored), "{stored}");
}

#[tokio::test]
async fn disabled_channel_forwards_nothing() {
    let world = World::new(&[("1", Some(URL))]).await;
    let mut channel = world
        .directory
        .find(&channel_id("1"))
        .unwrap()
        .channel
        .clone();
    channel.enabled = false;
    channel.version += 1;
    ports::ChannelStore::update(&world.store, &channel)
        .await
        .unwrap();
    world.directory.refresh().await.unwrap();
    let refused = world.receive("1", &message(1)).await;
    assert!(matches!(refused, Err(ReceiveError::ChannelDisabled)));
    assert_eq!(world.waits("1").await, 0);
}
