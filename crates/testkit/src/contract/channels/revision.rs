//! The revision by which other processes notice changes.

use domain::CredentialId;
use ports::channels::Change;
use uuid::Uuid;

use super::steps::{Channels, add, add_credential, find, full_channel, revision, update};
use crate::builders::{channel, channel_id, credential, time};

pub async fn every_change_changes_the_revision(stores: Channels) {
    let store = &*stores.one;
    let (id, second) = (channel_id("1"), credential("1", 2).build());
    let mut seen = vec![revision(store).await];
    let mut note = async |what: &str| {
        let number = revision(&*stores.other).await;
        assert!(!seen.contains(&number), "{what} changes the revision");
        seen.push(number);
    };
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    note("adding").await;
    assert_eq!(
        update(store, &channel("1").version(2).build()).await,
        Change::Done
    );
    note("updating").await;
    assert_eq!(add_credential(store, &second).await, Change::Done);
    note("adding a credential").await;
    store
        .remove_credential(&id, second.id)
        .await
        .expect("the store is there");
    note("removing a credential").await;
    store.remove(&id).await.expect("the store is there");
    note("removing").await;
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    note("adding again").await;
}

pub async fn operations_without_effect_do_not_change_the_revision(stores: Channels) {
    let store = &*stores.one;
    let (id, first) = (channel_id("1"), credential("1", 1).build());
    add(store, &channel("1").build(), &first).await;
    assert_eq!(
        add_credential(store, &credential("1", 2).build()).await,
        Change::Done
    );
    let number = revision(store).await;
    store
        .touch(&[(first.id, time(9))])
        .await
        .expect("the store is there");
    assert_eq!(
        add_credential(store, &credential("1", 3).build()).await,
        Change::Full
    );
    assert_eq!(
        add_credential(store, &credential("2", 4).build()).await,
        Change::Absent
    );
    assert_eq!(
        update(store, &channel("1").version(7).build()).await,
        Change::Outdated
    );
    assert_eq!(
        update(store, &channel("2").version(2).build()).await,
        Change::Absent
    );
    let removed = store
        .remove_credential(&id, CredentialId(Uuid::from_u128(3)))
        .await;
    assert_eq!(removed.expect("the store is there"), Change::Absent);
    assert_eq!(revision(store).await, number);
}

pub async fn another_store_on_the_same_data_sees_changes(stores: Channels) {
    add(
        &*stores.one,
        &full_channel("1"),
        &credential("1", 1).build(),
    )
    .await;
    let found = find(&*stores.other, "1").await;
    assert_eq!(found, find(&*stores.one, "1").await);
    assert!(found.is_some());
    assert_eq!(
        update(&*stores.other, &channel("1").version(2).build()).await,
        Change::Done
    );
    assert_eq!(
        update(&*stores.one, &channel("1").version(2).build()).await,
        Change::Outdated
    );
    let found = find(&*stores.one, "1").await.expect("it is there");
    assert_eq!(found.channel.name.as_str(), "Service desk");
    assert_eq!(revision(&*stores.one).await, revision(&*stores.other).await);
}
