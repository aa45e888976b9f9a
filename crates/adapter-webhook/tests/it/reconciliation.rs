//! Reconciliation with a fake of Twilio's API, on the memory store.

use std::sync::Arc;
use std::time::Duration;

use adapter_webhook::TwilioMessages;
use domain::reconciliation::{AccountSid, ApiKeySecret, ApiKeySid, ReconciliationFigures};
use domain::{ChannelId, DeliveryStatus, Timestamp};
use ports::metrics::NoMetrics;
use ports::{ChannelStore as _, ReconciliationStore as _, ReportStore as _};
use testkit::builders::{
    CHANNEL, channel, channel_id, credential, key, report, server_secret, twilio_sid,
};
use testkit::clock::FixedClock;
use testkit::fake_twilio::{ACCOUNT, API_KEY, API_KEY_SECRET, Failure, FakeMessage, FakeTwilio};
use testkit::memory::MemoryStore;
use usecases::reconciliation::{
    NewAccount, ReconcileDependencies, ReconcileError, ReconcileRun, ReconcileSettings, Reconciled,
};
use usecases::{ManageReconciliation, Reconcile};

use super::support::settings;

/// A channel with an account at a fake of Twilio.
struct Setup {
    store: MemoryStore,
    twilio: FakeTwilio,
    clock: Arc<FixedClock>,
    reconcile: Reconcile,
}

impl Setup {
    async fn new() -> Self {
        let (store, twilio) = (MemoryStore::new(), FakeTwilio::start());
        let clock = Arc::new(FixedClock::default());
        let (channel, credential) = (channel(CHANNEL).build(), credential(CHANNEL, 1).build());
        store
            .add(&channel, &credential)
            .await
            .expect("the store is there");
        let shared = Arc::new(store.clone());
        let manage = ManageReconciliation::new(
            shared.clone(),
            shared.clone(),
            server_secret(),
            clock.clone(),
        );
        let account = NewAccount {
            account: AccountSid::parse(ACCOUNT).expect("an account"),
            api_key: ApiKeySid::parse(API_KEY).expect("a key"),
            secret: ApiKeySecret::parse(API_KEY_SECRET).expect("a secret"),
        };
        manage
            .set(&id(), &account)
            .await
            .expect("the store is there");
        let records = TwilioMessages::new(&twilio.url(), settings(), clock.clone());
        let reconcile = Reconcile::new(ReconcileDependencies {
            accounts: shared.clone(),
            channels: shared.clone(),
            reports: shared,
            records: Arc::new(records.expect("a URL")),
            metrics: Arc::new(NoMetrics),
            secret: server_secret(),
            environment: clock.clone(),
            settings: ReconcileSettings {
                request_interval: Duration::from_millis(1),
                ..ReconcileSettings::default()
            },
        });
        Self {
            store,
            twilio,
            clock,
            reconcile,
        }
    }

    fn now(&self) -> Timestamp {
        use ports::Environment as _;
        self.clock.now()
    }

    /// Records messages as sent some minutes ago.
    async fn sent(&self, numbers: std::ops::RangeInclusive<u64>, minutes_ago: i64) {
        let at = self
            .now()
            .plus_micros(-minutes_ago * 60_000_000)
            .unix_micros();
        let sent = |number| report(&twilio_sid(number)).status("sent").at(at).build();
        let reports: Vec<_> = numbers.map(sent).collect();
        self.store
            .record(&reports)
            .await
            .expect("the store is there");
    }

    async fn run(&self) -> Result<Reconciled, ReconcileError> {
        let run = ReconcileRun {
            channel: id(),
            since: None,
            dry_run: false,
        };
        self.reconcile.run(&run, |_, _| {}).await
    }

    async fn figures(&self) -> ReconciliationFigures {
        let found = self.store.reconciliation(&id()).await;
        found
            .expect("the store is there")
            .expect("an account")
            .figures
    }

    async fn status(&self, number: u64) -> Option<DeliveryStatus> {
        let found = self.store.message(&key(&twilio_sid(number))).await;
        let found = found.expect("the store is there").expect("a message");
        found.message.state.status()
    }
}

fn id() -> ChannelId {
    channel_id(CHANNEL)
}

#[tokio::test]
async fn only_messages_that_are_old_enough_are_checked_and_each_once() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 14).await;
    setup.sent(2..=2, 16).await;
    setup.sent(3..=3, 73 * 60).await;
    for number in 1..=3 {
        setup
            .twilio
            .put(FakeMessage::new(&twilio_sid(number), "delivered"));
    }
    let expected = Reconciled {
        checked: 1,
        recovered: 1,
        ..Reconciled::default()
    };
    assert_eq!(setup.run().await.expect("records"), expected);
    assert_eq!(setup.status(2).await, Some(DeliveryStatus::Delivered));
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Sent));
    let through = setup.now().plus_micros(-15 * 60_000_000);
    assert_eq!(setup.figures().await.checked_through, Some(through));
    assert_eq!(setup.run().await.expect("records"), Reconciled::default());
}

