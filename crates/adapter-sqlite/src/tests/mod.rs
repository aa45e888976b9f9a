//! Errors of the engine, and cancelled transactions.

mod leases;

use std::time::Duration;

use domain::Effect;
use ports::channels::ChannelStore as _;
use ports::{ReportStore as _, StoreError};
use testkit::builders::{channel, channel_id, credential, key, report};

use crate::SqliteStore;

async fn store(folder: &tempfile::TempDir) -> SqliteStore {
    let path = folder.path().join("receipts.db");
    let store = SqliteStore::connect(path.to_str().unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn full_disk_is_unavailable_and_next_batch_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let mut write = store.begin().await.unwrap();
    sqlx::query("pragma max_page_count = 1")
        .execute(&mut *write)
        .await
        .unwrap();
    write.commit().await.unwrap();

    let body = "x".repeat(100_000);
    let large = [report("SM1").fields([("Body", body.as_str())]).build()];
    let full = store.record(&large).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    assert_eq!(store.message(&key("SM1")).await.unwrap(), None);
    assert_eq!(store.record(&large).await.unwrap(), [Effect::Advanced]);
}

#[tokio::test]
async fn cancelled_transaction_leaves_nothing_and_blocks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    let batch: Vec<_> = (0..500)
        .map(|n| report(&format!("SM{n}")).build())
        .collect();
    for wait in [0, 100, 300, 1_000, 3_000, 10_000] {
        let late = tokio::time::timeout(Duration::from_micros(wait), store.record(&batch)).await;
        let there = store.message(&key("SM499")).await.unwrap().is_some();
        assert!(
            !there || late.is_ok() || wait > 0,
            "nothing is there before anything is done"
        );
        store.ping().await.unwrap();
    }
    let mut write = store.begin().await.unwrap();
    sqlx::query("delete from messages")
        .execute(&mut *write)
        .await
        .unwrap();
    drop(write);
    assert_eq!(store.record(&batch).await.unwrap().len(), batch.len());
    assert!(store.message(&key("SM0")).await.unwrap().is_some());
}

#[tokio::test]
async fn unknown_stored_value_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store.record(&[report("SM1").build()]).await.unwrap();
    store
        .add(&channel("1").build(), &credential("1", 1).build())
        .await
        .unwrap();
    let damage = [
        (
            "update messages set seen_mask = -1",
            "messages",
            "seen_mask",
        ),
        (
            "update messages set report_ids = '[x]'",
            "messages",
            "report_ids",
        ),
        ("update reports set effect = 'magic'", "reports", "effect"),
        ("update channels set name = char(0)", "channels", "name"),
        (
            "update channel_credentials set hash = x'00'",
            "channel_credentials",
            "hash",
        ),
    ];
    for (statement, wanted_table, wanted_column) in damage {
        let mut write = store.begin().await.unwrap();
        sqlx::query(statement).execute(&mut *write).await.unwrap();
        write.commit().await.unwrap();
        let found = match wanted_table {
            "messages" => store.record(&[report("SM1").build()]).await.map(drop),
            "reports" => store.message(&key("SM1")).await.map(drop),
            _ => store.find(&channel_id("1")).await.map(drop),
        };
        let Err(StoreError::Corrupt { table, column, .. }) = found else {
            panic!("{statement}: {found:?}");
        };
        assert_eq!((table, column), (wanted_table, wanted_column));
        let mut write = store.begin().await.unwrap();
        for repair in [
            "update messages set seen_mask = 512, report_ids = '[1]'",
            "update channels set name = 'Desk'",
        ] {
            sqlx::query(repair).execute(&mut *write).await.unwrap();
        }
        write.commit().await.unwrap();
    }
}

#[tokio::test]
async fn failed_change_keeps_revision_of_directory() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store
        .add(&channel("1").build(), &credential("1", 1).build())
        .await
        .unwrap();
    let before = store.revision().await.unwrap();
    let twice = store
        .add(&channel("2").build(), &credential("2", 1).build())
        .await;
    assert!(
        matches!(twice, Err(StoreError::Rejected { .. })),
        "{twice:?}"
    );
    assert_eq!(store.revision().await.unwrap(), before);
    assert_eq!(store.find(&channel_id("2")).await.unwrap(), None);
}
