//! Health of the store and the journal.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;

use domain::IntegratorName;
use domain::crypto::ServerSecret;
use ports::metrics::NoMetrics;
use ports::{Journal as _, JournalEntry};
use testkit::builders::{report, twilio_sid};
use testkit::memory::{MemoryJournal, MemoryStore};
use usecases::health::{ComponentHealth, Condition};
use usecases::{ChannelDirectory, CheckHealth, ReplayJournal, StoreCircuitBreaker};

struct Service {
    store: MemoryStore,
    journal: MemoryJournal,
    breaker: Arc<StoreCircuitBreaker>,
    health: CheckHealth,
}

impl Service {
    async fn new() -> Self {
        let store = MemoryStore::new();
        let journal = MemoryJournal::default();
        let breaker = Arc::<StoreCircuitBreaker>::default();
        let directory = ChannelDirectory::new(
            Arc::new(store.clone()),
            ServerSecret::parse(&"s".repeat(40)).unwrap(),
            Arc::new(NoMetrics),
        );
        directory.refresh().await.unwrap();
        let health = CheckHealth::new(Arc::new(store.clone()), Arc::new(directory))
            .with_journal(Arc::new(journal.clone()), Arc::clone(&breaker));
        Self {
            store,
            journal,
            breaker,
            health,
        }
    }

    fn set_unavailable(&self, unavailable: bool) {
        self.store.set_unavailable(unavailable);
        if unavailable {
            self.breaker.trip();
        }
    }

    async fn component(&self, name: &str) -> ComponentHealth {
        let parts = self.health.run().await;
        let part = parts.into_iter().find(|part| part.name == name);
        part.unwrap()
    }

    async fn conditions(&self) -> [Condition; 2] {
        [
            self.component("store").await.condition,
            self.component("journal").await.condition,
        ]
    }

    async fn append(&self, number: u64) -> bool {
        let entry = JournalEntry {
            integrator: IntegratorName::parse("twilio").unwrap(),
            report: report(&twilio_sid(number)).build(),
        };
        self.journal.append(&[entry]).await.is_ok()
    }

    async fn replay(&self) {
        let store = Arc::new(self.store.clone());
        let replay = ReplayJournal::new(
            Arc::new(self.journal.clone()),
            store.clone(),
            store,
            Arc::clone(&self.breaker),
            Arc::new(NoMetrics),
            100,
        );
        // The store may be unavailable in this test.
        let _ = replay.run().await;
    }
}

use Condition::{Degraded, Down, Ready};

#[tokio::test]
async fn failed_journal_is_down_while_the_store_is_unavailable() {
    let service = Service::new().await;
    assert_eq!(service.conditions().await, [Ready, Ready]);
    service.set_unavailable(true);
    assert!(service.append(1).await);
    assert_eq!(service.conditions().await, [Degraded, Degraded]);
    // Only the last append shows it: the journal is not full to the last byte.
    service.journal.set_full(true);
    assert!(!service.append(2).await);
    assert_eq!(service.conditions().await, [Down, Down]);
    let detail = service.component("journal").await.detail.unwrap();
    assert!(detail.ends_with("it is full"), "{detail}");
    service.replay().await;
    assert_eq!(service.conditions().await, [Down, Down]);
    // A process that is down gets no reports: the replay finds out.
    service.journal.set_full(false);
    service.replay().await;
    assert_eq!(service.conditions().await, [Degraded, Degraded]);
}

#[tokio::test]
async fn failed_journal_degrades_a_service_with_an_available_store() {
    let service = Service::new().await;
    service.set_unavailable(true);
    service.journal.set_full(true);
    assert!(!service.append(1).await);
    service.set_unavailable(false);
    service.replay().await;
    assert_eq!(service.conditions().await, [Ready, Degraded]);
}

#[tokio::test]
async fn durability_warning_degrades_the_service() {
    let service = Service::new().await;
    service.store.set_risk("fsync is off");
    let part = service.component("store").await;
    assert_eq!(part.condition, Degraded);
    assert_eq!(part.detail.as_deref(), Some("fsync is off"));
}

#[tokio::test]
async fn store_and_journal_on_one_full_disk_are_down_before_a_report_is_refused() {
    let service = Service::new().await;
    service.store.set_unavailable(true);
    assert_eq!(service.conditions().await, [Degraded, Ready]);
    service.journal.set_full(true);
    assert_eq!(service.conditions().await, [Down, Down]);
    service.journal.set_full(false);
    assert_eq!(service.conditions().await, [Degraded, Ready]);
}
