//! The file of a store: creating, opening, checkpoints and closing.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use adapter_sqlite::{OpenError, SqliteStore};
use ports::{ReportStore as _, StoreError};
use sqlx::ConnectOptions as _;
use testkit::builders::{key, report, twilio_sid};

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::connect(path.to_str().unwrap()).await.unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn file_and_folders_are_created_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/receipts.db");
    let store = open(&path).await;
    store.migrate().await.unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn path_and_its_url_open_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.db");
    let path = path.to_str().unwrap();
    let store = SqliteStore::connect(path).await.unwrap();
    store.migrate().await.unwrap();
    store.record(&[report("SM1").build()]).await.unwrap();
    for url in [format!("sqlite:{path}"), format!("sqlite://{path}")] {
        let store = SqliteStore::connect(&url).await.unwrap();
        assert!(store.message(&key("SM1")).await.unwrap().is_some(), "{url}");
    }
}

#[tokio::test]
async fn invalid_store_is_refused() {
    for url in [
        "",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:x?mode=memory",
        "sqlite:x?mode=magic",
    ] {
        let refused = SqliteStore::connect(url).await.err();
        assert!(
            matches!(refused, Some(OpenError::InvalidUrl(_))),
            "{url}: {refused:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let refused = SqliteStore::connect(folder.path().to_str().unwrap())
        .await
        .err();
    assert!(
        matches!(refused, Some(OpenError::Create { .. })),
        "{refused:?}"
    );
    let text = folder.path().join("notes.txt");
    fs::write(
        &text,
        "no database, and long enough to be taken for one ".repeat(99),
    )
    .unwrap();
    let refused = SqliteStore::connect(text.to_str().unwrap()).await.err();
    assert!(
        matches!(refused, Some(OpenError::Open { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn store_without_tables_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("receipts.db")).await;
    let ping = store.ping().await;
    assert!(matches!(ping, Err(StoreError::Unavailable(_))), "{ping:?}");
    let record = store.record(&[report("SM1").build()]).await;
    assert!(
        matches!(record, Err(StoreError::Unavailable(_))),
        "{record:?}"
    );
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_may_migrate_concurrently() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.db");
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = open(&path).await;
        racers.spawn(async move { store.migrate().await });
    }
    for migrated in racers.join_all().await {
        migrated.unwrap();
    }
    open(&path).await.migrate().await.unwrap();
}

#[tokio::test]
async fn closed_store_leaves_one_complete_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.db");
    let store = open(&path).await;
    store.migrate().await.unwrap();
    store.record(&[report("SM1").build()]).await.unwrap();
    store.ping().await.unwrap();
    assert!(store.message(&key("SM1")).await.unwrap().is_some());
    store.close().await.unwrap();
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    assert_eq!(left, std::slice::from_ref(&path));
    assert!(
        open(&path)
            .await
            .message(&key("SM1"))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn checkpoint_copies_wal_and_restarts_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.db");
    let store = open(&path).await;
    store.migrate().await.unwrap();
    for round in 0..4_u64 {
        let sids = round * 500..(round + 1) * 500;
        let batch: Vec<_> = sids.map(|sid| report(&twilio_sid(sid)).build()).collect();
        store.record(&batch).await.unwrap();
        let reached = store.checkpoint().await.unwrap();
        assert_eq!(reached.copied_pages, reached.log_pages);
        assert!(reached.log_pages > 0);
    }
    let log = fs::metadata(path.with_extension("db-wal")).unwrap().len();
    let all = fs::metadata(&path).unwrap().len();
    assert!(
        log < all,
        "a log of {log} bytes beside a file of {all}: it never started anew"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_beside_busy_writer_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.db");
    let store = open(&path).await;
    store.migrate().await.unwrap();
    let writer = store.clone();
    let mut writing = tokio::task::JoinSet::new();
    writing.spawn(async move {
        for sid in 0..200 {
            writer
                .record(&[report(&twilio_sid(sid)).build()])
                .await
                .unwrap();
        }
    });
    while writing.try_join_next().is_none() {
        store.checkpoint().await.unwrap();
        tokio::task::yield_now().await;
    }
    store.close().await.unwrap();
    let store = open(&path).await;
    for sid in 0..200 {
        assert!(
            store
                .message(&key(&twilio_sid(sid)))
                .await
                .unwrap()
                .is_some()
        );
    }
}

/// A connection of another process that holds the write lock.
async fn hold_write_lock(path: &Path) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut holder = options.connect().await.unwrap();
    sqlx::query("begin immediate")
        .execute(&mut holder)
        .await
        .unwrap();
    holder
}

#[tokio::test]
async fn current_file_is_opened_while_another_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.db");
    open(&path).await.migrate().await.unwrap();
    let _holder = hold_write_lock(&path).await;
    open(&path).await.migrate().await.unwrap();
}

#[tokio::test]
async fn ping_writes_to_notice_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.db");
    let store = open(&path).await;
    store.migrate().await.unwrap();
    let log = path.with_extension("db-wal");
    for _ in 0..3 {
        let before = fs::metadata(&log).unwrap().len();
        store.ping().await.unwrap();
        assert!(fs::metadata(&log).unwrap().len() > before);
    }
}

#[tokio::test]
async fn file_of_pre_release_version_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipts.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut old = options.create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(
        "create table _sqlx_migrations (
             version bigint primary key, description text not null,
             installed_on timestamp not null default current_timestamp,
             success boolean not null, checksum blob not null, execution_time bigint not null
         );
         insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (1, 'create receipts', true, x'00', 0), (8, 'share subscriptions', true, x'00', 0)",
    )
    .execute(&mut old)
    .await
    .unwrap();
    let store = open(&path).await;
    for refused in [
        store.migrate().await,
        store.has_current_schema().await.map(drop),
    ] {
        let Err(StoreError::Unsupported(why)) = refused else {
            panic!("{refused:?}");
        };
        let why = why.to_string();
        assert!(why.contains("pre-release version of receiptd"), "{why}");
        assert!(why.contains(path.to_str().unwrap()), "{why}");
    }
}
