//! What removes messages does not stand in the way of what records.

mod database;

use std::num::NonZeroU32;

use database::Database;
use ports::maintenance::RetentionKind;
use ports::{Maintenance as _, ReportStore as _};
use sqlx::{Connection as _, Executor as _, PgConnection};
use testkit::builders::{keep_days, key, report, time};

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

#[tokio::test]
async fn message_with_report_in_progress_is_skipped() {
    let database = Database::create().await;
    let store = database.store().await;
    let sids = ["SM1", "SM2", "SM3"];
    let sent = sids.map(|sid| report(sid).status("sent").at(0).build());
    store.record(&sent).await.unwrap();
    let mut other_session = PgConnection::connect(&database.url()).await.unwrap();
    other_session
        .execute("update report_log set pruned_through = 9223372036854775807")
        .await
        .unwrap();
    let mut reporting = other_session.begin().await.unwrap();
    let updated = sqlx::query("update messages set last_reported_at = now() where sid = $1")
        .bind(key("SM2").sid.to_compact())
        .execute(&mut *reporting)
        .await
        .unwrap();
    assert_eq!(updated.rows_affected(), 1);

    // It does not wait for the lock, or it would fail by the lock timeout.
    let budget = NonZeroU32::new(10).unwrap();
    let step = store.prune_messages(time(10 * DAY), keep_days(1), budget);
    assert_eq!(step.await.unwrap().rows, 2);
    reporting.commit().await.unwrap();
    for sid in sids {
        let found = store.message(&key(sid)).await.unwrap();
        assert_eq!(found.is_some(), sid == "SM2", "{sid}");
    }
}

#[tokio::test]
async fn scan_of_another_process_is_skipped() {
    let database = Database::create().await;
    let store = database.store().await;
    let budget = NonZeroU32::new(1).unwrap();
    let step = async || {
        let step = store.prune_messages(time(10 * DAY), keep_days(1), budget);
        step.await.unwrap()
    };
    store.record(&[report("SM1").at(0).build()]).await.unwrap();
    assert!(!step().await.done, "one message was examined");
    let mut other_session = PgConnection::connect(&database.url()).await.unwrap();
    let mut scanning = other_session.begin().await.unwrap();
    scanning
        .execute("select from message_scans for update")
        .await
        .unwrap();
    assert!(step().await.done);
    scanning.rollback().await.unwrap();
    assert!(!step().await.done, "there was nothing more to examine");
    assert!(step().await.done);
}

#[tokio::test]
async fn retention_uses_clock_of_server() {
    let database = Database::create().await;
    let store = database.store().await;
    let clock = store
        .retention_clock(RetentionKind::Reports, time(0))
        .await
        .unwrap();
    let mut other_session = PgConnection::connect(&database.url()).await.unwrap();
    let now: i64 = sqlx::query_scalar("select extract(epoch from now())::bigint")
        .fetch_one(&mut other_session)
        .await
        .unwrap();
    assert!((clock.now.unix_seconds() - now).abs() < 60, "{clock:?}");
}
