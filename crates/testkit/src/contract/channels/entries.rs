//! Channels: added, found, changed and removed.

use domain::IntegratorName;
use ports::channels::{Change, ChannelWithCredentials};

use super::steps::{
    Channels, add, add_credential, count, credentials, find, full_channel, race, revision, update,
};
use crate::builders::{channel, channel_id, credential, time};

pub async fn a_channel_is_found_as_it_was_added(stores: Channels) {
    let store = &*stores.one;
    let whole = credential("Tenant-7_main~x.1", u128::MAX)
        .key_id(u32::MAX)
        .label("Rotation 2026 – 'zwei'")
        .at(-1)
        .expires_at(253_402_300_799_999_999);
    let pairs = [
        (full_channel("Tenant-7_main~x.1"), whole.build()),
        (channel("2").build(), credential("2", 0).build()),
    ];
    for (channel, credential) in pairs {
        add(store, &channel, &credential).await;
        let id = channel.id.clone();
        let credentials = vec![credential];
        let want = ChannelWithCredentials {
            channel,
            credentials,
        };
        assert_eq!(find(store, id.as_str()).await, Some(want));
    }
}

pub async fn an_unknown_channel_is_none(stores: Channels) {
    assert_eq!(find(&*stores.one, "1").await, None);
    add(
        &*stores.one,
        &channel("A").build(),
        &credential("A", 1).build(),
    )
    .await;
    assert_eq!(find(&*stores.one, "a").await, None);
    assert_eq!(
        stores.other.all().await.expect("the store is there").len(),
        1
    );
}

pub async fn channels_are_listed_by_id_with_their_credentials_oldest_first(stores: Channels) {
    let store = &*stores.one;
    assert_eq!(store.all().await.expect("the store is there"), []);
    let ids = ["b", "10", "B", "2", "_", "1", "a-", "a"];
    for (id, number) in ids.into_iter().zip(1..) {
        let older = credential(id, 100 + number).at(10).expires_at(11).build();
        let newer = credential(id, 50 - number).at(20).build();
        add(store, &channel(id).build(), &newer).await;
        assert_eq!(add_credential(store, &older).await, Change::Done);
        let between = credential(id, 200 + number).at(15).expires_at(16).build();
        assert_eq!(add_credential(store, &between).await, Change::Done);
    }
    let all = store.all().await.expect("the store is there");
    let found: Vec<_> = all.iter().map(|each| each.channel.id.as_str()).collect();
    assert_eq!(found, ["1", "10", "2", "B", "_", "a", "a-", "b"]);
    for each in &all {
        let made = each
            .credentials
            .iter()
            .map(|it| it.created_at.unix_micros());
        assert_eq!(made.collect::<Vec<_>>(), [10, 15, 20]);
        assert!(
            each.credentials
                .iter()
                .all(|it| it.channel == each.channel.id)
        );
        assert_eq!(
            find(store, each.channel.id.as_str()).await.as_ref(),
            Some(each)
        );
    }
}

pub async fn adding_an_id_twice_changes_nothing(stores: Channels) {
    let store = &*stores.one;
    add(store, &full_channel("1"), &credential("1", 1).build()).await;
    let (before, number) = (find(store, "1").await, revision(store).await);
    for (name, id) in [("Other", 2), ("Service desk", 1)] {
        let (channel, first) = (channel("1").name(name).build(), credential("1", id).build());
        let again = store.add(&channel, &first).await;
        assert_eq!(again.expect("the store is there"), Change::Exists);
    }
    assert_eq!(find(store, "1").await, before);
    assert_eq!(revision(store).await, number);
}

pub async fn one_of_many_racing_adds_succeeds(stores: Channels) {
    let changes = race(&stores, |store, number| async move {
        let (channel, first) = (channel("1").build(), credential("1", number).build());
        store
            .add(&channel, &first)
            .await
            .expect("the store is there")
    });
    let changes = changes.await;
    assert_eq!(
        (
            count(&changes, Change::Done),
            count(&changes, Change::Exists)
        ),
        (1, 15)
    );
    assert_eq!(credentials(&*stores.one, "1").await.len(), 1);
}

pub async fn an_update_replaces_everything_but_origin_and_integrator(stores: Channels) {
    let store = &*stores.one;
    add(
        store,
        &channel("1").at(5).build(),
        &credential("1", 1).build(),
    )
    .await;
    add(
        store,
        &channel("2").at(5).build(),
        &credential("2", 2).build(),
    )
    .await;
    let mut want = full_channel("1");
    want.version = 2;
    want.integrator = IntegratorName::parse("other").expect("a name");
    assert_eq!(update(store, &want).await, Change::Done);

    want.created_at = time(5);
    want.integrator = channel("1").build().integrator;
    let found = find(store, "1").await.expect("it is there");
    assert_eq!(found.channel, want);
    assert_eq!(found.credentials.len(), 1);
    assert_eq!(
        find(store, "2").await.expect("it is there").channel,
        channel("2").at(5).build()
    );

    let back = channel("1").at(5).version(3).build();
    assert_eq!(update(store, &back).await, Change::Done);
    assert_eq!(find(store, "1").await.expect("it is there").channel, back);
}

pub async fn an_update_of_another_version_is_outdated(stores: Channels) {
    let store = &*stores.one;
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    assert_eq!(
        update(store, &channel("1").version(2).build()).await,
        Change::Done
    );
    let before = find(store, "1").await;
    for version in [i64::MIN, 0, 1, 2, 4, i64::MAX] {
        let outdated = channel("1").name("Late").version(version).build();
        assert_eq!(
            update(store, &outdated).await,
            Change::Outdated,
            "version {version}"
        );
    }
    assert_eq!(find(store, "1").await, before);
}

pub async fn one_of_many_racing_updates_succeeds(stores: Channels) {
    add(
        &*stores.one,
        &channel("1").build(),
        &credential("1", 1).build(),
    )
    .await;
    let changes = race(&stores, |store, number| async move {
        let changed = channel("1")
            .name(&format!("Racer {number}"))
            .version(2)
            .build();
        update(&*store, &changed).await
    });
    let changes = changes.await;
    assert_eq!(
        (
            count(&changes, Change::Done),
            count(&changes, Change::Outdated)
        ),
        (1, 15)
    );
    assert_eq!(
        find(&*stores.one, "1")
            .await
            .expect("it is there")
            .channel
            .version,
        2
    );
}

pub async fn updating_or_removing_an_unknown_channel_is_absent(stores: Channels) {
    let store = &*stores.one;
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    assert_eq!(
        update(store, &channel("2").version(2).build()).await,
        Change::Absent
    );
    let removed = store.remove(&channel_id("2")).await;
    assert_eq!(removed.expect("the store is there"), Change::Absent);
}

pub async fn removing_a_channel_removes_its_credentials(stores: Channels) {
    let store = &*stores.one;
    for id in ["1", "2"] {
        add(
            store,
            &channel(id).build(),
            &credential(id, id.parse().expect("digits")).build(),
        )
        .await;
    }
    let removed = store.remove(&channel_id("1")).await;
    assert_eq!(removed.expect("the store is there"), Change::Done);
    assert_eq!(find(store, "1").await, None);
    assert!(find(store, "2").await.is_some());
    let again = store.remove(&channel_id("1")).await;
    assert_eq!(again.expect("the store is there"), Change::Absent);
    // Both ids can be used again.
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    assert_eq!(credentials(store, "1").await.len(), 1);
}
