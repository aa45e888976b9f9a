//! What opens, is resolved and told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::access::OperatorName;
use domain::subscription::{PauseReason, SubscriptionState};
use domain::trouble::rules::JournalUse;
use domain::trouble::{
    OperatorEventType, SnoozeReason, Thresholds, TroubleKind, TroubleSettings, TroubleSubject,
};
use domain::{LogPosition, Subscription};
use ports::{ChannelStore as _, SubscriptionStore, TroubleStore as _};
use testkit::builders::{CHANNEL, channel_id, credential, subscription, time};
use usecases::trouble::{Evaluated, ManageTroubles, TroubleError};

use super::{DAY, HOUR, MINUTE, NOW, World, evaluation};

fn manage(world: &World) -> ManageTroubles {
    let shared = std::sync::Arc::new(world.store.clone());
    ManageTroubles::new(shared.clone(), shared.clone(), shared, world.clock.clone())
}

#[tokio::test]
async fn challenges_without_credentials_open_a_trouble_that_a_valid_request_resolves() {
    let world = World::new().await;
    world.challenge(500).await;
    world.evaluate(1).await;
    world.challenge(9).await;
    world.evaluate(1).await;
    // Requests from before the first evaluation do not count.
    assert_eq!(world.troubles(TroubleKind::ChallengedOnly).await, []);
    world.challenge(1).await;
    world.evaluate(1).await;
    assert_eq!(world.open(TroubleKind::ChallengedOnly).await, []);
    world.evaluate(1).await;
    let open = world.open(TroubleKind::ChallengedOnly).await;
    assert_eq!(open.len(), 1);
    let subject = TroubleSubject::Channel(channel_id(CHANNEL));
    assert_eq!(open[0].key.subject, subject);
    assert!(open[0].finding.seen.starts_with("10 requests"));
    let events = world.events().await;
    assert_eq!(events.len(), 1);
    let event = &events[0].event;
    assert_eq!(event.event_type, OperatorEventType::TroubleOpened);
    assert_eq!(event.channel, Some(channel_id(CHANNEL)));
    let body: serde_json::Value = serde_json::from_str(&event.body).unwrap();
    assert_eq!(body["type"], "receiptd.trouble.opened");
    assert_eq!(body["data"]["kind"], "challenged_only");
    assert_eq!(body["data"]["state"], "open");
    world.authenticate().await;
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::ChallengedOnly).await, []);
    let events = world.events().await;
    assert_eq!(events.len(), 2);
    assert_eq!(
        events[1].event.event_type,
        OperatorEventType::TroubleResolved
    );
}

#[tokio::test]
async fn one_process_evaluates_and_another_takes_over() {
    let world = World::new().await;
    let other = evaluation(&world.store, &world.clock, &world.probe, "two");
    world.evaluate(1).await;
    assert_eq!(other.run().await.unwrap(), Evaluated::LeftToAnother);
    // The holder stops.
    let leave = world.store.lease_evaluation("one", Duration::ZERO).await;
    assert!(leave.unwrap().is_some());
    let evaluated = other.run().await.unwrap();
    assert!(matches!(evaluated, Evaluated::Done { .. }));
}

