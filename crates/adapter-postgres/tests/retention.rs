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
async fn a_message_that_is_being_reported_on_is_passed_over() {
    let database = Database::create().await;
    let store = database.store().await;
    let sids = ["SM1", "SM2", "SM3"];
    let sent = sids.map(|sid| report(sid).status("sent").at(0).build());
    store.record(&sent).await.unwrap();
    let mut somebody = PgConnection::connect(&database.url()).await.unwrap();
    somebody
        .execute("update report_log set pruned_through = 9223372036854775807")
        .await
        .unwrap();
    let mut reporting = somebody.begin().await.unwrap();
    let updated = sqlx::query("update messages set last_reported_at = now() where sid = $1")
        .bind(key("SM2").sid.to_compact())
        .execute(&mut *reporting)
        .await
        .unwrap();
    assert_eq!(updated.rows_affected(), 1);

    // It does not wait for them, or it would fail by the limit for locks.
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
async fn a_walk_that_somebody_is_on_is_left_to_them() {
    let database = Database::create().await;
    let store = database.store().await;
    let budget = NonZeroU32::new(1).unwrap();
    let step = async || {
        let step = store.prune_messages(time(10 * DAY), keep_days(1), budget);
        step.await.unwrap()
    };
    store.record(&[report("SM1").at(0).build()]).await.unwrap();
    assert!(!step().await.done, "one message was looked at");
    let mut somebody = PgConnection::connect(&database.url()).await.unwrap();
    let mut walking = somebody.begin().await.unwrap();
    walking
        .execute("select from message_sweeps for update")
        .await
        .unwrap();
    assert!(step().await.done);
    walking.rollback().await.unwrap();
    assert!(!step().await.done, "there was nothing more to look at");
    assert!(step().await.done);
}

#[tokio::test]
async fn retention_goes_by_the_clock_of_the_server() {
    let database = Database::create().await;
    let store = database.store().await;
    let clock = store
        .retention_clock(RetentionKind::Reports, time(0))
        .await
        .unwrap();
    let mut somebody = PgConnection::connect(&database.url()).await.unwrap();
    let now: i64 = sqlx::query_scalar("select extract(epoch from now())::bigint")
        .fetch_one(&mut somebody)
        .await
        .unwrap();
    assert!((clock.now.unix_seconds() - now).abs() < 60, "{clock:?}");
}
