//! The log on a server: transactions that end in another order than they began, days with
//! and without a partition, and data that comes from another server.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod database;

use std::time::Duration;

use adapter_postgres::{Options, PostgresStore};
use database::Database;
use domain::{Effect, LogPosition};
use ports::{EventLog as _, ReportStore as _, Statistics as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use testkit::builders::{key, report, twilio_sid};
use testkit::contract::in_time;
use testkit::contract::log::{Reader, page};
use tokio::task::{JoinHandle, JoinSet};

/// A connection past the store.
async fn connect(database: &Database) -> PgConnection {
    PgConnection::connect(&database.url())
        .await
        .expect("the server answers")
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .expect(statement);
}

async fn number(connection: &mut PgConnection, query: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .fetch_one(connection)
        .await
        .expect(query)
}

/// Records one report of a message in a task.
fn record(store: &PostgresStore, sid: &str, status: &str) -> JoinHandle<Vec<Effect>> {
    let (store, batch) = (store.clone(), [report(sid).status(status).build()]);
    #[expect(clippy::disallowed_methods, reason = "it ends within the test")]
    tokio::spawn(async move { store.record(&batch).await.expect("it is taken") })
}

/// Waits until this many statements of the store wait for a lock.
async fn until_waiting(observer: &mut PgConnection, count: i64) {
    let waiting = "select count(*) from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock'";
    while number(observer, waiting).await != count {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The ids of the reports of `SM1`, by revision.
async fn ids_of_one(store: &PostgresStore) -> Vec<i64> {
    let found = store.message(&key("SM1")).await.unwrap().unwrap();
    found.reports.iter().map(|logged| logged.id).collect()
}

#[tokio::test]
async fn nothing_appears_before_position_of_reader() {
    in_time(async {
        let database = Database::create().await;
        let store = database.store().await;
        store
            .record(&[report("SM1").status("sent").build()])
            .await
            .unwrap();
        let mut reader = Reader::default();
        reader.until(&store, 1, 10).await;

        let mut stranger = connect(&database).await;
        execute(
            &mut stranger,
            "begin; select from messages for update; select pg_current_xact_id()",
        )
        .await;
        let mut observer = connect(&database).await;
        let early = record(&store, "SM1", "read");
        until_waiting(&mut observer, 1).await;
        store.record(&[report("SM2").build()]).await.unwrap();
        // The report of SM2 is committed while a transaction with a lower id is running.
        let late = store.message(&key("SM2")).await.unwrap().unwrap();
        let late = LogPosition(late.reports[0].id);
        assert!(store.head().await.unwrap() < late);
        assert!(store.log_end().await.unwrap() >= late);
        assert!(reader.step(&store, 10).await);
        assert_eq!(reader.entries.len(), 1);

        execute(&mut stranger, "commit").await;
        early.await.unwrap();
        reader.until(&store, 3, 10).await;
        let sids = reader.entries.iter().map(|entry| &entry.report.report.key);
        let wanted = [key("SM1"), key("SM1"), key("SM2")];
        assert!(sids.eq(&wanted), "{:#?}", reader.entries);
    })
    .await;
}

/// Has two transactions write one message, the one that began later first: the ids of its
/// reports do not grow with its revisions.
async fn inversion(database: &Database, store: &PostgresStore) {
    let mut stranger = connect(database).await;
    let mut observer = connect(database).await;
    store
        .record(&[
            report("SM0").status("sent").build(),
            report("SM1").status("sent").build(),
        ])
        .await
        .unwrap();
    // The earlier transaction waits for another message of its batch before that one.
    execute(
        &mut stranger,
        "begin; select from messages where sid = '\\x00534d30' for update",
    )
    .await;
    let early = {
        let (store, batch) = (
            store.clone(),
            [
                report("SM0").status("read").build(),
                report("SM1").status("read").build(),
                report("SM1").status("delivered").build(),
            ],
        );
        #[expect(clippy::disallowed_methods, reason = "it ends within the test")]
        tokio::spawn(async move { store.record(&batch).await.expect("it is taken") })
    };
    until_waiting(&mut observer, 1).await;
    record(store, "SM1", "queued").await.unwrap();
    execute(&mut stranger, "commit").await;
    assert_eq!(
        early.await.unwrap(),
        [Effect::Advanced, Effect::Advanced, Effect::Late]
    );
}

#[tokio::test]
async fn revisions_are_read_in_order_although_ids_are_not() {
    in_time(async {
        let database = Database::create().await;
        let store = database.store().await;
        inversion(&database, &store).await;
        let ids = ids_of_one(&store).await;
        assert!(ids[2] < ids[1] && ids[3] < ids[1], "{ids:?}");

        for limit in [1, 2, 3, 100] {
            let reader = Reader::read(&store, 6, limit).await;
            let positions: Vec<_> = reader
                .entries
                .iter()
                .filter(|entry| entry.report.report.key == key("SM1"))
                .map(|entry| entry.position.0)
                .collect();
            assert_eq!(positions, [ids[0], ids[1], ids[1], ids[1]], "limit {limit}");
        }
        // From between the two on, the later revisions still come.
        let between = page(&store, Some(LogPosition(ids[3])), 10).await;
        let revisions = between.entries.iter().map(|entry| entry.report.revision);
        assert_eq!(revisions.collect::<Vec<_>>(), [2, 3, 4]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reader_misses_nothing_of_delayed_writers() {
    const WORDS: [&str; 6] = ["queued", "sent", "delivered", "read", "failed", "accepted"];
    in_time(async {
        let database = Database::create().await;
        let store = database.store().await;
        let begun: Vec<_> = (0..12)
            .map(|n| report(&twilio_sid(n)).status("scheduled").build())
            .collect();
        store.record(&begun).await.unwrap();
        let mut writers = JoinSet::new();
        for writer in 0..16_usize {
            let store = database.store_without_tables(&Options::default());
            writers.spawn(async move {
                let mut logged = 0;
                for round in 0..10 {
                    let batch: Vec<_> = (0..4_usize)
                        .map(|n| {
                            let sid = u64::try_from((n * 5 + writer + round) % 12).unwrap();
                            let word = WORDS[(writer * 3 + round + n) % WORDS.len()];
                            report(&twilio_sid(sid)).status(word).build()
                        })
                        .collect();
                    let effects = store.record(&batch).await.unwrap();
                    let new = effects.iter().filter(|it| **it != Effect::Duplicate);
                    logged += new.count();
                }
                store.close().await;
                logged
            });
        }
        // Holds now this message, now that one, so that transactions pass each other.
        let mut stranger = connect(&database).await;
        let mut reader = Reader::default();
        let (mut count, mut round) = (begun.len(), 0);
        while !writers.is_empty() {
            execute(
                &mut stranger,
                &format!(
                    "begin; select from messages order by sid offset {} limit 1 for update",
                    round % 12
                ),
            )
            .await;
            reader.step(&store, 3).await;
            execute(&mut stranger, "commit").await;
            reader.step(&store, 3).await;
            round += 1;
            while let Some(writer) = writers.try_join_next() {
                count += writer.unwrap();
            }
        }
        reader.until(&store, count, 3).await;
        let again = Reader::read(&store, count, 1_000).await;
        assert_eq!(reader.entries, again.entries);
    })
    .await;
}

#[tokio::test]
async fn ids_continue_above_those_of_another_server() {
    in_time(async {
        let database = Database::create().await;
        let store = database.store().await;
        store.record(&[report("SM1").build()]).await.unwrap();
        store.close().await;
        // As if the server they were made on had seen a billion transactions more.
        let mut connection = connect(&database).await;
        let far = 1_000_000_000_i64 << 16;
        execute(
            &mut connection,
            &format!(
                "update reports set id = id + {far};
                 update messages set report_ids = array[report_ids[1] + {far}]"
            ),
        )
        .await;
        let store = database.store_without_tables(&Options::default());
        let other = database.store_without_tables(&Options::default());
        let mut racers = JoinSet::new();
        for (store, sid) in [(&store, "SM2"), (&other, "SM3"), (&store, "SM1")] {
            let (store, batch) = (store.clone(), [report(sid).status("read").build()]);
            racers.spawn(async move { store.record(&batch).await.unwrap() });
        }
        racers.join_all().await;
        let mut reader = Reader::default();
        reader.until(&store, 4, 10).await;
        assert_eq!(reader.entries[0].report.report.status.as_str(), "delivered");
        assert!(reader.entries[0].position.0 > far);
        let offset = "select xact_offset from report_log";
        let raised = number(&mut connection, offset).await;
        other.migrate().await.unwrap();
        assert_eq!(number(&mut connection, offset).await, raised);
    })
    .await;
}

#[tokio::test]
async fn day_without_partition_accepts_reports_and_gets_one() {
    let database = Database::create().await;
    let store = database.store().await;
    let mut connection = connect(&database).await;
    let day = 24 * 60 * 60 * 1_000_000;
    let times = [0, 1, day - 1, day, -1];
    for at in times {
        let report = report(&format!("SM{at}")).at(at).build();
        store.record(&[report]).await.unwrap();
    }
    let before = Reader::read(&store, times.len(), 10).await.entries;

    let make = "select reports_make_partition('1970-01-01')::integer::bigint";
    assert_eq!(number(&mut connection, make).await, 1);
    assert_eq!(
        number(&mut connection, make).await,
        0,
        "it is there already"
    );
    for (table, count) in [("reports_19700101", 3), ("reports_default", 2)] {
        let rows = format!("select count(*) from {table}");
        assert_eq!(number(&mut connection, &rows).await, count, "{table}");
    }
    assert_eq!(
        Reader::read(&store, times.len(), 10).await.entries,
        before,
        "nothing has changed"
    );
    for at in times {
        let found = store.message(&key(&format!("SM{at}"))).await.unwrap();
        assert_eq!(found.unwrap().reports.len(), 1);
    }
}

#[tokio::test]
async fn next_days_have_partitions_after_start() {
    let database = Database::create().await;
    database.store().await;
    let mut connection = connect(&database).await;
    let days = "select count(*) from pg_inherits where inhparent = 'reports'::regclass";
    assert_eq!(
        number(&mut connection, days).await,
        9,
        "eight and the default"
    );
    let here = "select count(*) from generate_series(0, 7) as n where to_regclass(
         'reports_' || to_char((now() at time zone 'UTC')::date + n, 'YYYYMMDD')) is not null";
    assert_eq!(number(&mut connection, here).await, 8);
}
