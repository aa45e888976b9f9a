//! What is said of the store and the journal.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;

use domain::IntegratorName;
use domain::secret::ServerSecret;
use ports::metrics::NoMetrics;
use ports::{Journal as _, JournalEntry};
use testkit::builders::{report, twilio_sid};
use testkit::memory::{MemoryJournal, MemoryStore};
use usecases::health::{Condition, EventIndex};
use usecases::{ChannelDirectory, CheckHealth, ReplayJournal, StoreCircuitBreaker};

struct Service {
    store: MemoryStore,
    journal: MemoryJournal,
    gate: Arc<StoreCircuitBreaker>,
    health: CheckHealth,
}

impl Service {
    async fn new() -> Self {
        let store = MemoryStore::new();
        let journal = MemoryJournal::default();
        let gate = Arc::<StoreCircuitBreaker>::default();
        let directory = ChannelDirectory::new(
            Arc::new(store.clone()),
            ServerSecret::parse(&"s".repeat(40)).unwrap(),
            Arc::new(NoMetrics),
        );
        directory.refresh().await.unwrap();
        let health = CheckHealth::new(Arc::new(store.clone()), Arc::new(directory))
            .with_journal(Arc::new(journal.clone()), Arc::clone(&gate));
        Self {
            store,
            journal,
            gate,
            health,
        }
    }

    fn away(&self, away: bool) {
        self.store.set_unavailable(away);
        if away {
            self.gate.failed();
        }
    }

    async fn part(&self, name: &str) -> EventIndex {
        let parts = self.health.run().await;
        let part = parts.into_iter().find(|part| part.name == name);
        part.unwrap()
    }

    async fn conditions(&self) -> [Condition; 2] {
        [
            self.part("store").await.condition,
            self.part("journal").await.condition,
        ]
    }

    async fn append(&self, number: u64) -> bool {
        let entry = JournalEntry {
            integrator: IntegratorName::parse("twilio").unwrap(),
            report: report(&twilio_sid(number)).build(),
        };
        self.journal.append(&[entry]).await.is_ok()
    }

    async fn drain(&self) {
        let store = Arc::new(self.store.clone());
        let drain = ReplayJournal::new(
            Arc::new(self.journal.clone()),
            store.clone(),
            store,
            Arc::clone(&self.gate),
            Arc::new(NoMetrics),
            100,
        );
        // A store that is away is no error of this test.
        let _ = drain.run().await;
    }
}

use Condition::{Degraded, Down, Ready};

#[tokio::test]
async fn a_journal_that_takes_nothing_is_down_while_the_store_is_away() {
    let service = Service::new().await;
    assert_eq!(service.conditions().await, [Ready, Ready]);
    service.away(true);
    assert!(service.append(1).await);
    assert_eq!(service.conditions().await, [Degraded, Degraded]);
    // Nothing but the answer to the last append says so: it is not full to the last byte.
    service.journal.set_full(true);
    assert!(!service.append(2).await);
    assert_eq!(service.conditions().await, [Down, Down]);
    let said = service.part("journal").await.detail.unwrap();
    assert!(said.ends_with("it is full"), "{said}");
    service.drain().await;
    assert_eq!(service.conditions().await, [Down, Down]);
    // Nobody sends a report to a receiver that is down: it finds out by itself.
    service.journal.set_full(false);
    service.drain().await;
    assert_eq!(service.conditions().await, [Degraded, Degraded]);
}

#[tokio::test]
async fn a_journal_that_takes_nothing_only_degrades_a_service_whose_store_is_there() {
    let service = Service::new().await;
    service.away(true);
    service.journal.set_full(true);
    assert!(!service.append(1).await);
    service.away(false);
    service.drain().await;
    assert_eq!(service.conditions().await, [Ready, Degraded]);
}

#[tokio::test]
async fn a_store_that_may_lose_what_it_has_taken_degrades_the_service() {
    let service = Service::new().await;
    service.store.set_risk("fsync is off");
    let part = service.part("store").await;
    assert_eq!(part.condition, Degraded);
    assert_eq!(part.detail.as_deref(), Some("fsync is off"));
}

#[tokio::test]
async fn store_and_journal_on_one_full_disk_are_down_before_a_report_was_refused() {
    let service = Service::new().await;
    service.store.set_unavailable(true);
    assert_eq!(service.conditions().await, [Degraded, Ready]);
    service.journal.set_full(true);
    assert_eq!(service.conditions().await, [Down, Down]);
    service.journal.set_full(false);
    assert_eq!(service.conditions().await, [Degraded, Ready]);
}
