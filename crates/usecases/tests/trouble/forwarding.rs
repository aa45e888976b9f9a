//! Requests that are not forwarded.

use domain::ForwardedRequestKey;
use domain::crypto::SealedSecret;
use domain::forwarding::ForwardingFailure;
use domain::trouble::{TroubleKind, TroubleSubject};
use ports::forwarding::{
    ClaimableChannel, NewForwardedRequest, PostponedRequest, RequestClaim, StoredRequest,
};
use ports::{ChannelStore as _, ForwardedRequestStore as _};
use testkit::builders::{channel, channel_id, credential, time};

use super::{DAY, HOUR, NOW, World};

const FORWARDING: &str = "forwarding";

#[tokio::test]
async fn requests_that_are_not_forwarded_open_a_trouble_until_they_are() {
    let world = World::new().await;
    let desk = channel(FORWARDING).integrator("360dialog");
    let desk = desk.forward_url("https://inbox.example.com/");
    let desk = desk.at(NOW - DAY).build();
    let first = credential(FORWARDING, 1).at(NOW - DAY).build();
    world.store.add(&desk, &first).await.unwrap();
    let key = ForwardedRequestKey {
        channel: channel_id(FORWARDING),
        body_hash: [7; 32],
    };
    let request = NewForwardedRequest {
        key: key.clone(),
        sealed: SealedSecret(vec![1]),
        arrived_at: world.now(),
    };
    let stored = world.store.store_requests(&[request]).await.unwrap();
    assert_eq!(stored, [StoredRequest::Stored]);
    let channel = ClaimableChannel {
        id: key.channel.clone(),
        in_flight: 0,
    };
    let claim = RequestClaim {
        channels: std::slice::from_ref(&channel),
        per_channel: 1,
        total: 1,
        now: world.now(),
        lease: std::time::Duration::from_mins(1),
    };
    let claimed = world.store.claim_requests(&claim).await.unwrap();
    let postponed = PostponedRequest {
        key: key.clone(),
        attempts: claimed[0].attempts,
        next_attempt_at: time(NOW + HOUR),
        failure: ForwardingFailure {
            at: world.now(),
            error: "HTTP 503".to_owned(),
        },
    };
    let postponed = [postponed];
    let recorded = world.store.record_forwarding(&[], &postponed);
    recorded.await.unwrap();
    world.evaluate(10).await;
    assert_eq!(world.troubles(TroubleKind::ForwardingFailing).await, []);
    world.evaluate(2).await;
    let open = world.open(TroubleKind::ForwardingFailing).await;
    assert_eq!(open.len(), 1);
    let subject = TroubleSubject::Channel(channel_id(FORWARDING));
    assert_eq!(open[0].key.subject, subject);
    assert_eq!(open[0].finding.since, time(NOW));
    let seen = &open[0].finding.seen;
    assert!(seen.contains("HTTP 503"), "{seen}");
    world.store.record_forwarding(&[key], &[]).await.unwrap();
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::ForwardingFailing).await, []);
    assert_eq!(world.events().await.len(), 2);
}