#[tokio::test]
async fn trouble_that_opened_under_an_earlier_process_lasts_until_it_can_be_judged() {
    let world = World::new().await;
    world.evaluate(1).await;
    world.challenge(10).await;
    world.evaluate(2).await;
    assert_eq!(world.open(TroubleKind::ChallengedOnly).await.len(), 1);
    let leave = world.store.lease_evaluation("one", Duration::ZERO).await;
    assert!(leave.unwrap().is_some());
    let other = evaluation(&world.store, &world.clock, &world.probe, "two");
    for _ in 0..10 {
        other.run().await.unwrap();
        assert_eq!(world.open(TroubleKind::ChallengedOnly).await.len(), 1);
        world.clock.advance(Duration::from_mins(1));
    }
    for _ in 0..2 {
        other.run().await.unwrap();
        world.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(world.open(TroubleKind::ChallengedOnly).await, []);
}

async fn stopped(world: &World, reason: PauseReason) -> Subscription {
    let stopped = Subscription {
        state: SubscriptionState::Paused {
            reason,
            since: time(NOW - 5 * MINUTE),
        },
        ..subscription(1)
    };
    let added = SubscriptionStore::add(&world.store, &stopped, LogPosition(0)).await;
    assert!(added.unwrap());
    stopped
}

#[tokio::test]
async fn paused_subscription_is_told_once_a_day() {
    let world = World::new().await;
    stopped(&world, PauseReason::Failing).await;
    world.evaluate(2).await;
    assert_eq!(world.open(TroubleKind::SubscriptionStopped).await.len(), 1);
    world.evaluate(24 * 60 - 1).await;
    assert_eq!(world.events().await.len(), 1);
    world.evaluate(1).await;
    let events = world.events().await;
    assert_eq!(events.len(), 2);
    let body: serde_json::Value = serde_json::from_str(&events[1].event.body).unwrap();
    assert_eq!(body["data"]["reminder"], true);
}

#[tokio::test]
async fn removed_subscription_has_no_trouble() {
    let world = World::new().await;
    let paused = stopped(&world, PauseReason::Pruned).await;
    world.evaluate(2).await;
    let removed = SubscriptionStore::remove(&world.store, paused.id).await;
    assert!(removed.unwrap());
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::SubscriptionStopped).await, []);
}

#[tokio::test]
async fn journal_of_a_receiver_is_trouble_for_a_while() {
    let world = World::new().await;
    let used = JournalUse {
        receiver: "host/1".to_owned(),
        entries: 7,
        since: time(NOW - MINUTE),
        last_used_at: time(NOW),
    };
    world.store.note_journal(&used).await.unwrap();
    world.evaluate(2).await;
    let open = world.open(TroubleKind::JournalInUse).await;
    assert_eq!(open[0].key.subject, TroubleSubject::Service);
    world.evaluate(6).await;
    assert_eq!(world.troubles(TroubleKind::JournalInUse).await, []);
}

#[tokio::test]
async fn credential_in_use_is_found_before_it_expires() {
    let world = World::new().await;
    let mut expiring = credential(CHANNEL, 2).expires_at(NOW + DAY).build();
    expiring.last_used_at = Some(time(NOW - HOUR));
    world.store.add_credential(&expiring).await.unwrap();
    world
        .store
        .touch(&[(expiring.id, time(NOW))])
        .await
        .unwrap();
    world.evaluate(2).await;
    let open = world.open(TroubleKind::CredentialExpiring).await;
    let subject = TroubleSubject::Credential(channel_id(CHANNEL), expiring.id);
    assert_eq!(open[0].key.subject, subject);
}

#[tokio::test]
async fn certificate_of_the_public_url_is_looked_at_once_an_hour() {
    let world = World::new().await;
    let expire = |at| *world.probe.expires_at.lock().unwrap() = Some(time(at));
    expire(NOW + 90 * DAY);
    world.evaluate(3).await;
    assert_eq!(world.troubles(TroubleKind::CertificateExpiring).await, []);
    expire(NOW + 3 * DAY);
    world.evaluate(57).await;
    assert_eq!(world.troubles(TroubleKind::CertificateExpiring).await, []);
    world.evaluate(2).await;
    let open = world.open(TroubleKind::CertificateExpiring).await;
    assert_eq!(open[0].key.subject, TroubleSubject::Service);
    assert_eq!(world.probe.calls.load(Ordering::Relaxed), 2);
    // A URL that cannot be reached is not repaired.
    *world.probe.expires_at.lock().unwrap() = None;
    world.evaluate(65).await;
    assert_eq!(world.open(TroubleKind::CertificateExpiring).await.len(), 1);
    expire(NOW + 90 * DAY);
    world.evaluate(65).await;
    assert_eq!(world.troubles(TroubleKind::CertificateExpiring).await, []);
}

