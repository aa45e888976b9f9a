//! Claims and their leases.

use std::collections::HashSet;

use ports::forwarding::RequestClaim;
use tokio::task::JoinSet;

use super::{
    Forwarding, LEASE, NOW, OTHER, add_channel, claim, claim_beside, claim_of, claimable, key,
    keys, request, store,
};
use crate::builders::{CHANNEL, time};

pub async fn racing_claims_get_different_requests(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    let requests: Vec<_> = (0..200)
        .map(|number| request(CHANNEL, number, NOW))
        .collect();
    store(&stores, &requests).await;
    let mut racers = JoinSet::new();
    for racer in 0..16 {
        let store = stores.nth(racer);
        racers.spawn(async move {
            let channels = [claimable(CHANNEL, 0)];
            let claim = RequestClaim {
                channels: &channels,
                per_channel: 7,
                total: 7,
                now: time(NOW),
                lease: LEASE,
            };
            let mut all = Vec::new();
            loop {
                let claimed = store.claim_requests(&claim).await;
                let claimed = claimed.expect("the store is there");
                if claimed.is_empty() {
                    return all;
                }
                all.extend(claimed);
            }
        });
    }
    let claimed: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    assert_eq!(
        keys(&claimed).len(),
        claimed.len(),
        "none was claimed twice"
    );
    // Rows that another claim locked at the same moment may be left.
    let rest = claim_of(&stores, &[CHANNEL], (300, 300), NOW).await;
    assert_eq!(claimed.len() + rest.len(), 200);
}

pub async fn request_is_due_again_after_its_lease(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    store(&stores, &[request(CHANNEL, 1, NOW)]).await;
    let later = NOW + 1_000;
    assert_eq!(claim(&stores, later).await.len(), 1);
    let end = later + i64::try_from(LEASE.as_micros()).expect("it is short");
    assert_eq!(claim(&stores, end - 1).await, []);
    let again = claim(&stores, end).await;
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].attempts, 2);
}

pub async fn claim_takes_the_longest_due_and_so_many_of_each_channel(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    add_channel(&stores, OTHER).await;
    let mut requests: Vec<_> = (0..9)
        .map(|it| request(CHANNEL, it, NOW + 9 - i64::from(it)))
        .collect();
    requests.push(request(OTHER, 1, NOW + 20));
    requests.push(request(OTHER, 2, NOW + 21));
    requests.push(request(OTHER, 3, NOW + 1_000));
    store(&stores, &requests).await;
    let now = NOW + 100;
    assert_eq!(claim_of(&stores, &[], (9, 9), now).await, []);
    assert_eq!(claim_of(&stores, &["nowhere"], (9, 9), now).await, []);
    let first = claim_of(&stores, &[CHANNEL, OTHER], (2, 3), now).await;
    let expected = [key(CHANNEL, 8), key(CHANNEL, 7), key(OTHER, 1)];
    assert_eq!(keys(&first), HashSet::from(expected));
    let second = claim_of(&stores, &[OTHER], (2, 3), now).await;
    assert_eq!(keys(&second), HashSet::from([key(OTHER, 2)]));
    let third = claim_of(&stores, &[CHANNEL, OTHER], (9, 4), now).await;
    let expected = [6, 5, 4, 3].map(|number| key(CHANNEL, number));
    assert_eq!(keys(&third), HashSet::from(expected));
}

pub async fn channels_with_fewer_requests_in_flight_are_claimed_first(stores: Forwarding) {
    add_channel(&stores, CHANNEL).await;
    add_channel(&stores, OTHER).await;
    let mut requests: Vec<_> = (0..9)
        .map(|number| request(CHANNEL, number, NOW + i64::from(number)))
        .collect();
    requests.extend((0..9).map(|number| request(OTHER, number, NOW + 50 + i64::from(number))));
    store(&stores, &requests).await;
    let claim = async |in_flight: (u16, u16), total| {
        let channels = [
            claimable(CHANNEL, in_flight.0),
            claimable(OTHER, in_flight.1),
        ];
        keys(&claim_beside(&stores, &channels, (4, total), NOW + 100).await)
    };
    let first = claim((4, 0), 1).await;
    assert_eq!(first, HashSet::from([key(OTHER, 0)]));
    let even = claim((4, 1), 4).await;
    let expected = [key(OTHER, 1), key(OTHER, 2), key(OTHER, 3), key(CHANNEL, 0)];
    assert_eq!(even, HashSet::from(expected));
    let both = claim((0, 0), 3).await;
    let expected = [key(CHANNEL, 1), key(OTHER, 4), key(CHANNEL, 2)];
    assert_eq!(both, HashSet::from(expected));
}
