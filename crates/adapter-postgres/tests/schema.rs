//! Migrations, and databases that cannot be migrated.

mod database;

use adapter_postgres::Options;
use database::Database;
use ports::{ReportStore as _, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;

async fn execute(database: &Database, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connect(database).await)
        .await
        .expect(statement);
}

/// A connection past the store.
async fn connect(database: &Database) -> PgConnection {
    PgConnection::connect(&database.url())
        .await
        .expect("the server answers")
}

#[tokio::test]
async fn processes_may_migrate_concurrently_and_repeatedly() {
    let database = Database::create().await;
    let mut processes = JoinSet::new();
    for _ in 0..6 {
        let store = database.store_without_tables(&Options::default());
        processes.spawn(async move { store.migrate().await });
    }
    for outcome in processes.join_all().await {
        outcome.unwrap();
    }
    database.store().await.ping().await.unwrap();
}

#[tokio::test]
async fn migration_of_later_release_is_ignored_and_changed_migration_is_corrupt() {
    let database = Database::create().await;
    let store = database.store().await;
    execute(
        &database,
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'from a later release', true, 'x', 0)",
    )
    .await;
    store.migrate().await.unwrap();
    execute(
        &database,
        "update _sqlx_migrations set checksum = 'x' where version = 1",
    )
    .await;
    let refused = store.migrate().await;
    assert!(
        matches!(
            refused,
            Err(StoreError::Corrupt {
                column: "checksum",
                ..
            })
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn database_of_pre_release_version_is_refused_with_advice() {
    let database = Database::create().await;
    execute(
        &database,
        "create table report_log (xact_offset bigint);
         create table _sqlx_migrations (
             version bigint primary key, description text not null,
             installed_on timestamptz not null default now(), success boolean not null,
             checksum bytea not null, execution_time bigint not null
         );
         insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (1, 'create receipts', true, 'x', 0), (8, 'share subscriptions', true, 'x', 0)",
    )
    .await;
    let store = database.store_without_tables(&Options::default());
    let name = database
        .url()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    for refused in [
        store.migrate().await,
        store.has_current_schema().await.map(drop),
    ] {
        let Err(StoreError::Unsupported(why)) = refused else {
            panic!("{refused:?}");
        };
        let why = why.to_string();
        assert!(why.contains("pre-release version of receiptd"), "{why}");
        assert!(
            why.contains(name.split('?').next().unwrap_or_default()),
            "{why}"
        );
    }
}
