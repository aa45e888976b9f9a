//! Managing channels and their credentials.

use std::time::Duration;

use domain::crypto::SigningTokens;
use domain::{ChannelName, IntegratorName, Password, PublicUrl};
use ports::Environment as _;
use testkit::builders::channel_id;
use usecases::channels::manage::{ChannelChanges, ManageError, NewChannel};

use crate::{World, new_channel, new_credential};

#[tokio::test]
async fn both_passwords_are_valid_until_the_first_is_removed() {
    let world = World::new();
    let first = world.add("1").await;
    let second = world
        .manage
        .add_credential(&channel_id("1"), new_credential())
        .await
        .unwrap();
    assert_ne!(first.password.reveal(), second.password.reveal());
    let third = world
        .manage
        .add_credential(&channel_id("1"), new_credential())
        .await;
    assert!(matches!(third, Err(ManageError::TooManyCredentials)));
    world.directory.refresh().await.unwrap();
    assert!(world.admits("1", first.password.reveal()));
    assert!(world.admits("1", second.password.reveal()));

    world
        .manage
        .remove_credential(&channel_id("1"), first.credential.id)
        .await
        .unwrap();
    assert!(world.directory.refresh().await.unwrap());
    assert!(!world.admits("1", first.password.reveal()));
    assert!(world.admits("1", second.password.reveal()));
    assert!(!world.directory.refresh().await.unwrap(), "nothing changed");
}

#[tokio::test]
async fn credential_is_valid_for_its_channel_until_it_expires() {
    let world = World::new();
    world.add("2").await;
    let mut new = new_channel("1");
    new.credential.password = Some(Password::parse("chosen password").unwrap());
    new.credential.expires_at = Some(world.clock.now().plus_micros(60_000_000));
    world.manage.add(new).await.unwrap();
    world.directory.refresh().await.unwrap();
    assert!(world.admits("1", "chosen password"));
    assert!(!world.admits("1", "chosen passwore"));
    assert!(!world.admits("2", "chosen password"));
    assert!(!world.admits("3", "chosen password"));
    assert!(!world.admits("no channel id/", "chosen password"));
    world.clock.advance(Duration::from_secs(61));
    assert!(!world.admits("1", "chosen password"));
    // The expiry is a time of day, so a corrected clock makes it valid again.
    world.clock.turn_back(Duration::from_hours(1));
    assert!(world.admits("1", "chosen password"));
}

#[tokio::test]
async fn change_based_on_an_older_version_is_refused() {
    let world = World::new();
    world.add("1").await;
    let name = |text: &str, version| ChannelChanges {
        name: Some(ChannelName::parse(text).unwrap()),
        version,
        ..ChannelChanges::default()
    };
    let id = channel_id("1");
    assert_eq!(
        world
            .manage
            .update(&id, name("A", Some(1)))
            .await
            .unwrap()
            .version,
        2
    );
    let outdated = world.manage.update(&id, name("B", Some(1))).await;
    assert!(matches!(outdated, Err(ManageError::Outdated)));
    assert_eq!(
        world
            .manage
            .update(&id, name("C", None))
            .await
            .unwrap()
            .version,
        3
    );
    let absent = world.manage.update(&channel_id("2"), name("D", None)).await;
    assert!(matches!(absent, Err(ManageError::NoSuchChannel(_))));
}

#[tokio::test]
async fn signing_token_is_stored_sealed_and_opened_in_the_directory() {
    let world = World::new();
    let mut new = new_channel("1");
    new.signing_token = Some(SigningTokens::parse("the-account-auth-token").unwrap());
    world.manage.add(new).await.unwrap();
    let shown = world.manage.show(&channel_id("1")).await.unwrap();
    let sealed = shown.channel.signing_token.unwrap();
    assert!(!sealed.0.windows(7).any(|bytes| bytes == b"account"));
    world.directory.refresh().await.unwrap();
    let known = world.directory.find(&channel_id("1")).unwrap();
    assert_eq!(
        known.signing_tokens,
        SigningTokens::parse("the-account-auth-token").ok()
    );
}

#[tokio::test]
async fn invalid_channels_have_distinct_errors() {
    let world = World::new();
    world.add("1").await;
    let again = world.manage.add(new_channel("1")).await;
    assert!(matches!(again, Err(ManageError::ChannelExists(_))));
    let mut unknown = new_channel("2");
    unknown.integrator = IntegratorName::parse("carrier").unwrap();
    let unknown = world.manage.add(unknown).await;
    let said = unknown.unwrap_err().to_string();
    assert_eq!(
        said,
        "unknown integrator carrier; known: twilio, infobip, gupshup, koomessage, 360dialog, meta"
    );
    let mut past = new_channel("3");
    past.credential.expires_at = Some(world.clock.now());
    assert!(matches!(
        world.manage.add(past).await,
        Err(ManageError::ExpiryInThePast)
    ));
}

#[tokio::test]
async fn callback_url_of_another_channel_is_refused_as_public_url() {
    let world = World::new();
    let path = "https://example.com/proxy/social/on/whatsapp/twilio/report/";
    let with = |id: &str, url: String| NewChannel {
        public_url: Some(PublicUrl::parse(&url).unwrap()),
        ..new_channel(id)
    };
    let other = world.manage.add(with("1", format!("{path}2?a=b"))).await;
    assert!(matches!(other, Err(ManageError::OtherReportPath(own)) if own.ends_with("/report/1")));
    world
        .manage
        .add(with("1", format!("{path}1?a=b#c")))
        .await
        .unwrap();
    let changes = ChannelChanges {
        public_url: Some(Some(PublicUrl::parse(&format!("{path}12")).unwrap())),
        ..ChannelChanges::default()
    };
    let other = world.manage.update(&channel_id("1"), changes).await;
    assert!(matches!(other, Err(ManageError::OtherReportPath(_))));
}
