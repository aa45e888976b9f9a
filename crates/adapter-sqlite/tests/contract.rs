//! The contract of the store ports on real files.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use adapter_sqlite::SqliteStore;
use testkit::contract::Fresh;

async fn fresh() -> Fresh<SqliteStore> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/receipts.db");
    let url = format!("sqlite:{}", path.display());
    let store = SqliteStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    let other = SqliteStore::connect(&url).await.unwrap();
    Fresh::new(store, other, folder)
}

testkit::contract_tests!(reports, fresh);
testkit::contract_tests!(channels, fresh);
testkit::contract_tests!(rejections, fresh);
testkit::contract_tests!(log, fresh);
testkit::contract_tests!(cursors, fresh);
testkit::contract_tests!(subscriptions, fresh);
testkit::contract_tests!(retention, fresh);
testkit::contract_tests!(erasures, fresh);
testkit::contract_tests!(statistics, fresh);
testkit::contract_tests!(troubles, fresh);
testkit::contract_tests!(access, fresh);
testkit::contract_tests!(saved_views, fresh);
testkit::contract_tests!(reconciliations, fresh);
testkit::contract_tests!(forwarding, fresh);
