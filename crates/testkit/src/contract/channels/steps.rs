//! Steps shared by several tests.

use std::sync::Arc;

use domain::crypto::SealedSecret;
use domain::{Channel, Credential};
use ports::channels::{Change, ChannelStore, ChannelWithCredentials};
use tokio::task::JoinSet;

use crate::builders::{channel, channel_id};
use crate::contract::Stores;

pub(super) type Channels = Stores<dyn ChannelStore>;

pub(super) async fn add(store: &dyn ChannelStore, channel: &Channel, first: &Credential) {
    let change = store.add(channel, first).await;
    assert_eq!(change.expect("the store is there"), Change::Done);
}

pub(super) async fn add_credential(store: &dyn ChannelStore, one: &Credential) -> Change {
    store.add_credential(one).await.expect("the store is there")
}

pub(super) async fn update(store: &dyn ChannelStore, channel: &Channel) -> Change {
    store.update(channel).await.expect("the store is there")
}

pub(super) async fn find(store: &dyn ChannelStore, id: &str) -> Option<ChannelWithCredentials> {
    store
        .find(&channel_id(id))
        .await
        .expect("the store is there")
}

/// Returns the credentials of an existing channel.
pub(super) async fn credentials(store: &dyn ChannelStore, id: &str) -> Vec<Credential> {
    find(store, id)
        .await
        .expect("the channel is there")
        .credentials
}

pub(super) async fn revision(store: &dyn ChannelStore) -> i64 {
    store.revision().await.expect("the store is there")
}

/// Returns a channel with all optional settings.
pub(super) fn full_channel(id: &str) -> Channel {
    channel(id)
        .name("Größe & 服务 'desk' \"7\" 👍")
        .disabled()
        .senders(&["whatsapp:+15550109999", "whatsapp:US.1349", "+1 \"x\", [y]"])
        .public_url("https://user:p%40ss@reports.example.com:8443/a?b=c")
        .signing_token(SealedSecret((0..=255).collect()))
        .keep_messages_days(36_500)
        .forward_url("https://inbox.example.com:8443/a%20b?token=c")
        .at(-1_234_567)
        .build()
}

/// Starts 16 changes concurrently, alternating between the two stores, and returns their
/// results.
pub(super) async fn race<F>(
    stores: &Channels,
    change: impl Fn(Arc<dyn ChannelStore>, u128) -> F,
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

pub(super) fn count(changes: &[Change], wanted: Change) -> usize {
    changes.iter().filter(|change| **change == wanted).count()
}
