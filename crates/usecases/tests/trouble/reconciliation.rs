//! Callbacks that fail, and reconciliation that fails.

use std::time::Duration;

use domain::ErrorCode;
use domain::crypto::SealedSecret;
use domain::reconciliation::{
    AccountSid, ApiKeySid, CallbackAlert, ReconciliationAccount, ReconciliationProgress,
    ReconciliationStep,
};
use domain::trouble::{TroubleKind, TroubleSettings, TroubleSubject};
use ports::channels::Change;
use ports::{ChannelStore as _, ReconciliationStore as _, TroubleStore as _};
use testkit::builders::{CHANNEL, channel, channel_id, key, time, twilio_sid};

use super::{DAY, NOW, World};

impl World {
    async fn alert(&self, numbers: std::ops::RangeInclusive<u64>, code: &str) {
        let alerts = numbers.map(|number| CallbackAlert {
            channel: channel_id(CHANNEL),
            sid: key(&twilio_sid(number)).sid,
            code: ErrorCode::parse(code).unwrap(),
            alerted_at: self.now(),
        });
        let alerts: Vec<_> = alerts.collect();
        self.store.add_callback_alerts(&alerts).await.unwrap();
    }

    async fn add_account(&self) {
        let account = ReconciliationAccount {
            channel: channel_id(CHANNEL),
            account: AccountSid::parse(&format!("AC{:032x}", 1)).unwrap(),
            api_key: ApiKeySid::parse(&format!("SK{:032x}", 1)).unwrap(),
            secret: SealedSecret(vec![1]),
            changed_at: time(NOW),
        };
        assert!(
            self.store
                .set_reconciliation_account(&account)
                .await
                .unwrap()
        );
    }

    async fn step(&self, step: ReconciliationStep, error: Option<&str>) {
        let progress = ReconciliationProgress {
            at: self.now(),
            step,
            checked: 0,
            recovered: 0,
            checked_through: None,
            listed: None,
            answered: error.is_none(),
            error: error.map(str::to_owned),
        };
        let id = channel_id(CHANNEL);
        let added = self.store.add_reconciliation_progress(&id, &progress);
        assert!(added.await.unwrap());
    }
}

#[tokio::test]
async fn failed_callbacks_open_a_trouble_until_none_failed_for_ten_minutes() {
    let world = World::new().await;
    world.alert(1..=2, "11200").await;
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::CallbacksFailing).await, []);
    world.alert(3..=5, "11237").await;
    world.evaluate(2).await;
    let open = world.open(TroubleKind::CallbacksFailing).await;
    assert_eq!(open.len(), 1);
    let subject = TroubleSubject::Channel(channel_id(CHANNEL));
    assert_eq!(open[0].key.subject, subject);
    let seen = &open[0].finding.seen;
    assert!(
        seen.contains("5 messages") && seen.contains("11237"),
        "{seen}"
    );
    let events = world.events().await;
    let body: serde_json::Value = serde_json::from_str(&events[0].event.body).unwrap();
    assert_eq!(body["data"]["kind"], "callbacks_failing");
    assert_eq!(body["data"]["channel_id"], CHANNEL);
    world.evaluate(8).await;
    assert_eq!(world.open(TroubleKind::CallbacksFailing).await.len(), 1);
    // Looked up or not, they are old then.
    world.evaluate(3).await;
    assert_eq!(world.troubles(TroubleKind::CallbacksFailing).await, []);
    assert_eq!(world.events().await.len(), 2);
}

#[tokio::test]
async fn failing_reconciliation_opens_a_trouble_until_a_run_succeeds() {
    let world = World::new().await;
    world.add_account().await;
    world.evaluate(2).await;
    let error = Some("Twilio refuses the API key (HTTP 401)");
    world.step(ReconciliationStep::Run, error).await;
    world.evaluate(10).await;
    assert_eq!(world.troubles(TroubleKind::ReconciliationFailing).await, []);
    // A run that begins well has not succeeded.
    world.step(ReconciliationStep::Run, None).await;
    world.step(ReconciliationStep::Run, error).await;
    world.evaluate(2).await;
    let open = world.open(TroubleKind::ReconciliationFailing).await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].finding.since, time(NOW + 2 * super::MINUTE));
    let seen = &open[0].finding.seen;
    assert!(seen.contains("refuses the API key"), "{seen}");
    world.step(ReconciliationStep::Run, None).await;
    world.evaluate(3).await;
    assert_eq!(
        world.open(TroubleKind::ReconciliationFailing).await.len(),
        1
    );
    world.step(ReconciliationStep::Success, None).await;
    world.evaluate(2).await;
    assert_eq!(world.troubles(TroubleKind::ReconciliationFailing).await, []);
}

#[tokio::test]
async fn run_that_fails_between_two_that_succeed_is_no_trouble() {
    let world = World::new().await;
    world.add_account().await;
    for _ in 0..4 {
        world.step(ReconciliationStep::Run, Some("HTTP 503")).await;
        world.evaluate(9).await;
        world.step(ReconciliationStep::Success, None).await;
        world.evaluate(5).await;
    }
    assert_eq!(world.events().await, []);
}

#[tokio::test]
async fn neither_is_judged_for_a_disabled_channel_or_if_switched_off() {
    let world = World::new().await;
    world.add_account().await;
    world.step(ReconciliationStep::Run, Some("HTTP 503")).await;
    world.clock.advance(Duration::from_mins(10));
    world.alert(1..=9, "11200").await;
    let kinds = [
        TroubleKind::CallbacksFailing,
        TroubleKind::ReconciliationFailing,
    ];
    let off = TroubleSettings {
        off: kinds.into(),
        ..TroubleSettings::default()
    };
    let id = channel_id(CHANNEL);
    let set = async |settings| {
        let set = world.store.set_trouble_settings(Some(&id), settings).await;
        set.unwrap();
    };
    set(Some(&off)).await;
    world.evaluate(2).await;
    for kind in kinds {
        assert_eq!(world.troubles(kind).await, [], "{kind} is off");
    }
    set(None).await;
    let mut disabled = channel(CHANNEL).at(NOW - 365 * DAY).build();
    disabled.enabled = false;
    disabled.version += 1;
    let updated = world.store.update(&disabled).await.unwrap();
    assert_eq!(updated, Change::Done);
    world.evaluate(2).await;
    for kind in kinds {
        assert_eq!(world.troubles(kind).await, [], "the channel is disabled");
    }
    disabled.enabled = true;
    disabled.version += 1;
    assert_eq!(world.store.update(&disabled).await.unwrap(), Change::Done);
    world.evaluate(2).await;
    for kind in kinds {
        assert_eq!(world.open(kind).await.len(), 1, "{kind}");
    }
}
