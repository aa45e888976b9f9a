//! What the store makes of a server's moods: away, read-only, waiting, older or newer.

mod database;

use std::time::Duration;

use adapter_postgres::{Options, PostgresStore};
use database::Database;
use domain::Effect;
use ports::{ReportStore as _, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use testkit::builders::{key, report, twilio_sid};
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

fn assert_unavailable<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) {
    assert!(
        matches!(outcome, Err(StoreError::Unavailable(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_in_time() {
    let options = Options {
        acquire_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let nobody = "postgres://receiptd@127.0.0.1:1/receiptd";
    let store = PostgresStore::connect(nobody, &options).unwrap();
    assert_unavailable(&store.ping().await);
    assert_unavailable(&store.record(&[report("SM1").build()]).await);
    assert_unavailable(&store.migrate().await);
}

#[tokio::test]
async fn what_is_no_url_is_refused_without_repeating_its_password() {
    let url = "mysql://receiptd:hunter2@127.0.0.1:port/receiptd";
    let error = PostgresStore::connect(url, &Options::default()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_database_without_tables_is_unavailable_until_it_is_migrated() {
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
async fn a_read_only_database_is_unavailable_for_reports_and_can_still_be_read() {
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
async fn a_message_that_a_stranger_keeps_locked_is_unavailable_in_time() {
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
    assert_unavailable(&store.record(&[report("SM1").build()]).await);
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
async fn many_processes_may_migrate_at_once_and_again() {
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
async fn a_later_releases_step_is_left_alone_and_a_changed_step_is_corrupt() {
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
async fn a_row_that_nobody_here_wrote_is_corrupt_by_table_and_column() {
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
async fn a_batch_of_several_statements_is_whole_or_not_at_all() {
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
