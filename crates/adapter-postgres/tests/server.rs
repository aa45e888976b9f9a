//! Servers that are unreachable, read-only or locked, and the errors they return.

mod database;

use std::time::Duration;

use adapter_postgres::{Options, PostgresStore};
use database::Database;
use domain::Effect;
use ports::error::error_chain;
use ports::{ReportStore as _, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use testkit::builders::{key, report, twilio_sid};

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

fn assert_unavailable<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) {
    assert!(
        matches!(outcome, Err(StoreError::Unavailable(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn unreachable_server_is_unavailable_in_time() {
    let options = Options {
        acquire_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let unreachable = "postgres://receiptd@127.0.0.1:1/receiptd";
    let store = PostgresStore::connect(unreachable, &options).unwrap();
    assert_unavailable(&store.ping().await);
    assert_unavailable(&store.record(&[report("SM1").build()]).await);
    assert_unavailable(&store.migrate().await);
}

#[tokio::test]
async fn refused_connection_is_reported_as_refused() {
    let options = Options {
        acquire_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let closed = "postgres://receiptd@127.0.0.1:1/receiptd";
    let store = PostgresStore::connect(closed, &options).unwrap();
    let errors = [
        store.ping().await.unwrap_err(),
        store.record(&[report("SM1").build()]).await.unwrap_err(),
        store.migrate().await.unwrap_err(),
        store.has_current_schema().await.unwrap_err(),
    ];
    for error in errors {
        let text = error_chain(&error);
        assert!(text.contains("Connection refused"), "{text}");
        assert_eq!(text.matches("refused").count(), 1, "{text}");
    }
}

#[tokio::test]
async fn errors_of_server_are_reported_once_without_source_line() {
    let database = Database::create().await;
    let store = database.store_without_tables(&Options::default());
    let error = store.record(&[report("SM1").build()]).await.unwrap_err();
    assert_eq!(
        error_chain(&error),
        "the store is unavailable: relation \"report_log\" does not exist (SQLSTATE 42P01)"
    );
}

#[tokio::test]
async fn database_that_is_not_utf8_is_unsupported() {
    let database = Database::create().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let url = database.url();
        let (url, _) = url.split_once('?').unwrap_or((&url, ""));
        let url = format!("{url}_{}", encoding.to_lowercase());
        let (_, name) = url.rsplit_once('/').unwrap();
        execute(
            &database,
            &format!("create database {name} encoding '{encoding}' locale 'C' template template0"),
        )
        .await;
        let store = PostgresStore::connect(&url, &Options::default()).unwrap();
        let error = store.migrate().await.unwrap_err();
        assert!(matches!(error, StoreError::Unsupported(_)), "{error:?}");
        let text = error_chain(&error);
        assert!(text.contains(encoding) && text.contains("UTF8"), "{text}");
        let looked_at = store.has_current_schema().await;
        assert!(
            matches!(looked_at, Err(StoreError::Unsupported(_))),
            "{looked_at:?}"
        );
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("create table messages ()")
            .execute(&mut connection)
            .await
            .unwrap();
        let ping = store.ping().await;
        assert!(matches!(ping, Err(StoreError::Unsupported(_))), "{ping:?}");
        execute(&database, &format!("drop database {name} with (force)")).await;
    }
}

/// What each class of the server's errors means for a report that raised it.
const CLASSES: [(&str, Meaning); 55] = {
    use Meaning::{Locked, Refused, Unavailable};
    [
        ("01000", Unavailable),
        ("02000", Unavailable),
        ("03000", Unavailable),
        ("08006", Unavailable),
        ("09000", Unavailable),
        ("0A000", Unavailable),
        ("0B000", Unavailable),
        ("0F000", Unavailable),
        ("0L000", Unavailable),
        ("0P000", Unavailable),
        ("0Z000", Unavailable),
        ("20000", Unavailable),
        ("21000", Unavailable),
        ("22021", Refused),
        ("22P02", Refused),
        ("22001", Unavailable),
        ("22P05", Unavailable),
        ("23502", Unavailable),
        ("23503", Unavailable),
        ("23505", Unavailable),
        ("23514", Unavailable),
        ("23P01", Unavailable),
        ("24000", Unavailable),
        ("25006", Unavailable),
        ("26000", Unavailable),
        ("27000", Unavailable),
        ("28000", Unavailable),
        ("2B000", Unavailable),
        ("2D000", Unavailable),
        ("2F000", Unavailable),
        ("34000", Unavailable),
        ("38000", Unavailable),
        ("39000", Unavailable),
        ("3B000", Unavailable),
        ("3D000", Unavailable),
        ("3F000", Unavailable),
        ("40001", Unavailable),
        ("40P01", Unavailable),
        ("42P01", Unavailable),
        ("44000", Unavailable),
        ("53100", Unavailable),
        ("53300", Unavailable),
        ("54000", Refused),
        ("54001", Refused),
        ("55000", Unavailable),
        ("55P03", Locked),
        ("57014", Unavailable),
        ("57P01", Unavailable),
        ("57P03", Unavailable),
        ("58030", Unavailable),
        ("72000", Unavailable),
        ("F0000", Unavailable),
        ("HV000", Unavailable),
        ("P0001", Unavailable),
        ("XX001", Unavailable),
    ]
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Refused,
    Locked,
    Unavailable,
}

#[tokio::test]
async fn every_error_class_is_fault_of_report_or_of_server() {
    let database = Database::create().await;
    let store = database.store().await;
    execute(
        &database,
        "create table raised (code text not null);
         insert into raised values ('');
         create function raise_error() returns trigger language plpgsql as
             'begin raise using errcode = (select code from raised), message = ''a test''; end';
         create trigger raise_error before insert on messages
             for each statement execute function raise_error()",
    )
    .await;
    let mut raising = connect(&database).await;
    for (code, meaning) in CLASSES {
        sqlx::query("update raised set code = $1")
            .bind(code)
            .execute(&mut raising)
            .await
            .unwrap();
        let error = store.record(&[report("SM1").build()]).await.unwrap_err();
        let found = match &error {
            StoreError::Rejected { .. } => Meaning::Refused,
            StoreError::Locked(_) => Meaning::Locked,
            _ => Meaning::Unavailable,
        };
        assert_eq!(found, meaning, "{code}: {error:?}");
    }
}

#[tokio::test]
async fn report_without_partition_is_recorded() {
    let database = Database::create().await;
    let store = database.store().await;
    execute(&database, "drop table reports_default").await;
    let of_old_days = report("SM1").at(1_000_000).build();
    assert_unavailable(&store.record(&[of_old_days]).await);
}

#[tokio::test]
async fn invalid_url_is_refused_without_repeating_its_password() {
    let url = "mysql://receiptd:hunter2@127.0.0.1:port/receiptd";
    let error = PostgresStore::connect(url, &Options::default()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn database_without_tables_is_unavailable_until_migrated() {
    let database = Database::create().await;
    let store = database.store_without_tables(&Options::default());
    let reports = [report("SM1").build()];
    assert_unavailable(&store.ping().await);
    assert_unavailable(&store.record(&reports).await);
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.record(&reports).await.unwrap(), [Effect::Advanced]);
}

#[tokio::test]
async fn read_only_database_is_unavailable_for_reports_and_readable() {
    let database = Database::create().await;
    let reports = [report("SM1").build()];
    database.store().await.record(&reports).await.unwrap();
    execute(
        &database,
        "do $$ begin
             execute format(
                 'alter database %I set default_transaction_read_only = on', current_database()
             );
         end $$",
    )
    .await;
    let store = database.store_without_tables(&Options::default());
    assert_unavailable(&store.ping().await);
    assert_unavailable(&store.record(&reports).await);
    assert!(store.message(&key("SM1")).await.unwrap().is_some());
}

#[tokio::test]
async fn message_locked_by_another_session_is_unavailable_in_time() {
    let database = Database::create().await;
    database
        .store()
        .await
        .record(&[report("SM1").build()])
        .await
        .unwrap();
    let mut stranger = connect(&database).await;
    sqlx::raw_sql("begin; select from messages for update")
        .execute(&mut stranger)
        .await
        .unwrap();
    let store = database.store_without_tables(&Options {
        lock_timeout: Duration::from_millis(50),
        ..Options::default()
    });
    let locked = store.record(&[report("SM1").build()]).await;
    assert!(matches!(locked, Err(StoreError::Locked(_))), "{locked:?}");
    assert_eq!(
        store.record(&[report("SM2").build()]).await.unwrap(),
        [Effect::Advanced]
    );
    sqlx::raw_sql("commit")
        .execute(&mut stranger)
        .await
        .unwrap();
    assert_eq!(
        store.record(&[report("SM1").build()]).await.unwrap(),
        [Effect::Duplicate]
    );
}

#[tokio::test]
async fn locked_row_delays_no_report_of_another_message() {
    let database = Database::create().await;
    let store = database.store().await;
    let batch: Vec<_> = (0..200)
        .map(|number| report(&twilio_sid(number)).build())
        .collect();
    store.record(&batch[..100]).await.unwrap();
    let mut other_session = connect(&database).await;
    sqlx::raw_sql("begin; select from messages where report_ids[1] & 1023 in (7, 9) for update")
        .execute(&mut other_session)
        .await
        .unwrap();
    let failed = store.record(&batch).await;
    assert!(matches!(failed, Err(StoreError::Locked(_))), "{failed:?}");
    let locked = store.locked(&batch).await.unwrap();
    assert_eq!(locked.len(), 200);
    assert_eq!(locked.iter().filter(|locked| **locked).count(), 2);
    let unlocked = batch.iter().zip(&locked).filter(|(_, locked)| !**locked);
    let unlocked: Vec<_> = unlocked.map(|(report, _)| report.clone()).collect();
    let effects = store.record(&unlocked).await.unwrap();
    assert_eq!(effects[98..], [Effect::Advanced; 100]);
}

#[tokio::test]
async fn row_that_was_not_written_by_receiptd_is_corrupt_by_table_and_column() {
    let database = Database::create().await;
    let store = database.store().await;
    store.record(&[report("SM1").build()]).await.unwrap();
    execute(&database, "update messages set recipient = ''").await;
    let read = store.message(&key("SM1")).await;
    let Err(StoreError::Corrupt { table, column, .. }) = read else {
        panic!("{read:?}");
    };
    assert_eq!((table, column), ("messages", "recipient"));
}

#[tokio::test]
async fn batch_of_several_statements_is_atomic() {
    let database = Database::create().await;
    let store = database.store().await;
    let sid = |n: u64| twilio_sid(n % 1_500);
    let mut batch: Vec<_> = (0..2_500)
        .map(|n| {
            report(&sid(n))
                .status(if n < 1_500 { "sent" } else { "read" })
                .build()
        })
        .collect();
    batch.push(report("SM1").token("a NUL is no text: \0").build());
    let refused = store.record(&batch).await;
    assert!(
        matches!(refused, Err(StoreError::Rejected { .. })),
        "{refused:?}"
    );
    assert_eq!(store.message(&key(&sid(0))).await.unwrap(), None);

    batch.pop();
    let effects = store.record(&batch).await.unwrap();
    assert_eq!(effects, vec![Effect::Advanced; 2_500]);
    let message = store.message(&key(&sid(0))).await.unwrap().unwrap();
    let revisions: Vec<_> = message
        .reports
        .iter()
        .map(|logged| logged.revision)
        .collect();
    assert_eq!(revisions, [1, 2]);
}
