//! The contract on the store in memory: the others' fakes keep what they fake.

use testkit::contract::Fresh;
use testkit::memory::MemoryStore;

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
testkit::contract_tests!(subscriptions, fresh);