#[tokio::test]
async fn many_messages_are_searched_in_the_list() {
    let setup = Setup::new().await;
    setup.twilio.set_page_size(50);
    setup.sent(1..=120, 30).await;
    for number in 1..=120 {
        setup
            .twilio
            .put(FakeMessage::new(&twilio_sid(number), "read"));
    }
    let done = setup.run().await.expect("records");
    assert_eq!((done.checked, done.recovered), (120, 120));
    assert_eq!(setup.twilio.requests().len(), 3);
}

#[tokio::test]
async fn messages_that_are_not_in_the_list_are_looked_up() {
    let setup = Setup::new().await;
    setup.sent(1..=30, 30).await;
    for number in 1..=30 {
        let mut message = FakeMessage::new(&twilio_sid(number), "failed");
        // A message that was never sent has no day.
        if number <= 2 {
            message.day = String::new();
        }
        setup.twilio.put(message);
    }
    setup.twilio.delete(&twilio_sid(30));
    let done = setup.run().await.expect("records");
    assert_eq!((done.recovered, done.unknown), (29, 1));
    assert_eq!(setup.twilio.requests().len(), 1 + 3);
}

#[tokio::test]
async fn clock_of_twilio_does_not_matter() {
    let setup = Setup::new().await;
    setup.sent(1..=2, 30).await;
    for (number, updated) in [
        (1, "Fri, 01 Jan 1999 00:00:00 +0000"),
        (2, "Sat, 01 Jan 2050 00:00:00 +0000"),
    ] {
        let mut message = FakeMessage::new(&twilio_sid(number), "delivered");
        message.updated = updated.to_owned();
        setup.twilio.put(message);
    }
    assert_eq!(setup.run().await.expect("records").recovered, 2);
    for number in 1..=2 {
        let found = setup.store.message(&key(&twilio_sid(number))).await;
        let found = found.expect("the store is there").expect("a message");
        let report = &found.reports[1].report;
        assert_eq!(report.arrived_at, setup.now());
        let year = if number == 1 { "1999" } else { "2050" };
        let happened = report.happened_at.expect("a time").to_string();
        assert!(happened.starts_with(year), "{happened}");
    }
}

#[tokio::test]
async fn outage_stops_the_run_and_a_later_one_continues() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 120).await;
    setup.sent(2..=2, 30).await;
    for number in 1..=2 {
        setup
            .twilio
            .put(FakeMessage::new(&twilio_sid(number), "delivered"));
    }
    setup.twilio.fail_always(Some(Failure::Status(503)));
    let failed = setup.run().await;
    assert!(
        matches!(failed, Err(ReconcileError::Records(_))),
        "{failed:?}"
    );
    let figures = setup.figures().await;
    let error = figures.last_error.expect("an error");
    assert!(error.contains("503"), "{error}");
    assert_eq!(figures.recovered, 0);
    setup.twilio.fail_always(None);
    assert_eq!(setup.run().await.expect("records").recovered, 2);
    let figures = setup.figures().await;
    assert_eq!((figures.last_error, figures.recovered), (None, 2));
}

#[tokio::test]
async fn locked_message_is_left_for_the_next_run() {
    let setup = Setup::new().await;
    setup.sent(1..=2, 30).await;
    for number in 1..=2 {
        setup
            .twilio
            .put(FakeMessage::new(&twilio_sid(number), "delivered"));
    }
    setup.store.set_locked(&twilio_sid(1), true);
    let done = setup.run().await.expect("records");
    assert_eq!((done.recovered, done.left), (1, 1));
    setup.store.set_locked(&twilio_sid(1), false);
    let done = setup.run().await.expect("records");
    assert_eq!((done.recovered, done.left), (1, 0));
}

#[tokio::test]
async fn message_that_erasure_emptied_stays_erased() {
    let setup = Setup::new().await;
    let at = setup.now().plus_micros(-30 * 60_000_000).unix_micros();
    let erased = report(&twilio_sid(1))
        .status("sent")
        .at(at)
        .build()
        .erased();
    setup
        .store
        .record(&[erased])
        .await
        .expect("the store is there");
    setup
        .twilio
        .put(FakeMessage::new(&twilio_sid(1), "delivered"));
    assert_eq!(setup.run().await.expect("records").recovered, 1);
    let found = setup.store.message(&key(&twilio_sid(1))).await;
    let found = found.expect("the store is there").expect("a message");
    assert!(found.message.is_erased());
    assert!(
        found
            .reports
            .iter()
            .all(|each| each.report.recipient.is_erased())
    );
}
