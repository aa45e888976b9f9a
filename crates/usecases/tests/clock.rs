//! The system's clock is set back by an hour between reports.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{DeliveryStatus, Effect, IntegratorName, Password, PublicUrl, Timestamp, WebhookUser};
use ports::metrics::NoMetrics;
use ports::reports::MessageWithReports;
use ports::{Environment as _, Headers, Journal as _, ReportStore as _};
use testkit::builders::{channel_id, key, server_secret, twilio_sid};
use testkit::clock::FixedClock;
use testkit::memory::{MemoryJournal, MemoryStore};
use tokio::task::JoinHandle;
use usecases::channels::manage::{NewChannel, NewCredential};
use usecases::ingest::group_commit::WriterDied;
use usecases::ingest::queue::IngestSettings;
use usecases::ingest::receive::ReportRequest;
use usecases::{
    AuthenticateCaller, Authentication, ChannelDirectory, GroupCommitWriters, Integrators,
    ManageChannels, ReceiveReport, ReplayJournal, StoreCircuitBreaker,
};

const HOUR: Duration = Duration::from_hours(1);

/// The ingest use cases on a memory store.
struct Receiver {
    store: MemoryStore,
    journal: Arc<MemoryJournal>,
    clock: Arc<FixedClock>,
    integrators: Integrators,
    authenticate: AuthenticateCaller,
    receive: ReceiveReport,
    drain: ReplayJournal,
    /// Ends when the queue is dropped.
    _writers: JoinHandle<Result<(), WriterDied>>,
}

struct Basic;

impl Headers for Basic {
    fn get(&self, name: &str) -> Option<&[u8]> {
        // user:chosen password
        name.eq_ignore_ascii_case("authorization")
            .then_some(b"Basic dXNlcjpjaG9zZW4gcGFzc3dvcmQ=")
    }
}

impl Receiver {
    /// Creates a channel with a credential that expires in 90 minutes.
    async fn new() -> Self {
        let (store, clock) = (MemoryStore::new(), Arc::new(FixedClock::default()));
        let integrators = || Integrators::new(adapter_integrators::all());
        let url = PublicUrl::parse("https://reports.example.com").unwrap();
        let manage = ManageChannels::new(
            Arc::new(store.clone()),
            integrators(),
            server_secret(),
            url.clone(),
            clock.clone(),
        );
        let expires_at = clock.now().plus_micros(90 * 60 * 1_000_000);
        manage.add(channel(expires_at)).await.unwrap();
        let directory = ChannelDirectory::new(
            Arc::new(store.clone()),
            server_secret(),
            Arc::new(NoMetrics),
        );
        directory.refresh().await.unwrap();

        let (journal, breaker) = (Arc::new(MemoryJournal::default()), Arc::default());
        let settings = IngestSettings {
            deadline: Duration::from_millis(200),
            ..IngestSettings::default()
        };
        let (queue, writers) =
            GroupCommitWriters::new(Arc::new(store.clone()), Arc::new(NoMetrics), settings);
        let writers = writers.with_journal(journal.clone(), Arc::clone(&breaker));
        Self {
            authenticate: AuthenticateCaller::new(
                Arc::new(directory),
                server_secret(),
                clock.clone(),
            ),
            receive: ReceiveReport::new(
                queue,
                Arc::new(store.clone()),
                Arc::new(store.clone()),
                url,
                clock.clone(),
                Arc::new(NoMetrics),
            ),
            drain: drain(&journal, &store, breaker),
            store,
            journal,
            clock,
            integrators: integrators(),
            _writers: spawn(writers.run()),
        }
    }

    /// Returns whether a report was recorded.
    async fn records(&self, status: &str) -> bool {
        let twilio = self.integrators.find(&twilio()).unwrap().as_ref();
        let Authentication::AuthenticatedCaller(caller) =
            self.authenticate.run(twilio, "1", &Basic)
        else {
            return false;
        };
        let sid = twilio_sid(1);
        let body = traffic::form::encode(&traffic::form::required_fields(&sid, status));
        let request = ReportRequest {
            integrator: twilio,
            endpoint: twilio.report_endpoint(),
            caller,
            headers: &Basic,
            query: None,
            body: body.as_bytes(),
        };
        self.receive.run(request).await.is_ok()
    }

