//! Reconciliation with a fake of Twilio's API, on the memory store.

mod alerts;
mod listing;
mod lookups;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use adapter_webhook::TwilioMessages;
use domain::reconciliation::{AccountSid, ApiKeySecret, ApiKeySid, ReconciliationFigures};
use domain::{Channel, ChannelId, DeliveryStatus, Timestamp};
use ports::metrics::NoMetrics;
use ports::{ChannelStore as _, ReconciliationStore as _, ReportStore as _};
use testkit::builders::{
    CHANNEL, channel, channel_id, credential, key, report, server_secret, twilio_sid,
};
use testkit::clock::FixedClock;
use testkit::fake_twilio::{ACCOUNT, API_KEY, API_KEY_SECRET, FakeMessage, FakeTwilio};
use testkit::memory::MemoryStore;
use usecases::reconciliation::{
    NewAccount, ReconcileDependencies, ReconcileError, ReconcileRun, ReconcileScope,
    ReconcileSettings, Reconciled,
};
use usecases::{ManageReconciliation, Reconcile};

use crate::support::settings;

/// A channel with an account at a fake of Twilio.
struct Setup {
    store: MemoryStore,
    twilio: FakeTwilio,
    clock: Arc<FixedClock>,
    request_interval: Duration,
}

impl Setup {
    async fn new() -> Self {
        Self::with(&channel(CHANNEL).senders(&["+15550109999"]).build()).await
    }

    async fn with(channel: &Channel) -> Self {
        let setup = Self {
            store: MemoryStore::new(),
            twilio: FakeTwilio::start(),
            clock: Arc::new(FixedClock::default()),
            request_interval: Duration::from_millis(1),
        };
        let credential = credential(CHANNEL, 1).build();
        let added = setup.store.add(channel, &credential).await;
        added.expect("the store is there");
        let shared = Arc::new(setup.store.clone());
        let manage =
            ManageReconciliation::new(shared.clone(), shared, server_secret(), setup.clock.clone());
        let account = NewAccount {
            account: AccountSid::parse(ACCOUNT).expect("an account"),
            api_key: ApiKeySid::parse(API_KEY).expect("a key"),
            secret: ApiKeySecret::parse(API_KEY_SECRET).expect("a secret"),
        };
        let stored = manage.set(&id(), &account).await;
        stored.expect("the store is there");
        setup
    }

    fn reconcile(&self) -> Reconcile {
        let shared = Arc::new(self.store.clone());
        let records = TwilioMessages::new(&self.twilio.url(), settings(), self.clock.clone());
        Reconcile::new(ReconcileDependencies {
            accounts: shared.clone(),
            channels: shared.clone(),
            reports: shared,
            records: Arc::new(records.expect("a URL")),
            metrics: Arc::new(NoMetrics),
            secret: server_secret(),
            environment: self.clock.clone(),
            settings: ReconcileSettings {
                request_interval: self.request_interval,
                ..ReconcileSettings::default()
            },
        })
    }

    fn put(&self, number: u64, status: &str) {
        self.twilio
            .put(FakeMessage::new(&twilio_sid(number), status));
    }

    /// Records a report that arrives now.
    async fn report(&self, number: u64, status: &str) {
        let at = self.now().unix_micros();
        let report = report(&twilio_sid(number)).status(status).at(at).build();
        let recorded = self.store.record(&[report]).await;
        recorded.expect("the store is there");
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
        self.run_scope(ReconcileScope::Due).await
    }

    async fn run_scope(&self, scope: ReconcileScope) -> Result<Reconciled, ReconcileError> {
        let run = ReconcileRun {
            channel: id(),
            scope,
            dry_run: false,
        };
        self.reconcile().run(&run, |_, _| {}).await
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
