//! Rejections are stored once and in batches, even by a slow store.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::rejection::MaskedFields;
use domain::{ChannelId, IntegratorName, RejectionReason};
use ports::rejections::StoredRejection;
use testkit::builders::{channel_id, time};
use testkit::memory::MemoryStore;
use tokio::sync::Semaphore;

use super::*;

fn rejection(number: i64) -> Rejection {
    Rejection {
        arrived_at: time(number),
        channel: channel_id("1"),
        integrator: IntegratorName::parse("twilio").unwrap(),
        reason: RejectionReason::ChannelDisabled,
        detail: String::new(),
        fields: MaskedFields::default(),
        sender: None,
    }
}

#[tokio::test]
async fn many_rejections_are_written_in_few_batches() {
    let store = MemoryStore::new();
    let writer = Arc::new(RejectionWriter::new(Arc::new(store.clone())));
    let mut callers = JoinSet::new();
    for number in 0..300 {
        let writer = Arc::clone(&writer);
        callers.spawn(async move { writer.write(vec![rejection(number)]).await });
    }
    callers.join_all().await;
    assert!(store.store_rejection_calls() <= 3);
    let stored = store.list(None, None, PageSize::new(500).unwrap()).await;
    assert_eq!(stored.unwrap().items.len(), 300);
}

/// Stores a batch each time that a permit is added; may panic instead.
struct GatedStore {
    permits: Semaphore,
    panics: AtomicBool,
    calls: AtomicUsize,
    batches: Mutex<Vec<Vec<i64>>>,
}

impl GatedStore {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            permits: Semaphore::new(0),
            panics: AtomicBool::default(),
            calls: AtomicUsize::default(),
            batches: Mutex::default(),
        })
    }

    fn batches(&self) -> Vec<Vec<i64>> {
        self.batches.lock().unwrap().clone()
    }

    /// Waits until a batch is being written.
    async fn until_called(&self) {
        let called = async {
            while self.calls.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        let called = tokio::time::timeout(Duration::from_secs(10), called).await;
        called.expect("the store is called");
    }
}

#[async_trait]
impl RejectionStore for GatedStore {
    async fn store_rejections(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        assert!(!self.panics.load(Ordering::SeqCst), "as a test said");
        let numbers = rejections.iter().map(|it| it.arrived_at.unix_micros());
        self.batches.lock().unwrap().push(numbers.collect());
        Ok(())
    }

    async fn list(
        &self,
        _: Option<&ChannelId>,
        _: Option<i64>,
        size: PageSize,
    ) -> Result<Page<StoredRejection, i64>, StoreError> {
        Ok(Page::cut(Vec::new(), size, |stored: &StoredRejection| {
            stored.id
        }))
    }

    async fn rejection(&self, _: i64) -> Result<Option<StoredRejection>, StoreError> {
        Ok(None)
    }
}

/// Calls the writer and gives up at once.
async fn give_up_writing(writer: &RejectionWriter, number: i64) {
    let writing = writer.write(vec![rejection(number)]);
    let written = tokio::time::timeout(Duration::ZERO, writing).await;
    assert!(written.is_err(), "the store has not answered");
}

#[tokio::test]
async fn slow_store_stores_each_rejection_once_although_callers_give_up() {
    let store = GatedStore::new();
    let writer = RejectionWriter::new(store.clone());
    give_up_writing(&writer, 1).await;
    store.until_called().await;
    give_up_writing(&writer, 2).await;
    give_up_writing(&writer, 3).await;
    assert_eq!(store.batches(), Vec::<Vec<i64>>::new());
    store.permits.add_permits(10);
    writer.write(vec![rejection(4)]).await;
    // What was queued while the first batch was written is the second one.
    assert_eq!(store.batches(), [vec![1], vec![2, 3, 4]]);
}

#[tokio::test]
async fn panic_of_the_store_costs_its_batch_only() {
    let store = GatedStore::new();
    let writer = RejectionWriter::new(store.clone());
    store.permits.add_permits(10);
    store.panics.store(true, Ordering::SeqCst);
    give_up_writing(&writer, 1).await;
    store.until_called().await;
    store.panics.store(false, Ordering::SeqCst);
    writer.write(vec![rejection(2)]).await;
    assert_eq!(store.batches(), [[2]]);
}
