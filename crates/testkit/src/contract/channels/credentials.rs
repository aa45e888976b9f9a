//! Credentials: their limit, removal, and times of last use.

use domain::credential::LIVE_CREDENTIALS_MAX;
use domain::{ChannelCalls, CredentialId, Timestamp};
use ports::channels::Change;
use uuid::Uuid;

use super::steps::{Channels, add, add_credential, count, credentials, find, race};
use crate::builders::{channel, channel_id, credential, time};

pub async fn a_channel_has_no_more_live_credentials_than_it_may(stores: Channels) {
    let store = &*stores.one;
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    add(store, &channel("2").build(), &credential("2", 2).build()).await;
    for number in 1..LIVE_CREDENTIALS_MAX as u128 {
        let one = credential("1", 10 + number).build();
        assert_eq!(add_credential(store, &one).await, Change::Done);
    }
    assert_eq!(
        add_credential(store, &credential("1", 99).build()).await,
        Change::Full
    );
    assert_eq!(credentials(store, "1").await.len(), LIVE_CREDENTIALS_MAX);
    assert_eq!(
        add_credential(store, &credential("2", 98).build()).await,
        Change::Done
    );
}

pub async fn an_expired_credential_does_not_count_towards_the_limit(stores: Channels) {
    let store = &*stores.one;
    add(
        store,
        &channel("1").build(),
        &credential("1", 1).at(10).expires_at(100).build(),
    )
    .await;
    let second = credential("1", 2).at(20);
    assert_eq!(add_credential(store, &second.build()).await, Change::Done);
    let third = credential("1", 3);
    assert_eq!(
        add_credential(store, &third.clone().at(99).build()).await,
        Change::Full
    );
    assert_eq!(
        add_credential(store, &third.at(100).build()).await,
        Change::Done
    );
    assert_eq!(
        credentials(store, "1").await.len(),
        3,
        "the expired one is kept"
    );
    assert_eq!(
        add_credential(store, &credential("1", 4).at(101).build()).await,
        Change::Full
    );
}

pub async fn racing_credentials_never_exceed_the_limit(stores: Channels) {
    add(
        &*stores.one,
        &channel("1").build(),
        &credential("1", 1_000).build(),
    )
    .await;
    let changes = race(&stores, |store, number| async move {
        add_credential(&*store, &credential("1", number).build()).await
    });
    let changes = changes.await;
    let added = LIVE_CREDENTIALS_MAX - 1;
    assert_eq!(count(&changes, Change::Done), added);
    assert_eq!(count(&changes, Change::Full), changes.len() - added);
    assert_eq!(
        credentials(&*stores.one, "1").await.len(),
        LIVE_CREDENTIALS_MAX
    );
}

pub async fn test_credentials_have_a_limit_of_their_own(stores: Channels) {
    let store = &*stores.one;
    let first = credential("1", 1).at(1).build();
    add(store, &channel("1").build(), &first).await;
    let second = credential("1", 2).at(2).build();
    assert_eq!(add_credential(store, &second).await, Change::Done);
    let test = credential("1", 3).at(3).expires_at(100).for_test();
    let test = test.build();
    assert_eq!(add_credential(store, &test).await, Change::Done);
    let other = |number, at: i64| {
        credential("1", number)
            .at(at)
            .expires_at(at + 100)
            .for_test()
    };
    assert_eq!(
        add_credential(store, &other(4, 99).build()).await,
        Change::Full
    );
    assert_eq!(
        credentials(store, "1").await,
        [first.clone(), second.clone(), test]
    );
    // The expired one is removed.
    let next = other(5, 100).build();
    assert_eq!(add_credential(store, &next).await, Change::Done);
    assert_eq!(
        credentials(store, "1").await,
        [first.clone(), second.clone(), next]
    );
    let removed = store.remove_credential(&first.channel, first.id).await;
    assert_eq!(removed.expect("the store is there"), Change::Done);
    let third = credential("1", 6).at(200).build();
    assert_eq!(add_credential(store, &third).await, Change::Done);
    assert_eq!(credentials(store, "1").await, [second, third]);
}

pub async fn one_of_many_racing_test_credentials_is_added(stores: Channels) {
    let first = credential("1", 1_000).build();
    add(&*stores.one, &channel("1").build(), &first).await;
    let changes = race(&stores, |store, number| async move {
        let test = credential("1", number).for_test().build();
        add_credential(&*store, &test).await
    });
    assert_eq!(count(&changes.await, Change::Done), 1);
}

pub async fn adding_a_credential_to_an_unknown_channel_is_absent(stores: Channels) {
    let lost = credential("1", 1).build();
    assert_eq!(add_credential(&*stores.one, &lost).await, Change::Absent);
    assert_eq!(find(&*stores.one, "1").await, None);
}

