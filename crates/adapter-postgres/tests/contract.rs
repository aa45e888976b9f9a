//! The contract of the store ports on a real server.

mod database;

use adapter_postgres::{Options, PostgresStore};
use database::Database;
use testkit::contract::Fresh;

async fn fresh() -> Fresh<PostgresStore> {
    let database = Database::create().await;
    let store = database.store().await;
    let other = database.store_without_tables(&Options::default());
    Fresh::new(store, other, database)
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
