//! Erasing a recipient: at once, resumed by another process, and from the log cache.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::erasure::{ErasureReason, RequestedVia};
use domain::page::PageSize;
use domain::{LogPosition, Recipient, Report, Timestamp};
use ports::event_log::LogRead;
use ports::{Environment, ReportStore as _};
use testkit::builders::{report, server_secret, twilio_sid};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use usecases::erasure::{EraseError, EraseRequest};
use usecases::{EraseRecipient, ListErasures, LogTailCache};
use uuid::Uuid;

const NUMBER: &str = "+15550107777";

fn request(reason: Option<&str>) -> EraseRequest {
    EraseRequest {
        recipient: Recipient::parse(NUMBER).unwrap(),
        reason: reason.map(|reason| ErasureReason::parse(reason).unwrap()),
        via: RequestedVia::Api,
    }
}

fn erasing(store: &MemoryStore) -> EraseRecipient {
    EraseRecipient::new(
        Arc::new(store.clone()),
        server_secret(),
        Arc::new(FixedClock::default()),
    )
}

async fn finish(store: &MemoryStore) {
    let request = request(None);
    let erasing = erasing(store);
    let erasure = erasing.run(&request, Duration::from_mins(1)).await;
    assert!(erasure.unwrap().finished_at.is_some());
}

/// More messages than one step examines.
fn many() -> Vec<Report> {
    let to = |n| report(&twilio_sid(n)).to(NUMBER).build();
    (0..2_500).map(to).collect()
}

async fn read(log: &LogTailCache, after: LogPosition) -> Vec<String> {
    let read = log.read(Some(after), NonZeroU16::MAX).await.unwrap();
    let LogRead::Page(page) = read else {
        panic!("nothing was pruned")
    };
    let entries = page.entries.iter();
    entries
        .map(|entry| entry.report.report.recipient.reveal().to_owned())
        .collect()
}

#[tokio::test]
async fn erasure_finishes_within_its_time() {
    let store = MemoryStore::new();
    store.record(&many()).await.unwrap();
    let erase = erasing(&store);
    let request = request(Some("ticket 1"));
    let erasure = erase.run(&request, Duration::from_mins(1)).await.unwrap();
    assert!(erasure.finished_at.is_some());
    assert_eq!((erasure.messages, erasure.reports), (2_500, 2_500));
    assert_eq!(erase.resume().await.unwrap(), None);
}

#[tokio::test]
async fn unfinished_erasure_is_resumed_by_any_process() {
    let store = MemoryStore::new();
    store.record(&many()).await.unwrap();
    let begun = erasing(&store)
        .run(&request(None), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((begun.finished_at, begun.messages), (None, 2_000));
    let another = erasing(&store);
    let mut last = begun;
    while let Some(erasure) = another.resume().await.unwrap() {
        assert!(erasure.looked_at > last.looked_at || erasure.finished_at.is_some());
        last = erasure;
    }
    assert!(last.finished_at.is_some());
    assert_eq!(last.messages, 2_500);
    let listed = ListErasures::new(Arc::new(store.clone()));
    let listed = listed.run(None, PageSize::default()).await.unwrap();
    assert_eq!(listed.items, [last]);
}

/// A clock whose second reading takes the store away: that of the first step.
struct StoreFailsAtFirstStep {
    store: MemoryStore,
    readings: AtomicU32,
    clock: FixedClock,
}

impl Environment for StoreFailsAtFirstStep {
    fn now(&self) -> Timestamp {
        let earlier = self.readings.fetch_add(1, Ordering::SeqCst);
        self.store.set_unavailable(earlier > 0);
        self.clock.now()
    }

    fn uuid(&self) -> Uuid {
        self.clock.uuid()
    }

    fn secret_bytes(&self) -> [u8; 32] {
        self.clock.secret_bytes()
    }
}

#[tokio::test]
async fn erasure_that_has_begun_is_returned_when_its_first_step_fails() {
    let store = MemoryStore::new();
    store.record(&many()).await.unwrap();
    let clock = Arc::new(StoreFailsAtFirstStep {
        store: store.clone(),
        readings: AtomicU32::new(0),
        clock: FixedClock::default(),
    });
    let erase = EraseRecipient::new(Arc::new(store.clone()), server_secret(), clock);
    let request = request(Some("ticket 1"));
    let begun = erase.run(&request, Duration::from_mins(1)).await.unwrap();
    assert_eq!((begun.finished_at, begun.looked_at), (None, 0));
    store.set_unavailable(false);
    let listed = ListErasures::new(Arc::new(store.clone()));
    assert_eq!(listed.find(begun.id).await.unwrap(), Some(begun));
    let resumed = erasing(&store).resume().await.unwrap().unwrap();
    assert_eq!(resumed.messages, 2_000);
}

#[tokio::test]
async fn reason_that_names_the_recipient_is_refused() {
    let store = MemoryStore::new();
    let erase = erasing(&store);
    let request = request(Some("+1 (555) 010-7777 asked"));
    let refused = erase.run(&request, Duration::ZERO).await;
    assert!(matches!(refused, Err(EraseError::ReasonNamesRecipient)));
    assert_eq!(erase.resume().await.unwrap(), None);
}

#[tokio::test]
async fn erasure_invalidates_the_log_cache() {
    let store = MemoryStore::new();
    let log = Arc::new(LogTailCache::new(Arc::new(store.clone())));
    assert_eq!(read(&log, LogPosition::START).await, [""; 0]);
    store.record(&many()[..1]).await.unwrap();
    log.notify();
    assert_eq!(read(&log, LogPosition::START).await, [NUMBER]);
    let erase = erasing(&store).invalidating(log.clone());
    erase.run(&request(None), Duration::ZERO).await.unwrap();
    assert_eq!(read(&log, LogPosition::START).await, ["erased"]);
}

#[tokio::test]
async fn erasure_without_matches_keeps_the_log_cache() {
    let store = MemoryStore::new();
    let log = LogTailCache::new(Arc::new(store.clone())).with_max_age(Duration::from_hours(1));
    let log = Arc::new(log);
    assert_eq!(read(&log, LogPosition::START).await, [""; 0]);
    store.record(&many()[..1]).await.unwrap();
    log.notify();
    assert_eq!(read(&log, LogPosition::START).await, [NUMBER]);
    // By another process, which cannot invalidate this cache.
    finish(&store).await;
    let erase = erasing(&store).invalidating(log.clone());
    erase.run(&request(None), Duration::ZERO).await.unwrap();
    assert_eq!(read(&log, LogPosition::START).await, [NUMBER]);
}

#[tokio::test]
async fn cached_reports_of_other_processes_expire() {
    for (max_age, expected) in [
        (Duration::from_hours(1), NUMBER),
        (Duration::ZERO, "erased"),
    ] {
        let store = MemoryStore::new();
        let log = LogTailCache::new(Arc::new(store.clone())).with_max_age(max_age);
        assert_eq!(read(&log, LogPosition::START).await, [""; 0]);
        store.record(&many()[..1]).await.unwrap();
        log.notify();
        assert_eq!(read(&log, LogPosition::START).await, [NUMBER]);
        finish(&store).await;
        assert_eq!(read(&log, LogPosition::START).await, [expected]);
        let head = log.head().await.unwrap();
        assert_eq!(read(&log, head).await, [""; 0]);
    }
}
