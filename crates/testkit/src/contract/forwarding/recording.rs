//! Recording the outcomes of claimed requests.

use std::collections::HashSet;

use super::{
    Forwarding, LEASE, NOW, OTHER, add_channel, claim, keys, postponed, record, request, store,
    waiting,
};
use crate::builders::{CHANNEL, channel_id};

pub async fn postponed_request_is_due_at_its_time_with_its_error(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    let requests = [1, 2, 3].map(|number| request(CHANNEL, number, NOW));
    store(&stores, &requests).await;
    let claimed = claim(&stores, NOW).await;
    let due = [NOW + 100, NOW + 300, NOW + 200];
    let errors = ["first", "the target answered 500 \"'\u{1f44d}", "second"];
    let failed: Vec<_> = (0..3)
        .map(|at| postponed(&claimed[at], due[at], errors[at]))
        .collect();
    record(&stores, &[], &failed).await;
    let failure = waiting(&stores).await.and_then(|it| it.last_failure);
    assert_eq!(failure, Some(failed[1].failure.clone()));
    assert_eq!(claim(&stores, NOW + 99).await, []);
    assert_eq!(
        keys(&claim(&stores, NOW + 100).await),
        HashSet::from([failed[0].key.clone()])
    );
    let rest = claim(&stores, NOW + 300).await;
    assert_eq!(rest.len(), 2);
    assert!(rest.iter().all(|claimed| claimed.attempts == 2));
    // The error of the last failure goes with its request.
    record(&stores, &[failed[1].key.clone()], &[]).await;
    let failure = waiting(&stores).await.and_then(|it| it.last_failure);
    assert_eq!(failure, Some(failed[2].failure.clone()));
}

pub async fn late_record_of_an_earlier_claim_changes_nothing(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    store(&stores, &[request(CHANNEL, 1, NOW)]).await;
    let first = claim(&stores, NOW).await;
    let end = NOW + i64::try_from(LEASE.as_micros()).expect("it is short");
    let second = claim(&stores, end).await;
    record(&stores, &[], &[postponed(&first[0], end + 1, "late")]).await;
    assert_eq!(
        claim(&stores, end + 1).await,
        [],
        "the second claim holds it"
    );
    assert_eq!(waiting(&stores).await.and_then(|it| it.last_failure), None);
    record(&stores, &[], &[postponed(&second[0], end + 1, "in time")]).await;
    assert_eq!(claim(&stores, end + 1).await.len(), 1);
}

pub async fn forwarded_request_is_removed(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    add_channel(&stores, OTHER).await;
    let requests = [
        request(CHANNEL, 1, NOW),
        request(CHANNEL, 2, NOW),
        request(OTHER, 1, NOW),
    ];
    store(&stores, &requests).await;
    let claimed = claim(&stores, NOW).await;
    let both = keys(&claimed).into_iter().collect::<Vec<_>>();
    record(&stores, &both, &[]).await;
    // Again, and of requests that are gone: nothing happens.
    let gone = [postponed(&claimed[0], NOW + 1, "gone")];
    record(&stores, &both, &gone).await;
    record(&stores, &[], &[]).await;
    assert_eq!(waiting(&stores).await, None);
    let all = stores.other.waiting_requests(None).await;
    let all = all.expect("the store is there");
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].0, channel_id(OTHER));
}
