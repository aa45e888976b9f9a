//! Storing requests, and the limits of what waits.

use domain::crypto::SealedSecret;
use domain::forwarding::{MAX_WAITING_BYTES, MAX_WAITING_REQUESTS};
use ports::channels::Change;
use ports::forwarding::{ClaimedRequest, NewForwardedRequest, StoredRequest};
use tokio::task::JoinSet;

use super::{Forwarding, NOW, OTHER, add_channel, claim, key, record, request, store, waiting};
use crate::builders::{CHANNEL, channel, credential, time};

pub async fn stored_request_is_claimed_with_its_bytes(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    let empty = NewForwardedRequest {
        sealed: SealedSecret(Vec::new()),
        ..request(CHANNEL, 2, NOW)
    };
    let large = NewForwardedRequest {
        sealed: SealedSecret((0..=255).cycle().take(4 * 1_048_576 + 100).collect()),
        ..request(CHANNEL, 3, NOW)
    };
    let requests = [request(CHANNEL, 1, NOW), empty, large];
    assert_eq!(store(&stores, &requests).await, [StoredRequest::Stored; 3]);
    assert_eq!(store(&stores, &[]).await, []);
    let found = waiting(&stores).await.expect("requests wait");
    assert_eq!(
        (found.requests, found.bytes),
        (3, 261 + 4 * 1_048_576 + 100)
    );
    assert_eq!((found.oldest_at, found.last_failure), (time(NOW), None));

    assert_eq!(claim(&stores, NOW - 1).await, []);
    let claimed = claim(&stores, NOW).await;
    assert_eq!(claimed.len(), 3);
    for expected in requests {
        let expected = ClaimedRequest {
            key: expected.key,
            sealed: expected.sealed,
            attempts: 1,
        };
        assert!(claimed.contains(&expected), "{:?}", expected.key);
    }
}

pub async fn same_request_is_stored_once_while_it_waits(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    add_channel(&stores, OTHER).await;
    let first = request(CHANNEL, 1, NOW);
    let twice = [first.clone(), first.clone(), request(OTHER, 1, NOW)];
    let expected = [
        StoredRequest::Stored,
        StoredRequest::AlreadyWaiting,
        StoredRequest::Stored,
    ];
    assert_eq!(store(&stores, &twice).await, expected);
    let claimed = claim(&stores, NOW).await;
    // It still waits while it is sent.
    let again = request(CHANNEL, 1, NOW + 1);
    let outcomes = store(&stores, std::slice::from_ref(&again)).await;
    assert_eq!(outcomes, [StoredRequest::AlreadyWaiting]);
    assert_eq!(waiting(&stores).await.map(|it| it.requests), Some(1));
    record(&stores, &[claimed[0].key.clone()], &[]).await;
    assert_eq!(store(&stores, &[again]).await, [StoredRequest::Stored]);

    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let store = stores.nth(racer);
        racers.spawn(async move {
            let requests = [request(CHANNEL, 7, NOW), request(CHANNEL, 8, NOW)];
            let outcomes = store.store_requests(&requests).await;
            outcomes.expect("the store is there")
        });
    }
    racers.join_all().await;
    assert_eq!(waiting(&stores).await.map(|it| it.requests), Some(3));
}

pub async fn channel_without_forward_url_stores_nothing(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    let plain = channel(OTHER).build();
    let first = credential(OTHER, 2).build();
    let added = stores.one.add(&plain, &first);
    assert_eq!(added.await.expect("the store is there"), Change::Done);
    let requests = [
        request(OTHER, 1, NOW),
        request(CHANNEL, 1, NOW),
        request("nowhere", 1, NOW),
    ];
    let expected = [
        StoredRequest::NotForwarding,
        StoredRequest::Stored,
        StoredRequest::NotForwarding,
    ];
    assert_eq!(store(&stores, &requests).await, expected);
    let all = stores.other.waiting_requests(None).await;
    assert_eq!(all.expect("the store is there").len(), 1);
}

pub async fn number_of_waiting_requests_is_limited_per_channel(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    add_channel(&stores, OTHER).await;
    let max = u16::try_from(MAX_WAITING_REQUESTS).expect("it is small");
    let requests: Vec<_> = (0..max + 2)
        .map(|number| request(CHANNEL, number, NOW))
        .collect();
    let outcomes = store(&stores, &requests).await;
    let full = outcomes
        .iter()
        .filter(|it| **it == StoredRequest::Full)
        .count();
    assert_eq!(full, 2);
    let next = [
        request(CHANNEL, max + 3, NOW),
        request(CHANNEL, 1, NOW),
        request(OTHER, 1, NOW),
    ];
    let expected = [
        StoredRequest::Full,
        StoredRequest::AlreadyWaiting,
        StoredRequest::Stored,
    ];
    assert_eq!(store(&stores, &next).await, expected);
    let found = waiting(&stores).await.map(|it| it.requests);
    assert_eq!(found, Some(MAX_WAITING_REQUESTS));
    record(&stores, &[key(CHANNEL, 0)], &[]).await;
    assert_eq!(store(&stores, &next[..1]).await, [StoredRequest::Stored]);
}

pub async fn size_of_waiting_requests_is_limited_per_channel(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    let of_size = |number, size: u64| NewForwardedRequest {
        sealed: SealedSecret(vec![7; usize::try_from(size).expect("it is small")]),
        ..request(CHANNEL, number, NOW)
    };
    let quarter = MAX_WAITING_BYTES / 4;
    for number in 0..3 {
        let outcomes = store(&stores, &[of_size(number, quarter)]).await;
        assert_eq!(outcomes, [StoredRequest::Stored]);
    }
    let rest = [of_size(3, quarter + 1), of_size(4, quarter), of_size(5, 1)];
    let expected = [
        StoredRequest::Full,
        StoredRequest::Stored,
        StoredRequest::Full,
    ];
    assert_eq!(store(&stores, &rest).await, expected);
    let found = waiting(&stores).await.map(|it| it.bytes);
    assert_eq!(found, Some(MAX_WAITING_BYTES));
}
