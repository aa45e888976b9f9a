//! Replaying the journal when the store refuses reports, or the journal or rejections fail.

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

fn replay(
    journal: Arc<dyn Journal>,
    store: &MemoryStore,
    rejections: &MemoryStore,
    breaker: &Arc<StoreCircuitBreaker>,
) -> ReplayJournal {
    ReplayJournal::new(
        journal,
        Arc::new(store.clone()),
        Arc::new(rejections.clone()),
        Arc::clone(breaker),
        Arc::new(NoMetrics),
        10,
    )
}

#[tokio::test]
async fn refused_report_stays_in_the_journal_until_its_rejection_is_stored() {
    let (store, rejections) = (MemoryStore::new(), MemoryStore::new());
    let journal = MemoryJournal::default();
    journal.append(&entries(0..4)).await.unwrap();
    store.refuse(&twilio_sid(2));
    rejections.set_unavailable(true);
    let breaker = Arc::default();
    let replay = replay(Arc::new(journal.clone()), &store, &rejections, &breaker);
    for _ in 0..2 {
        assert!(matches!(replay.run().await, Err(ReplayError::Store(_))));
        assert_eq!(journal.entries(), entries(0..4));
    }
    rejections.set_unavailable(false);
    assert_eq!(replay.run().await.unwrap().moved, 4);
    assert_eq!(journal.entries(), []);
    assert_eq!(store.logged_reports(), 3);
    let stored = rejections.list(None, None, PageSize::default()).await;
    assert_eq!(stored.unwrap().items.len(), 1);
}

/// Fails a whole step of acknowledged reports, as a fault of the schema does.
#[tokio::test]
async fn acknowledged_reports_stay_in_the_journal_while_the_store_refuses_all() {
    let (store, breaker) = (MemoryStore::new(), Arc::default());
    let journal = MemoryJournal::default();
    journal.append(&entries(0..4)).await.unwrap();
    for number in 0..4 {
        store.refuse(&twilio_sid(number));
    }
    let replay = replay(Arc::new(journal.clone()), &store, &store, &breaker);
    for _ in 0..3 {
        assert!(matches!(replay.run().await, Err(ReplayError::Store(_))));
    }
    assert_eq!(journal.entries(), entries(0..4));
    let stored = store.list(None, None, PageSize::default()).await.unwrap();
    assert!(stored.items.is_empty(), "{stored:?}");

    store.refuse_none();
    assert_eq!(replay.run().await.unwrap().moved, 4);
    assert_eq!(store.logged_reports(), 4);
}

#[tokio::test]
async fn refused_reports_are_given_up_once_the_store_records_others() {
    let (store, breaker) = (MemoryStore::new(), Arc::default());
    let journal = MemoryJournal::default();
    // More than one step of refused reports before one that is good.
    journal.append(&entries(0..13)).await.unwrap();
    for number in 0..12 {
        store.refuse(&twilio_sid(number));
    }
    let replay = replay(Arc::new(journal.clone()), &store, &store, &breaker);
    for _ in 0..6 {
        let _ = replay.run().await;
    }
    assert_eq!(journal.entries(), []);
    assert_eq!(store.logged_reports(), 1);
    let stored = store.list(None, None, PageSize::default()).await.unwrap();
    assert_eq!(stored.items.len(), 12);
}

#[tokio::test]
async fn locked_message_does_not_block_the_journal() {
    let (store, breaker) = (MemoryStore::new(), Arc::default());
    let journal = MemoryJournal::default();
    journal.append(&entries(0..14)).await.unwrap();
    store.set_locked(&twilio_sid(2), true);
    let replay = replay(Arc::new(journal.clone()), &store, &store, &breaker);
    for _ in 0..3 {
        replay.run().await.unwrap();
    }
    assert_eq!(store.logged_reports(), 13);
    assert_eq!(journal.entries(), entries(2..3));
    let waiting = replay.run().await.unwrap();
    assert_eq!((waiting.moved, waiting.more), (0, false));

    store.set_locked(&twilio_sid(2), false);
    assert_eq!(replay.run().await.unwrap().moved, 1);
    assert_eq!(journal.entries(), []);
}

/// A journal whose disk does not answer.
struct Stalled;

#[async_trait]
impl Journal for Stalled {
    async fn append(&self, _: &[JournalEntry]) -> Result<Vec<usize>, JournalError> {
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
async fn store_is_probed_even_if_the_journal_fails() {
    let store = MemoryStore::new();
    let breaker = Arc::<StoreCircuitBreaker>::default();
    let replay = replay(Arc::new(Stalled), &store, &store, &breaker);
    breaker.trip();
    store.set_unavailable(true);
    assert!(matches!(replay.run().await, Err(ReplayError::Store(_))));
    assert!(breaker.is_open());
    store.set_unavailable(false);
    assert!(matches!(replay.run().await, Err(ReplayError::Journal(_))));
    assert!(!breaker.is_open());
}
