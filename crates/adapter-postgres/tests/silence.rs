//! A server that does not answer on connections it has, and does on new ones.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod database;

use std::num::{NonZeroU16, NonZeroU32};
use std::process::Command;
use std::time::{Duration, Instant};

use adapter_postgres::{Options, PostgresStore};
use database::Database;
use domain::{LogPosition, Timestamp};
use ports::{
    ChannelStore as _, DeliveryQueue as _, EventLog as _, Maintenance as _, ReportStore,
    StoreError, SubscriptionStore,
};
use sqlx::{Connection as _, PgConnection};
use testkit::builders::{key, report};
use tokio::task::JoinSet;

const CONNECTIONS: u32 = 4;

/// How long an operation may take, with all its parts.
const STORE_TIMEOUT: Duration = Duration::from_millis(700);

fn options() -> Options {
    Options {
        max_connections: CONNECTIONS,
        acquire_timeout: Duration::from_millis(300),
        statement_timeout: Duration::from_millis(400),
        ..Options::default()
    }
}

/// The processes of a server that serve a store. They do nothing until this is dropped.
struct Silent(Vec<i32>);

impl Silent {
    async fn all(database: &Database) -> Self {
        let mut observer = PgConnection::connect(&database.url()).await.unwrap();
        let processes = sqlx::query_scalar(
            "select pid from pg_stat_activity
             where datname = current_database() and application_name = 'receiptd'",
        );
        let silent = Self(processes.fetch_all(&mut observer).await.unwrap());
        silent.signal("-STOP");
        silent
    }

    fn signal(&self, signal: &str) {
        for process in &self.0 {
            // One that has ended meanwhile needs none.
            let _ = Command::new("kill")
                .args([signal, &process.to_string()])
                .status();
        }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

/// A store all of whose connections have been used.
async fn store(database: &Database) -> PostgresStore {
    database.store().await.close().await;
    let store = database.store_without_tables(&options());
    let mut users = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let store = store.clone();
        users.spawn(async move { store.ping().await });
    }
    for used in users.join_all().await {
        used.unwrap();
    }
    store
}

async fn is_unavailable<T>(what: &str, work: impl Future<Output = Result<T, StoreError>>) {
    let began = Instant::now();
    let outcome = work.await;
    let took = began.elapsed();
    assert!(
        matches!(outcome, Err(StoreError::Unavailable(_))),
        "{what} went well"
    );
    assert!(took < STORE_TIMEOUT * 2, "{what} took {took:?}");
}

#[tokio::test]
async fn nothing_waits_for_silent_connection() {
    let database = Database::create().await;
    for round in 0..3 {
        let store = store(&database).await;
        let silent = Silent::all(&database).await;
        assert_eq!(silent.0.len(), 4);
        // As many at a time as there are connections; each must have had one.
        match round {
            0 => {
                let (one, other) = ([report("SM1").build()], key("SM1"));
                tokio::join!(
                    is_unavailable("recording", ReportStore::record(&store, &one)),
                    is_unavailable("showing", store.message(&other)),
                    is_unavailable("reading the log", store.read(None, NonZeroU16::MIN)),
                    is_unavailable("the log's end", store.head()),
                );
            }
            1 => {
                tokio::join!(
                    is_unavailable("leasing", store.claim("worker", Duration::from_secs(1))),
                    is_unavailable("subscriptions", SubscriptionStore::list(&store)),
                    is_unavailable("channels", store.all()),
                    is_unavailable("erasing", store.unfinished_erasure()),
                );
            }
            _ => {
                let now = Timestamp::EPOCH;
                tokio::join!(
                    is_unavailable("cursors", store.cursors()),
                    is_unavailable(
                        "a cursor",
                        store.advance_cursor("one", None, LogPosition::START)
                    ),
                    is_unavailable("partitions", store.make_partitions(now)),
                    is_unavailable("pruning", store.prune_reports(now, NonZeroU32::MIN)),
                );
            }
        }
    }
}

#[tokio::test]
async fn permanently_silent_connections_are_replaced() {
    let database = Database::create().await;
    let store = store(&database).await;
    let silent = Silent::all(&database).await;
    let began = Instant::now();
    while store.ping().await.is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it never comes back"
        );
    }
    // All of them, and while the old ones are as they were.
    let mut users = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let store = store.clone();
        users.spawn(async move { store.ping().await });
    }
    for used in users.join_all().await {
        used.unwrap();
    }
    drop(silent);
    store.close().await;
}

#[tokio::test]
async fn timed_out_operation_returns_its_connection() {
    let database = Database::create().await;
    let store = store(&database).await;
    let silent = Silent::all(&database).await;
    // A caller that gives up sooner than the store.
    for _ in 0..CONNECTIONS {
        let some = Duration::from_millis(50);
        assert!(tokio::time::timeout(some, store.head()).await.is_err());
    }
    let began = Instant::now();
    while store.ping().await.is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it never comes back"
        );
    }
    drop(silent);
    store.close().await;
}

#[tokio::test]
async fn store_closes_in_time_while_connections_are_silent() {
    let database = Database::create().await;
    let store = store(&database).await;
    let silent = Silent::all(&database).await;
    let busy = store.clone();
    let (asked, ()) = tokio::join!(busy.head(), async {
        // By then the question is on its way.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        store.close().await;
        assert!(began.elapsed() < Duration::from_secs(4));
    });
    assert!(asked.is_err());
    drop(silent);
}
