//! Requests that are removed without being forwarded.

use std::collections::HashSet;

use domain::webhook::TargetUrl;
use ports::channels::Change;
use ports::forwarding::StoredRequest;
use ports::maintenance::RetentionKind;

use super::{
    Forwarding, NOW, OTHER, URL, add_channel, claim, key, keys, postponed, record, remove_old,
    request, store, waiting,
};
use crate::builders::{CHANNEL, channel_id, time};

pub async fn old_requests_are_removed_and_counted_by_channel(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    add_channel(&stores, OTHER).await;
    let mut requests: Vec<_> = (0..1_100)
        .map(|number| request(CHANNEL, number, NOW))
        .collect();
    requests.push(request(OTHER, 1, NOW - 2));
    requests.push(request(OTHER, 2, NOW + 5));
    store(&stores, &requests).await;
    assert_eq!(remove_old(&stores, NOW - 2, NOW + 5).await, []);
    let (this, other) = (channel_id(CHANNEL), channel_id(OTHER));
    let removed = remove_old(&stores, NOW + 5, NOW + 5).await;
    assert_eq!(removed, [(this.clone(), 999), (other, 1)]);
    let removed = remove_old(&stores, NOW + 5, NOW + 5).await;
    assert_eq!(removed, [(this, 101)]);
    assert_eq!(remove_old(&stores, NOW + 5, NOW + 5).await, []);
    let all = stores.one.waiting_requests(None).await;
    assert_eq!(all.expect("the store is there").len(), 1);
}

pub async fn request_from_the_future_counts_as_arrived_now(stores: Forwarding) {
    const HOUR: i64 = 3_600_000_000;
    add_channel(&stores, CHANNEL).await;
    let requests = [
        request(CHANNEL, 1, NOW + HOUR),
        request(CHANNEL, 2, NOW + 24 * 365 * HOUR),
    ];
    store(&stores, &requests).await;
    assert_eq!(remove_old(&stores, NOW - HOUR, NOW).await, []);
    let due = claim(&stores, NOW).await;
    assert_eq!(keys(&due), HashSet::from([key(CHANNEL, 2)]));
    let oldest = waiting(&stores).await.map(|it| it.oldest_at);
    assert_eq!(oldest, Some(time(NOW)));
}

pub async fn requests_that_a_wrong_clock_postponed_become_due(stores: Forwarding) {
    const HOUR: i64 = 3_600_000_000;
    add_channel(&stores, CHANNEL).await;
    let requests = [
        request(CHANNEL, 1, NOW),
        request(CHANNEL, 2, NOW),
        request(CHANNEL, 3, NOW + HOUR),
        request(CHANNEL, 4, NOW + 48 * HOUR),
    ];
    store(&stores, &requests).await;
    for (claimed, until) in claim(&stores, NOW).await.iter().zip([25, 26]) {
        let until = NOW + until * HOUR;
        record(&stores, &[], &[postponed(claimed, until, "failed")]).await;
    }
    assert_eq!(claim(&stores, NOW).await, []);
    let restored = stores.other.restore_due_times(time(NOW)).await;
    assert_eq!(restored.expect("the store is there"), 2);
    let restored = stores.one.restore_due_times(time(NOW)).await;
    assert_eq!(restored.expect("the store is there"), 0);
    let due = claim(&stores, NOW).await;
    assert_eq!(due.len(), 2);
    assert!(
        keys(&due).contains(&key(CHANNEL, 4)),
        "it arrived with a wrong clock"
    );
    let later = claim(&stores, NOW + HOUR).await;
    assert!(
        keys(&later).contains(&key(CHANNEL, 3)),
        "it was left as it is"
    );
}

pub async fn old_requests_are_known_to_retention(stores: Forwarding) {
    let older = async |before| {
        let kind = RetentionKind::ForwardedRequests;
        let older = stores.other.has_older(kind, time(before), time(NOW)).await;
        older.expect("the store is there")
    };
    add_channel(&stores, CHANNEL).await;
    assert!(!older(NOW + 1).await);
    store(&stores, &[request(CHANNEL, 1, NOW)]).await;
    assert!(!older(NOW).await);
    assert!(older(NOW + 1).await);
}

pub async fn removing_the_forward_url_removes_what_waits(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    add_channel(&stores, OTHER).await;
    let requests = [request(CHANNEL, 1, NOW), request(OTHER, 1, NOW)];
    store(&stores, &requests).await;
    let found = stores.one.find(&channel_id(CHANNEL)).await;
    let mut changed = found
        .expect("the store is there")
        .expect("a channel")
        .channel;
    assert_eq!(
        changed.forward_url.as_ref().map(TargetUrl::reveal),
        Some(URL)
    );
    changed.version += 1;
    changed.enabled = false;
    let updated = stores.one.update(&changed).await;
    assert_eq!(updated.expect("the store is there"), Change::Done);
    assert!(waiting(&stores).await.is_some(), "other changes keep them");
    changed.forward_url = None;
    let outdated = stores.one.update(&changed).await;
    assert_eq!(outdated.expect("the store is there"), Change::Outdated);
    assert!(
        waiting(&stores).await.is_some(),
        "a refused change keeps them"
    );
    changed.version += 1;
    let updated = stores.one.update(&changed).await;
    assert_eq!(updated.expect("the store is there"), Change::Done);
    assert_eq!(waiting(&stores).await, None);
    let all = stores.one.waiting_requests(None).await;
    assert_eq!(all.expect("the store is there").len(), 1);
}

pub async fn removing_the_channel_removes_what_waits(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    store(&stores, &[request(CHANNEL, 1, NOW)]).await;
    let removed = stores.one.remove(&channel_id(CHANNEL)).await;
    assert_eq!(removed.expect("the store is there"), Change::Done);
    assert_eq!(waiting(&stores).await, None);
    assert_eq!(claim(&stores, NOW).await, []);
    let outcomes = store(&stores, &[request(CHANNEL, 1, NOW)]).await;
    assert_eq!(outcomes, [StoredRequest::NotForwarding]);
}