    async fn message(&self) -> MessageWithReports {
        let mut key = key(&twilio_sid(1));
        key.channel = channel_id("1");
        self.store.message(&key).await.unwrap().unwrap()
    }
}

fn drain(
    journal: &Arc<MemoryJournal>,
    store: &MemoryStore,
    breaker: Arc<StoreCircuitBreaker>,
) -> ReplayJournal {
    ReplayJournal::new(
        journal.clone(),
        Arc::new(store.clone()),
        Arc::new(store.clone()),
        breaker,
        Arc::new(NoMetrics),
        16,
    )
}

#[expect(clippy::disallowed_methods, reason = "tests outlive what they start")]
fn spawn<T: Send + 'static>(writers: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(writers)
}

fn twilio() -> IntegratorName {
    IntegratorName::parse("twilio").unwrap()
}

fn channel(expires_at: Timestamp) -> NewChannel {
    NewChannel {
        id: channel_id("1"),
        integrator: twilio(),
        name: domain::ChannelName::parse("Name").unwrap(),
        senders: Vec::new(),
        public_url: None,
        signing_token: None,
        keep_messages_days: None,
        forward_url: None,
        credential: NewCredential {
            user: WebhookUser::parse("user").unwrap(),
            password: Some(Password::parse("chosen password").unwrap()),
            label: None,
            expires_at: Some(expires_at),
        },
        may_reveal: false,
    }
}

#[tokio::test]
async fn state_and_order_do_not_depend_on_the_clock() {
    let receiver = Receiver::new().await;
    let start = receiver.clock.now();
    assert!(receiver.records("delivered").await);
    receiver.clock.turn_back(HOUR);
    for status in ["read", "sent", "delivered"] {
        receiver.clock.advance(Duration::from_secs(1));
        assert!(receiver.records(status).await);
    }

    let MessageWithReports {
        message, reports, ..
    } = receiver.message().await;
    assert_eq!(message.state.status(), Some(DeliveryStatus::Read));
    assert_eq!(message.duplicates, 1);
    let logged: Vec<_> = reports
        .iter()
        .map(|logged| {
            (
                logged.revision,
                logged.report.status.as_str(),
                logged.effect,
            )
        })
        .collect();
    assert_eq!(
        logged,
        [
            (1, "delivered", Effect::Advanced),
            (2, "read", Effect::Advanced),
            (3, "sent", Effect::Late),
        ]
    );
    // The times are those of the clock, the earliest for each status.
    let hour = 3_600_000_000;
    let first = |status| message.state.timeline().first(status);
    let after = |seconds: i64| Some(start.plus_micros(seconds * 1_000_000 - hour));
    assert_eq!(first(DeliveryStatus::Read), after(1));
    assert_eq!(first(DeliveryStatus::Sent), after(2));
    assert_eq!(first(DeliveryStatus::Delivered), after(3));
    assert_eq!(message.parties.first_reported_at, after(1).unwrap());
    assert_eq!(message.last_reported_at, start);
}

#[tokio::test]
async fn deadlines_do_not_depend_on_the_clock() {
    let receiver = Receiver::new().await;
    receiver.store.set_paused(true);
    let began = Instant::now();
    let (taken, ()) = tokio::join!(receiver.records("sent"), async {
        receiver.clock.turn_back(HOUR);
    });
    assert!(taken && began.elapsed() < Duration::from_secs(2));
    assert_eq!(receiver.journal.usage().entries, 1);
    receiver.store.set_paused(false);
    receiver.drain.run().await.unwrap();
    assert!(receiver.records("read").await);
    assert_eq!(receiver.message().await.reports.len(), 2);
}

#[tokio::test]
async fn credential_expires_by_the_clock() {
    let receiver = Receiver::new().await;
    receiver.clock.advance(Duration::from_mins(91));
    assert!(!receiver.records("sent").await);
    // The expiry is a time of day: a corrected clock makes the credential valid again.
    receiver.clock.turn_back(HOUR);
    assert!(receiver.records("sent").await);
    receiver.clock.advance(HOUR);
    assert!(!receiver.records("read").await);
}
