//! The way from the journal into the store, when the journal or the log of rejections fails.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::sync::Arc;

use async_trait::async_trait;
use domain::IntegratorName;
use domain::page::PageSize;
use ports::journal::{JournalError, JournalMark, JournalUsage};
use ports::metrics::NoMetrics;
use ports::{Journal, JournalEntry, RejectionStore as _};
use testkit::builders::{report, twilio_sid};
use testkit::memory::{MemoryJournal, MemoryStore};
use usecases::ingest::journal_replay::ReplayError;
use usecases::{ReplayJournal, StoreCircuitBreaker};

fn entries(numbers: std::ops::Range<u64>) -> Vec<JournalEntry> {
    let entry = |number| JournalEntry {
        integrator: IntegratorName::parse("twilio").unwrap(),
        report: report(&twilio_sid(number)).build(),
    };
    numbers.map(entry).collect()
}

fn drain(
    journal: Arc<dyn Journal>,
    store: &MemoryStore,
    rejections: &MemoryStore,
    gate: &Arc<StoreCircuitBreaker>,
) -> ReplayJournal {
    ReplayJournal::new(
        journal,
        Arc::new(store.clone()),
        Arc::new(rejections.clone()),
        Arc::clone(gate),
        Arc::new(NoMetrics),
        10,
    )
}

#[tokio::test]
async fn poison_stays_in_the_journal_until_its_rejection_is_kept() {
    let (store, rejections) = (MemoryStore::new(), MemoryStore::new());
    let journal = MemoryJournal::default();
    journal.append(&entries(0..4)).await.unwrap();
    store.refuse(&twilio_sid(2));
    rejections.set_unavailable(true);
    let gate = Arc::default();
    let drain = drain(Arc::new(journal.clone()), &store, &rejections, &gate);
    for _ in 0..2 {
        assert!(matches!(drain.run().await, Err(ReplayError::Store(_))));
        assert_eq!(journal.entries(), entries(0..4));
    }
    rejections.set_unavailable(false);
    assert_eq!(drain.run().await.unwrap().moved, 4);
    assert_eq!(journal.entries(), []);
    assert_eq!(store.logged_reports(), 3);
    let kept = rejections.list(None, None, PageSize::default()).await;
    assert_eq!(kept.unwrap().items.len(), 1);
}

/// Fails a whole step of acknowledged reports, as a fault of the schema does.
#[tokio::test]
async fn acknowledged_reports_stay_in_the_journal_while_the_store_refuses_all() {
    let (store, gate) = (MemoryStore::new(), Arc::default());
    let journal = MemoryJournal::default();
    journal.append(&entries(0..4)).await.unwrap();
    for number in 0..4 {
        store.refuse(&twilio_sid(number));
    }
    let drain = drain(Arc::new(journal.clone()), &store, &store, &gate);
    for _ in 0..3 {
        assert!(matches!(drain.run().await, Err(ReplayError::Store(_))));
    }
    assert_eq!(journal.entries(), entries(0..4));
    let kept = store.list(None, None, PageSize::default()).await.unwrap();
    assert!(kept.items.is_empty(), "{kept:?}");

    store.refuse_none();
    assert_eq!(drain.run().await.unwrap().moved, 4);
    assert_eq!(store.logged_reports(), 4);
}

#[tokio::test]
async fn refused_reports_are_given_up_once_the_store_takes_others() {
    let (store, gate) = (MemoryStore::new(), Arc::default());
    let journal = MemoryJournal::default();
    // More than one step of refused reports before one that is good.
    journal.append(&entries(0..13)).await.unwrap();
    for number in 0..12 {
        store.refuse(&twilio_sid(number));
    }
    let drain = drain(Arc::new(journal.clone()), &store, &store, &gate);
    for _ in 0..6 {
        let _ = drain.run().await;
    }
    assert_eq!(journal.entries(), []);
    assert_eq!(store.logged_reports(), 1);
    let kept = store.list(None, None, PageSize::default()).await.unwrap();
    assert_eq!(kept.items.len(), 12);
}

#[tokio::test]
async fn locked_message_does_not_block_the_journal() {
    let (store, gate) = (MemoryStore::new(), Arc::default());
    let journal = MemoryJournal::default();
    journal.append(&entries(0..14)).await.unwrap();
    store.set_locked(&twilio_sid(2), true);
    let drain = drain(Arc::new(journal.clone()), &store, &store, &gate);
    for _ in 0..3 {
        drain.run().await.unwrap();
    }
    assert_eq!(store.logged_reports(), 13);
    assert_eq!(journal.entries(), entries(2..3));
    let waiting = drain.run().await.unwrap();
    assert_eq!((waiting.moved, waiting.more), (0, false));

    store.set_locked(&twilio_sid(2), false);
    assert_eq!(drain.run().await.unwrap().moved, 1);
    assert_eq!(journal.entries(), []);
}

/// A journal whose disk does not answer.
struct Stalled;

#[async_trait]
impl Journal for Stalled {
    async fn append(&self, _: &[JournalEntry]) -> Result<(), JournalError> {
        Err(JournalError::TooSlow)
    }

    async fn oldest(&self, _: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError> {
        Err(JournalError::TooSlow)
    }

    async fn remove(&self, _: JournalMark) -> Result<(), JournalError> {
        Err(JournalError::TooSlow)
    }

    fn usage(&self) -> JournalUsage {
        JournalUsage::default()
    }
}

#[tokio::test]
async fn a_store_that_is_back_is_found_whatever_the_journal_does() {
    let store = MemoryStore::new();
    let gate = Arc::<StoreCircuitBreaker>::default();
    let drain = drain(Arc::new(Stalled), &store, &store, &gate);
    gate.failed();
    store.set_unavailable(true);
    assert!(matches!(drain.run().await, Err(ReplayError::Store(_))));
    assert!(gate.is_away());
    store.set_unavailable(false);
    assert!(matches!(drain.run().await, Err(ReplayError::Journal(_))));
    assert!(!gate.is_away());
}