#[tokio::test]
async fn rule_that_is_switched_off_finds_nothing_and_ends_what_it_found() {
    let world = World::new().await;
    stopped(&world, PauseReason::Failing).await;
    world.evaluate(2).await;
    let off = TroubleSettings {
        off: [TroubleKind::SubscriptionStopped].into(),
        ..TroubleSettings::default()
    };
    manage(&world).set_settings(None, Some(&off)).await.unwrap();
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::SubscriptionStopped).await, []);
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::SubscriptionStopped).await, []);
}

#[tokio::test]
async fn settings_of_a_channel_replace_those_of_all() {
    let world = World::new().await;
    let manage = manage(&world);
    let channel = channel_id(CHANNEL);
    let all = TroubleSettings {
        thresholds: Thresholds::new(10, 1_000, 3).unwrap(),
        ..TroubleSettings::default()
    };
    manage.set_settings(None, Some(&all)).await.unwrap();
    let applied = manage.settings(Some(&channel)).await.unwrap();
    assert_eq!((applied.settings, applied.own), (all, false));
    let own = TroubleSettings::default();
    let applied = manage.set_settings(Some(&channel), Some(&own)).await;
    assert!(applied.unwrap().own);
    world.evaluate(1).await;
    world.challenge(10).await;
    world.evaluate(2).await;
    assert_eq!(world.open(TroubleKind::ChallengedOnly).await.len(), 1);
    let applied = manage.set_settings(Some(&channel), None).await.unwrap();
    assert!(!applied.own);
    // Until ten minutes were observed, it stays as it is.
    world.evaluate(12).await;
    assert_eq!(world.open(TroubleKind::ChallengedOnly).await, []);
    let missing = manage.settings(Some(&channel_id("missing"))).await;
    assert!(matches!(missing, Err(TroubleError::NoSuchChannel(_))));
}

#[tokio::test]
async fn quiet_hours_delay_the_notice() {
    let world = World::new().await;
    let quiet = TroubleSettings {
        quiet_hours: Some("10:00-10:30".parse().unwrap()),
        ..TroubleSettings::default()
    };
    manage(&world)
        .set_settings(None, Some(&quiet))
        .await
        .unwrap();
    stopped(&world, PauseReason::Failing).await;
    world.evaluate(23).await;
    assert_eq!(world.open(TroubleKind::SubscriptionStopped).await.len(), 1);
    assert_eq!(world.events().await, []);
    world.evaluate(1).await;
    assert_eq!(world.events().await.len(), 1);
}

#[tokio::test]
async fn snoozed_trouble_is_not_told_even_when_it_comes_back() {
    let world = World::new().await;
    let manage = manage(&world);
    let paused = stopped(&world, PauseReason::Failing).await;
    world.evaluate(1).await;
    let pending = world.troubles(TroubleKind::SubscriptionStopped).await[0].id;
    let snooze = async |id| {
        let reason = SnoozeReason::parse("the endpoint is moving").unwrap();
        let until = world.now().plus_micros(DAY);
        manage
            .snooze(id, until, reason, OperatorName::admin())
            .await
    };
    let unconfirmed = snooze(pending).await;
    assert!(matches!(unconfirmed, Err(TroubleError::NoSuchTrouble(_))));
    world.evaluate(1).await;
    let snoozed = snooze(pending).await.unwrap();
    assert!(snoozed.is_snoozed(world.now()));
    let change = async |version, state| {
        let changed = Subscription {
            state,
            version,
            ..paused.clone()
        };
        let changed = SubscriptionStore::change(&world.store, &changed).await;
        assert!(changed.unwrap());
    };
    change(paused.version + 1, SubscriptionState::Active).await;
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::SubscriptionStopped).await, []);
    let over = snooze(pending).await;
    assert!(matches!(over, Err(TroubleError::Resolved(_))));
    let told = world.events().await.len();
    change(paused.version + 2, paused.state).await;
    world.evaluate(2).await;
    let again = world.open(TroubleKind::SubscriptionStopped).await;
    assert_eq!(again.len(), 1);
    assert!(again[0].is_snoozed(world.now()));
    assert_eq!(world.events().await.len(), told);
    manage.end_snooze(again[0].id).await.unwrap();
    world.evaluate(1).await;
    assert_eq!(world.events().await.len(), told + 1);
}