pub async fn a_removed_credential_is_gone(stores: Channels) {
    let store = &*stores.one;
    let (first, second) = (credential("1", 1).build(), credential("1", 2).at(1).build());
    add(store, &channel("1").build(), &first).await;
    add_credential(store, &second).await;
    for wanted in [Change::Done, Change::Absent] {
        let removed = store.remove_credential(&first.channel, first.id).await;
        assert_eq!(removed.expect("the store is there"), wanted);
    }
    assert_eq!(credentials(store, "1").await, std::slice::from_ref(&second));
    let removed = store.remove_credential(&second.channel, second.id).await;
    assert_eq!(removed.expect("the store is there"), Change::Done);
    assert_eq!(credentials(store, "1").await, []);
}

pub async fn a_credential_is_removed_from_its_own_channel_only(stores: Channels) {
    let store = &*stores.one;
    for (id, number) in [("1", 1), ("2", 2)] {
        add(store, &channel(id).build(), &credential(id, number).build()).await;
    }
    for (id, number) in [("1", 2), ("2", 1), ("3", 1), ("1", 3)] {
        let number = CredentialId(Uuid::from_u128(number));
        let removed = store.remove_credential(&channel_id(id), number).await;
        assert_eq!(removed.expect("the store is there"), Change::Absent);
    }
    for id in ["1", "2"] {
        assert_eq!(credentials(store, id).await.len(), 1);
    }
}

/// Uses to note, and the times that are kept afterwards.
type UseStep<'a> = (&'a [(CredentialId, i64)], [Option<i64>; 2]);

pub async fn touch_keeps_the_latest_time(stores: Channels) {
    let store = &*stores.one;
    let (first, second) = (credential("1", 1).build(), credential("1", 2).build());
    add(store, &channel("1").build(), &first).await;
    add_credential(store, &second).await;
    let gone = CredentialId(Uuid::from_u128(3));
    let steps: [UseStep<'_>; 6] = [
        (&[], [None, None]),
        (&[(first.id, 50), (gone, 60)], [Some(50), None]),
        (&[(first.id, 40), (second.id, -7)], [Some(50), Some(-7)]),
        (
            &[
                (first.id, 51),
                (second.id, 9),
                (first.id, 53),
                (first.id, 52),
            ],
            [Some(53), Some(9)],
        ),
        (&[(gone, 99)], [Some(53), Some(9)]),
        (
            &[(second.id, 253_402_300_799_999_999)],
            [Some(53), Some(253_402_300_799_999_999)],
        ),
    ];
    for (used, wanted) in steps {
        let used: Vec<_> = used.iter().map(|(id, at)| (*id, time(*at))).collect();
        store.touch(&used).await.expect("the store is there");
        let found = credentials(store, "1").await;
        let found = found
            .iter()
            .map(|it| it.last_used_at.map(Timestamp::unix_micros));
        assert_eq!(found.collect::<Vec<_>>(), wanted);
    }
}

pub async fn call_counts_add_up_and_are_removed_with_their_channel(stores: Channels) {
    let store = &*stores.one;
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    add(store, &channel("2").build(), &credential("2", 2).build()).await;
    let revision = store.revision().await.expect("the store is there");
    let calls = |challenged, refused, last: Option<i64>| ChannelCalls {
        challenged,
        refused,
        rejected: 7,
        last_refused_at: last.map(time),
    };
    let batches = [
        vec![
            (channel_id("1"), calls(1, 2, Some(9))),
            (channel_id("gone"), calls(1, 1, None)),
        ],
        vec![
            (channel_id("1"), calls(10, 0, None)),
            (channel_id("2"), calls(5, 0, None)),
        ],
        vec![(channel_id("1"), calls(0, 3, Some(8)))],
        Vec::new(),
    ];
    for (batch, turn) in batches.iter().zip(0..) {
        let counted = stores.nth(turn).count_calls(batch).await;
        counted.expect("the store is there");
    }
    let wanted = ChannelCalls {
        rejected: 21,
        ..calls(11, 5, Some(9))
    };
    let found = async |id| store.calls(&channel_id(id)).await.expect("it can be read");
    let none = ChannelCalls::default();
    for (id, wanted) in [("1", wanted), ("2", calls(5, 0, None)), ("gone", none)] {
        assert_eq!(found(id).await, wanted);
    }
    assert_eq!(
        store.revision().await.expect("the store is there"),
        revision
    );
    let removed = store.remove(&channel_id("1")).await;
    assert_eq!(removed.expect("the store is there"), Change::Done);
    add(store, &channel("1").build(), &credential("1", 9).build()).await;
    assert_eq!(found("1").await, none);
}
