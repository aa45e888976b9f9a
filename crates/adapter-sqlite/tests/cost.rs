//! What a batch costs the engine and the disk. A change that breaks one of these has made the
//! hot path slower, or its answers less reliable.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use adapter_sqlite::SqliteStore;
use domain::Report;
use ports::ReportStore as _;
use testkit::builders::{report, twilio_sid};
use testkit::syncs;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

async fn store(folder: &tempfile::TempDir) -> SqliteStore {
    let path = folder.path().join("receipts.db");
    let store = SqliteStore::connect(path.to_str().unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// New and known messages.
fn batch(number: u64) -> Vec<Report> {
    let one = |n| {
        let status = if n % 2 == 0 { "sent" } else { "delivered" };
        report(&twilio_sid(number * 30 + n)).status(status).build()
    };
    (0..60).map(one).collect()
}

#[test]
fn every_batch_is_synced_exactly_once() {
    syncs::are_one_a_step("every_batch_is_synced_exactly_once", record);
}

async fn record(batches: u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    for number in 0..batches {
        store.record(&batch(number)).await.unwrap();
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn batch_needs_two_round_trips_to_the_engine() {
    let counter = Counter::default();
    tracing::subscriber::set_global_default(counter.clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store.record(&batch(0)).await.unwrap();
    let before = counter.handed_over();
    for number in 1..=10 {
        store.record(&batch(number)).await.unwrap();
    }
    // The store has no other user, and its connections execute nothing by themselves.
    assert_eq!(counter.handed_over() - before, 20);
}

/// Counts what `sqlx` logs: a line for each executed text, whatever it contains.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU64>);

impl Counter {
    fn handed_over(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &Event<'_>) {
        let mut of_a_batch = OfABatch(false);
        event.record(&mut of_a_batch);
        self.0.fetch_add(u64::from(of_a_batch.0), Ordering::SeqCst);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Whether a line is of recording, and not of a connection that reads and is just being set up.
struct OfABatch(bool);

impl Visit for OfABatch {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "summary" {
            self.0 = !format!("{value:?}").to_lowercase().contains("pragma");
        }
    }
}
