//! Evaluating the rules, and telling subscribers, on the in-memory store with a fixed clock.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod delivery;
mod evaluation;
mod forwarding;
mod reconciliation;
mod statistics;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use domain::page::PageSize;
use domain::statistics::{Counts, Interval, StatusLabel};
use domain::trouble::{StoredOperatorEvent, Trouble, TroubleKind};
use domain::{ChannelCalls, DeliveryStatus, PublicUrl, Timestamp};
use ports::channels::Change;
use ports::statistics::IntervalCounts;
use ports::url_probe::{PresentedCertificate, ProbeAnswer, ProbeTarget, ProbedConnection, Timed};
use ports::{ChannelStore as _, OperatorEvents as _, Statistics as _, TroubleStore as _, UrlProbe};
use testkit::builders::{CHANNEL, channel, channel_id, credential, time};
use testkit::clock::{FixedClock, UtcDays};
use testkit::memory::MemoryStore;
use usecases::EvaluateTroubles;
use usecases::trouble::{CertificateSource, Evaluated, EvaluationDependencies};

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A Wednesday, 10:07 UTC.
pub(crate) const NOW: i64 = 1_795_601_220_000_000;

/// A store, a clock, and the evaluation of the rules.
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) probe: Arc<Probe>,
    evaluate: EvaluateTroubles,
}

/// Presents a certificate with an expiry that a test sets, and counts calls.
#[derive(Default)]
pub(crate) struct Probe {
    pub(crate) expires_at: Mutex<Option<Timestamp>>,
    pub(crate) calls: AtomicUsize,
}

#[async_trait]
impl UrlProbe for Probe {
    async fn connect(&self, target: &ProbeTarget) -> ProbedConnection {
        assert!(target.url.to_string().starts_with("https://"));
        self.calls.fetch_add(1, Ordering::Relaxed);
        let certificate = |expires_at: &Timestamp| PresentedCertificate {
            subject: "reports.example.com".to_owned(),
            issuer: "a test".to_owned(),
            expires_at: *expires_at,
        };
        let expires_at = *self.expires_at.lock().unwrap();
        ProbedConnection {
            lookup: Timed {
                result: Ok(Vec::new()),
                took: Duration::ZERO,
            },
            connect: None,
            handshake: None,
            certificates: expires_at.iter().map(certificate).collect(),
        }
    }

    async fn post(
        &self,
        _: &ProbeTarget,
        _: &[(&'static str, String)],
        _: Vec<u8>,
    ) -> Timed<ProbeAnswer> {
        Timed {
            result: Err("a test sends nothing".into()),
            took: Duration::ZERO,
        }
    }
}

impl World {
    /// Begins with a channel that was added a year ago, and no trouble.
    pub(crate) async fn new() -> Self {
        let store = MemoryStore::new();
        let clock = Arc::new(FixedClock::at(time(NOW)));
        let probe = Arc::new(Probe::default());
        let world = Self {
            evaluate: evaluation(&store, &clock, &probe, "one"),
            store,
            clock,
            probe,
        };
        let desk = channel(CHANNEL).at(NOW - 365 * DAY).build();
        let credential = credential(CHANNEL, 1).at(NOW - 365 * DAY).build();
        let added = world.store.add(&desk, &credential).await.unwrap();
        assert_eq!(added, Change::Done);
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        use ports::Environment as _;
        self.clock.now()
    }

    /// Evaluates the rules now, and a minute later, and so on.
    pub(crate) async fn evaluate(&self, times: u32) {
        for _ in 0..times {
            let evaluated = self.evaluate.run().await.unwrap();
            assert!(matches!(evaluated, Evaluated::Done { .. }));
            self.clock.advance(Duration::from_mins(1));
        }
    }

    /// Returns the unresolved troubles of a kind.
    pub(crate) async fn troubles(&self, kind: TroubleKind) -> Vec<Trouble> {
        let mut all = self.store.unresolved().await.unwrap();
        all.retain(|trouble| trouble.key.kind == kind);
        all
    }

    /// Returns the open troubles of a kind.
    pub(crate) async fn open(&self, kind: TroubleKind) -> Vec<Trouble> {
        let mut all = self.troubles(kind).await;
        all.retain(|trouble| trouble.state.is_open());
        all
    }

    /// Returns the types of all operator events.
    pub(crate) async fn events(&self) -> Vec<StoredOperatorEvent> {
        let events = self.store.operator_events(0, PageSize::MAX).await;
        events.unwrap()
    }

    /// Counts requests without credentials.
    pub(crate) async fn challenge(&self, requests: u64) {
        let calls = ChannelCalls {
            challenged: requests,
            ..ChannelCalls::default()
        };
        let counted = [(channel_id(CHANNEL), calls)];
        self.store.count_calls(&counted).await.unwrap();
    }

    /// Notes that the credential was used now.
    pub(crate) async fn authenticate(&self) {
        let found = self.store.find(&channel_id(CHANNEL)).await.unwrap();
        let id = found.unwrap().credentials.first().unwrap().id;
        self.store.touch(&[(id, self.now())]).await.unwrap();
    }

    /// Adds counts to an interval that starts at a time.
    pub(crate) async fn count(&self, interval: Interval, start: i64, counts: Counts) {
        let key = (interval, time(start), channel_id(CHANNEL));
        let changes = IntervalCounts::from([(key, counts)]);
        self.store.add_statistics(&changes).await.unwrap();
    }
}

/// Returns an evaluation by a process of this name.
pub(crate) fn evaluation(
    store: &MemoryStore,
    clock: &Arc<FixedClock>,
    probe: &Arc<Probe>,
    holder: &str,
) -> EvaluateTroubles {
    let shared = Arc::new(store.clone());
    EvaluateTroubles::new(EvaluationDependencies {
        troubles: shared.clone(),
        channels: shared.clone(),
        statistics: shared.clone(),
        log: shared.clone(),
        subscriptions: shared.clone(),
        reconciliation: shared.clone(),
        forwarding: shared,
        certificates: CertificateSource {
            probe: probe.clone(),
            public_url: PublicUrl::parse("https://reports.example.com").unwrap(),
            private_targets: false,
        },
        calendar: Arc::new(UtcDays),
        environment: clock.clone(),
        holder: holder.to_owned(),
        interval: Duration::from_mins(1),
    })
}

/// Counts of delivered reports.
pub(crate) fn reports(count: i64) -> Counts {
    let mut counts = Counts::default();
    let label = StatusLabel::Delivery(DeliveryStatus::Delivered);
    counts.reports.insert(label, count);
    counts
}
