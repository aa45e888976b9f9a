//! Operations while another session holds a lock.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod database;

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use adapter_postgres::Options;
use database::Database;
use domain::Timestamp;
use ports::{EventLog as _, Maintenance as _, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// A session that holds a lock until it is dropped.
async fn holding(database: &Database, lock: &str) -> PgConnection {
    let mut holder = PgConnection::connect(&database.url()).await.unwrap();
    holder.execute("begin").await.unwrap();
    let lock = AssertSqlSafe(format!("lock table {lock}"));
    holder.execute(lock).await.unwrap();
    holder
}

#[tokio::test]
async fn migration_gives_up_waiting_for_a_lock() {
    let database = Database::create().await;
    let store = database.store().await;
    for table in ["_sqlx_migrations", "report_log"] {
        let holder = holding(&database, &format!("{table} in access exclusive mode")).await;
        let began = Instant::now();
        let migrated = store.migrate_within(Duration::from_millis(200)).await;
        assert!(
            matches!(migrated, Err(StoreError::Unavailable(_))),
            "{table}: {migrated:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(4), "{table}");
        drop(holder);
    }
    store.migrate().await.unwrap();
}

#[tokio::test]
async fn migration_does_not_wait_for_lost_process() {
    let database = Database::create().await;
    let store = database.store().await;
    // The migration lock, held by a session whose process was lost.
    let mut lost = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::migrate::Migrate::lock(&mut lost).await.unwrap();
    let migrated = store.migrate_within(Duration::from_millis(200)).await;
    assert!(
        matches!(migrated, Err(StoreError::Unavailable(_))),
        "{migrated:?}"
    );
    drop(lost);
    store.migrate().await.unwrap();
}

#[tokio::test]
async fn blocked_partition_blocks_neither_migration_nor_readers() {
    let database = Database::create().await;
    let store = database.store().await;
    let last = "select max(relname) from pg_class where relname ~ '^reports_[0-9]{8}$'";
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    let last: String = sqlx::query_scalar(last)
        .fetch_one(&mut other)
        .await
        .unwrap();
    let drop_last = AssertSqlSafe(format!("drop table {last}"));
    other.execute(drop_last).await.unwrap();

    // A dump is in progress.
    let dump = holding(&database, "reports_default in access share mode").await;
    let began = Instant::now();
    let second = database.store_without_tables(&Options::default());
    let (migrated, slowest) = tokio::join!(second.migrate(), async {
        let mut slowest = Duration::ZERO;
        while began.elapsed() < Duration::from_secs(2) {
            let read = Instant::now();
            store.read(None, NonZeroU16::MIN).await.unwrap();
            slowest = slowest.max(read.elapsed());
        }
        slowest
    });
    migrated.unwrap();
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    drop(dump);
    let made = store.make_partitions(noon_of(&last)).await;
    assert_eq!(
        made.unwrap(),
        8,
        "the day that was missing and the next ones"
    );
}

/// Noon of the day in the name of a partition.
fn noon_of(partition: &str) -> Timestamp {
    let day = partition.trim_start_matches("reports_");
    let (year, month, day) = (&day[..4], &day[4..6], &day[6..]);
    Timestamp::parse(&format!("{year}-{month}-{day}T12:00:00Z")).unwrap()
}
