//! The contract on the store in memory: the others' fakes keep what they fake.

use std::sync::Arc;

use ports::Journal;
use testkit::contract::Fresh;
use testkit::contract::journal::JournalPlace;
use testkit::memory::{MemoryJournal, MemoryStore};

#[expect(clippy::unused_async, reason = "other stores take time to make")]
async fn fresh() -> Fresh<MemoryStore> {
    let store = MemoryStore::new();
    Fresh::new(store.clone(), store, ())
}

testkit::contract_tests!(reports, fresh);
testkit::contract_tests!(channels, fresh);
testkit::contract_tests!(rejections, fresh);
testkit::contract_tests!(log, fresh);
testkit::contract_tests!(cursors, fresh);
testkit::contract_tests!(retention, fresh);
testkit::contract_tests!(erasures, fresh);
testkit::contract_tests!(troubles, fresh);
testkit::contract_tests!(access, fresh);
testkit::contract_tests!(saved_views, fresh);
testkit::contract_tests!(reconciliations, fresh);
testkit::contract_tests!(forwarding, fresh);
testkit::contract_tests!(subscriptions, fresh);
testkit::contract_tests!(statistics, fresh);

/// A journal in memory outlives what has opened it.
#[derive(Clone, Default)]
struct Memory(MemoryJournal);

impl JournalPlace for Memory {
    fn open(&self, capacity: u64) -> Arc<dyn Journal> {
        Arc::new(self.0.with_capacity(capacity))
    }
}

#[expect(clippy::unused_async, reason = "other journals take time to make")]
async fn fresh_journal() -> Fresh<Memory> {
    let memory = Memory::default();
    Fresh::new(memory.clone(), memory, ())
}

testkit::contract_tests!(journal, fresh_journal);
