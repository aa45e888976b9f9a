//! What every [`ChannelCredentialRepository`] must do.

use domain::credential::LIVE_CREDENTIALS_MAX;
use domain::secret::SealedSecret;
use domain::{Channel, Credential, CredentialId, Timestamp};
use ports::channels::{Change, ChannelCredentialRepository, ChannelWithCredentials};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Stores;
use crate::builders::{channel, channel_id, credential, time};

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __channels_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            a_channel_comes_back_as_it_was_added
            a_channel_nobody_added_is_none
            all_channels_come_by_id_with_their_credentials_oldest_first
            adding_an_id_twice_changes_nothing
            one_of_many_racing_adds_is_done
            an_update_replaces_everything_but_origin_and_integrator
            an_update_of_another_version_is_outdated
            one_of_many_racing_updates_is_done
            updating_or_removing_nothing_is_absent
            a_removed_channel_is_gone_with_its_credentials
            a_channel_has_no_more_live_credentials_than_it_may
            an_expired_credential_takes_no_place
            racing_credentials_never_exceed_the_limit
            a_credential_for_no_channel_is_absent
            a_removed_credential_is_gone
            a_credential_is_removed_from_its_own_channel_only
            touch_keeps_the_latest_time
            every_change_changes_the_revision
            what_changes_nothing_keeps_the_revision
            another_store_on_the_same_data_sees_changes
        }
    };
}

type Channels = Stores<dyn ChannelCredentialRepository>;

async fn add(store: &dyn ChannelCredentialRepository, channel: &Channel, first: &Credential) {
    let change = store.add(channel, first).await;
    assert_eq!(change.expect("the store is there"), Change::Done);
}

async fn add_credential(store: &dyn ChannelCredentialRepository, one: &Credential) -> Change {
    store.add_credential(one).await.expect("the store is there")
}

async fn update(store: &dyn ChannelCredentialRepository, channel: &Channel) -> Change {
    store.update(channel).await.expect("the store is there")
}

async fn find(store: &dyn ChannelCredentialRepository, id: &str) -> Option<ChannelWithCredentials> {
    store
        .find(&channel_id(id))
        .await
        .expect("the store is there")
}

/// The credentials of a channel that is there.
async fn credentials(store: &dyn ChannelCredentialRepository, id: &str) -> Vec<Credential> {
    find(store, id)
        .await
        .expect("the channel is there")
        .credentials
}

async fn revision(store: &dyn ChannelCredentialRepository) -> i64 {
    store.revision().await.expect("the store is there")
}

/// A channel that uses everything a channel can have.
fn full_channel(id: &str) -> Channel {
    channel(id)
        .name("Größe & 服务 'desk' \"7\" 👍")
        .disabled()
        .senders(&["whatsapp:+15550109999", "whatsapp:US.1349", "+1 \"x\", [y]"])
        .public_url("https://user:p%40ss@reports.example.com:8443/a?b=c")
        .signing_token(SealedSecret((0..=255).collect()))
        .at(-1_234_567)
        .build()
}

pub async fn a_channel_comes_back_as_it_was_added(stores: Channels) {
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

pub async fn a_channel_nobody_added_is_none(stores: Channels) {
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

pub async fn all_channels_come_by_id_with_their_credentials_oldest_first(stores: Channels) {
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

/// Starts a change for each number, all at once, now on the one store and now
/// on the other, and counts what came of them.
async fn race<F>(
    stores: &Channels,
    change: impl Fn(std::sync::Arc<dyn ChannelCredentialRepository>, u128) -> F,
) -> Vec<Change>
where
    F: Future<Output = Change> + Send + 'static,
{
    let mut racers = JoinSet::new();
    for number in 0..16_u8 {
        racers.spawn(change(stores.nth(number.into()), number.into()));
    }
    racers.join_all().await
}

fn count(changes: &[Change], wanted: Change) -> usize {
    changes.iter().filter(|change| **change == wanted).count()
}

pub async fn one_of_many_racing_adds_is_done(stores: Channels) {
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
    want.integrator = domain::IntegratorName::parse("other").expect("a name");
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

pub async fn one_of_many_racing_updates_is_done(stores: Channels) {
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

pub async fn updating_or_removing_nothing_is_absent(stores: Channels) {
    let store = &*stores.one;
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    assert_eq!(
        update(store, &channel("2").version(2).build()).await,
        Change::Absent
    );
    let removed = store.remove(&channel_id("2")).await;
    assert_eq!(removed.expect("the store is there"), Change::Absent);
}

pub async fn a_removed_channel_is_gone_with_its_credentials(stores: Channels) {
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
    // Neither the id nor the credential's is taken any more.
    add(store, &channel("1").build(), &credential("1", 1).build()).await;
    assert_eq!(credentials(store, "1").await.len(), 1);
}

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

pub async fn an_expired_credential_takes_no_place(stores: Channels) {
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

pub async fn a_credential_for_no_channel_is_absent(stores: Channels) {
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

pub async fn what_changes_nothing_keeps_the_revision(stores: Channels) {
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
