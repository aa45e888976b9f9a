//! Whether a batch that was recorded is on the disk: what was written survives a killed server
//! in any case, so no other test would see it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

#[expect(dead_code, reason = "others make theirs on a server they share")]
mod database;

use std::time::{Duration, Instant};

use adapter_postgres::{Options, PostgresStore};
use database::Database;
use ports::ReportStore as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use testkit::builders::{report, twilio_sid};
use testkit::cluster::{self, Cluster};

/// More than a server syncs by itself meanwhile: it does so five times a second, at most.
const BATCHES: i64 = 300;

fn durable(settings: &[&str]) -> Cluster {
    let mut all = vec!["wal_sync_method=fdatasync".to_owned()];
    all.extend(settings.iter().map(|setting| (*setting).to_owned()));
    let options = cluster::Options {
        durable: true,
        settings: all,
    };
    Cluster::start_with(&options).expect("a server can be started")
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .expect(statement);
}

async fn ask(connection: &mut PgConnection, question: &'static str) -> i64 {
    let answer = sqlx::query_scalar(question).fetch_one(connection).await;
    answer.expect(question)
}

/// How often the server has synced its log, when all of the store's connections have ended:
/// they count up at the latest then.
async fn syncs(observer: &mut PgConnection) -> i64 {
    let began = Instant::now();
    let others = "select count(*) from pg_stat_activity where application_name = 'receiptd'";
    while ask(observer, others).await > 0 {
        assert!(began.elapsed() < Duration::from_mins(1), "they do not end");
        tokio::task::yield_now().await;
    }
    let version = "select current_setting('server_version_num')::bigint";
    let counted = if ask(observer, version).await < 180_000 {
        "select wal_sync from pg_stat_wal"
    } else {
        "select sum(fsyncs)::bigint from pg_stat_io where object = 'wal'"
    };
    ask(observer, counted).await
}

async fn record(store: &PostgresStore, batches: std::ops::Range<i64>) {
    for number in batches {
        let batch = [report(&twilio_sid(number.unsigned_abs())).build()];
        store.record(&batch).await.unwrap();
    }
}

/// Records batches one after the other, so that none is synced along with another one.
/// `meanwhile` happens to the server when the store is connected.
async fn assert_every_batch_is_synced(settings: &[&str], meanwhile: &str) {
    let cluster = durable(settings);
    let database = Database::create_on(&cluster.url("postgres")).await;
    database.store().await.close().await;
    let mut observer = PgConnection::connect(&database.url()).await.unwrap();
    let before = syncs(&mut observer).await;
    let store = database.store_without_tables(&Options {
        max_connections: 1,
        ..Options::default()
    });
    record(&store, 0..1).await;
    for statement in meanwhile.split_inclusive(';') {
        execute(&mut observer, statement).await;
    }
    record(&store, 1..BATCHES).await;
    store.close().await;
    let synced = syncs(&mut observer).await - before;
    assert!(synced >= BATCHES, "{synced} syncs of {BATCHES} batches");
    assert!(synced <= 2 * BATCHES, "{synced} syncs of {BATCHES} batches");
}

#[tokio::test]
async fn every_batch_is_synced_and_hardly_anything_else() {
    assert_every_batch_is_synced(&[], "").await;
}

#[tokio::test]
async fn every_batch_is_synced_although_server_disables_it() {
    assert_every_batch_is_synced(&["synchronous_commit=off"], "").await;
}

#[tokio::test]
async fn every_batch_is_synced_although_server_disables_it_later() {
    let meanwhile = "alter system set synchronous_commit = off; select pg_reload_conf();";
    assert_every_batch_is_synced(&[], meanwhile).await;
}

#[tokio::test]
async fn server_without_fsync_is_warned_about() {
    let cluster = durable(&["fsync=off"]);
    let database = Database::create_on(&cluster.url("postgres")).await;
    let store = database.store().await;
    let risk = store.durability_warning().await.unwrap();
    assert!(risk.is_some_and(|risk| risk.starts_with("fsync is off")));
    store.close().await;

    let cluster = durable(&[]);
    let database = Database::create_on(&cluster.url("postgres")).await;
    assert_eq!(
        database.store().await.durability_warning().await.unwrap(),
        None
    );
}
