//! Adding a sender whose reports were rejected.

use std::sync::Arc;

use domain::page::PageSize;
use domain::{Address, RejectionReason};
use ports::rejections::StoredRejection;
use ports::{RejectionStore as _, UrlProbe as _};
use testkit::builders::{channel_id, server_secret, twilio_sid};
use traffic::form::{Subject, body};
use traffic::history::step;
use usecases::AllowSender;
use usecases::channels::allow_sender::AllowSenderError;
use usecases::channels::manage::{ChannelChanges, ManageChannels};

use super::World;
use super::channel_test::{network, target};

const ALLOWED: &str = "whatsapp:+15550109999";
const REJECTED: &str = "WhatsApp:+1 (555) 010-8888";

async fn rejections(world: &World) -> Vec<StoredRejection> {
    let page = world.store.list(None, None, PageSize::MAX).await;
    page.unwrap().items
}

/// Returns a world with a channel that allows one sender, and a function that reports messages of
/// another one.
async fn limited() -> (World, [(&'static str, String); 1]) {
    let world = World::new();
    let issued = world.add("1").await;
    let changes = ChannelChanges {
        senders: Some(vec![Address::parse_sender(ALLOWED).unwrap()]),
        ..ChannelChanges::default()
    };
    world
        .manage
        .update(&channel_id("1"), changes)
        .await
        .unwrap();
    world.directory.refresh().await.unwrap();
    let authorization = traffic::request::authorization("user", issued.password.reveal());
    (world, [("Authorization", authorization)])
}

fn allow_sender(world: &World) -> AllowSender {
    let store = Arc::new(world.store.clone());
    let manage = ManageChannels::new(
        store.clone(),
        super::integrators(),
        server_secret(),
        world.manage.public_url().clone(),
        world.clock.clone(),
    );
    AllowSender::new(store, Arc::new(manage), server_secret())
}

fn form(status: &'static str) -> Vec<u8> {
    let sid = twilio_sid(1);
    let subject = Subject {
        sid: &sid,
        sender: REJECTED,
        recipient: "whatsapp:+15550100001",
    };
    body(subject, step(status)).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_sender_is_added_and_its_next_report_is_received() {
    let (world, authorization) = limited().await;
    let network = network(&world);
    let refused = network
        .post(&target(), &authorization, form("delivered"))
        .await;
    assert_eq!(refused.result.unwrap().status, 400);
    let [stored] = rejections(&world).await.try_into().unwrap();
    assert_eq!(stored.rejection.reason, RejectionReason::SenderNotAllowed);
    let allow = allow_sender(&world);
    let canonical = Address::parse_sender(REJECTED).unwrap();
    assert_eq!(allow.sender_of(&stored.rejection), Some(canonical.clone()));
    for _ in 0..2 {
        let (_, added) = allow.run(stored.id).await.unwrap();
        assert_eq!(added, canonical);
        let channel = world.manage.show(&channel_id("1")).await.unwrap().channel;
        let expected = [Address::parse_sender(ALLOWED).unwrap(), canonical.clone()];
        assert_eq!(channel.senders, expected);
    }
    world.directory.refresh().await.unwrap();
    let received = network
        .post(&target(), &authorization, form("delivered"))
        .await;
    assert_eq!(received.result.unwrap().status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_of_an_incoming_message_is_not_stored() {
    let (world, authorization) = limited().await;
    network(&world)
        .post(&target(), &authorization, form("received"))
        .await;
    let [stored] = rejections(&world).await.try_into().unwrap();
    assert_eq!(stored.rejection.sender, None);
    let allow = allow_sender(&world);
    let nothing = allow.run(stored.id).await;
    assert!(matches!(nothing, Err(AllowSenderError::NoSender)));
    let missing = allow.run(stored.id + 1).await;
    assert!(matches!(missing, Err(AllowSenderError::NoSuchRejection)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_sender_opens_for_its_channel_only() {
    let (world, authorization) = limited().await;
    network(&world)
        .post(&target(), &authorization, form("delivered"))
        .await;
    let [mut stored] = rejections(&world).await.try_into().unwrap();
    stored.rejection.channel = channel_id("2");
    assert_eq!(allow_sender(&world).sender_of(&stored.rejection), None);
}
