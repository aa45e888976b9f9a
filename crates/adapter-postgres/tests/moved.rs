//! A database that was moved to a server with other transaction ids.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use adapter_postgres::{Options, PostgresStore};
use domain::rejection::MaskedFields;
use domain::{IntegratorName, LogPosition, Rejection, RejectionReason};
use ports::{EventLog as _, RejectionStore as _, ReportStore as _, SubscriptionStore as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use testkit::builders::{report, subscription, subscription_id, time};
use testkit::cluster::{self, Cluster};
use testkit::contract::in_time;
use testkit::contract::log::page;

const DATABASE: &str = "receipts";

/// Uses up transaction ids, as other work in the same cluster does.
const CONSUME_IDS: &str = "do $$ begin
    for nth in 1..3000 loop
        perform pg_current_xact_id();
        commit;
    end loop;
end $$";

fn start(settings: &[&str]) -> Cluster {
    Cluster::start_with(&cluster::Options {
        settings: settings.iter().map(|each| (*each).to_owned()).collect(),
        ..cluster::Options::default()
    })
    .unwrap()
}

fn store_on(cluster: &Cluster) -> PostgresStore {
    PostgresStore::connect(&cluster.url(DATABASE), &Options::default()).unwrap()
}

async fn execute(cluster: &Cluster, database: &str, statement: &str) {
    let mut connection = PgConnection::connect(&cluster.url(database)).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .expect(statement);
    connection.close().await.unwrap();
}

async fn number(cluster: &Cluster, query: &str) -> i64 {
    let mut connection = PgConnection::connect(&cluster.url(DATABASE)).await.unwrap();
    sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
        .fetch_one(&mut connection)
        .await
        .expect(query)
}

/// A database with readers at the end of its log, which is far beyond its reports.
struct Old {
    cluster: Cluster,
    store: PostgresStore,
}

impl Old {
    async fn new(settings: &[&str]) -> Self {
        let cluster = start(settings);
        execute(&cluster, "postgres", &format!("create database {DATABASE}")).await;
        let store = store_on(&cluster);
        store.migrate().await.unwrap();
        let reports = ["SM1", "SM2", "SM3"].map(|sid| report(sid).build());
        store.record(&reports).await.unwrap();
        store.store_rejections(&[rejection()]).await.unwrap();
        execute(&cluster, "postgres", CONSUME_IDS).await;
        let head = store.head().await.unwrap();
        store.add(&subscription(1), head).await.unwrap();
        Self { cluster, store }
    }
}

fn rejection() -> Rejection {
    Rejection {
        arrived_at: time(0),
        channel: report("SM1").build().key.channel,
        integrator: IntegratorName::parse("twilio").unwrap(),
        reason: RejectionReason::InvalidReport,
        detail: "a test made it so".to_owned(),
        fields: MaskedFields::default(),
        sender: None,
    }
}

async fn position_of_subscription(store: &PostgresStore) -> LogPosition {
    let found = store.find(subscription_id(1)).await.unwrap();
    found.unwrap().position
}

/// What is recorded on the new server comes after the positions of the old one, and everything
/// else continues as well.
async fn assert_nothing_is_lost(cluster: &Cluster, positions: &[LogPosition]) {
    let store = store_on(cluster);
    store.ping().await.unwrap();
    let head = store.head().await.unwrap();
    let batch = [report("SM9").build()];
    store.record(&batch).await.unwrap();
    for position in positions {
        assert!(head >= *position, "{head:?} is before {position:?}");
        while page(&store, Some(*position), 10).await.entries.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    store.store_rejections(&[rejection()]).await.unwrap();
    store.close().await;
}

/// The procedure of `docs/operating/backup.md`.
fn back_up_and_restore(old: &Cluster, new: &Cluster) {
    let file = old.socket_dir().join("receipts.dump");
    let file = file.to_string_lossy();
    old.run("pg_dump", &["--format=custom", "--file", &file, DATABASE])
        .unwrap();
    new.run(
        "createdb",
        &["--encoding=UTF8", "--template=template0", DATABASE],
    )
    .unwrap();
    new.run(
        "pg_restore",
        &["--exit-on-error", "--no-owner", "--dbname", DATABASE, &file],
    )
    .unwrap();
}

#[tokio::test]
async fn new_reports_of_restored_database_reach_readers_of_the_old_one() {
    in_time(async {
        let old = Old::new(&[]).await;
        let new = start(&[]);
        back_up_and_restore(&old.cluster, &new);
        // What a client reads after the backup, no dump has.
        execute(&old.cluster, "postgres", CONSUME_IDS).await;
        let of_client = old.store.head().await.unwrap();
        let of_subscription = position_of_subscription(&old.store).await;
        assert_nothing_is_lost(&new, &[of_subscription, of_client]).await;
        let offset = number(&new, "select xact_offset from report_log").await;
        assert_nothing_is_lost(&new, &[of_subscription, of_client]).await;
        let again = number(&new, "select xact_offset from report_log").await;
        assert_eq!(again, offset, "it is raised once");
    })
    .await;
}

#[tokio::test]
async fn every_stored_position_alone_raises_the_ids_of_a_restored_database() {
    in_time(async {
        let old = Old::new(&[]).await;
        let head = old.store.head().await.unwrap();
        execute(
            &old.cluster,
            DATABASE,
            "delete from reports; delete from messages; update subscriptions set position = 0",
        )
        .await;
        let new = start(&[]);
        back_up_and_restore(&old.cluster, &new);
        for set in [
            "insert into log_cursors (name, position) values ('reader', $)",
            "insert into log_time_index (at, position) values (now(), $)",
            "update report_log set pruned_through = $",
            "update subscriptions set position = $",
            "insert into erasures (id, requested_at, requested_via, masked, recipient, log_after)
             values (gen_random_uuid(), now(), 'api', '***', '+1', $)",
        ] {
            execute(
                &new,
                DATABASE,
                "delete from log_cursors; delete from log_time_index; delete from erasures;
                 update subscriptions set position = 0;
                 update report_log set pruned_through = 0, xact_offset = 0",
            )
            .await;
            execute(&new, DATABASE, &set.replace('$', &head.0.to_string())).await;
            let store = store_on(&new);
            let raised = store.head().await.unwrap();
            assert!(raised > head, "{set}");
            store.close().await;
        }
    })
    .await;
}

#[tokio::test]
async fn new_reports_of_logical_copy_reach_readers_of_the_old_one() {
    in_time(async {
        let old = Old::new(&["wal_level=logical"]).await;
        let new = start(&[]);
        let file = old.cluster.socket_dir().join("schema.sql");
        let file = file.to_string_lossy();
        old.cluster
            .run("pg_dump", &["--schema-only", "--file", &file, DATABASE])
            .unwrap();
        new.run("createdb", &[DATABASE]).unwrap();
        new.run("psql", &["--quiet", "--file", &file, DATABASE])
            .unwrap();
        execute(
            &old.cluster,
            DATABASE,
            "create publication everything for all tables",
        )
        .await;
        let subscribe = format!(
            "create subscription everything connection '{}' publication everything",
            old.cluster.url(DATABASE)
        );
        execute(&new, DATABASE, &subscribe).await;
        let copying = "select count(*) from pg_subscription_rel where srsubstate <> 'r'";
        while number(&new, copying).await > 0 {
            tokio::task::yield_now().await;
        }
        execute(&new, DATABASE, "drop subscription everything").await;
        let position = position_of_subscription(&old.store).await;
        assert_nothing_is_lost(&new, &[position]).await;
    })
    .await;
}

#[tokio::test]
async fn promoted_standby_continues_ids_of_its_primary() {
    in_time(async {
        let old = Old::new(&[]).await;
        let standby = old.cluster.start_standby().unwrap();
        execute(&old.cluster, "postgres", CONSUME_IDS).await;
        let reader = old.store.head().await.unwrap();
        old.store
            .advance_cursor("reader", None, reader)
            .await
            .unwrap();
        let offset = number(&old.cluster, "select xact_offset from report_log").await;
        // The last that the primary does is to send all it has.
        old.store.close().await;
        old.cluster.stop_fast().unwrap();
        standby.promote().unwrap();
        let store = store_on(&standby);
        assert_eq!(store.cursor("reader").await.unwrap(), Some(reader));
        store.close().await;
        assert_nothing_is_lost(&standby, &[reader]).await;
        let now = number(&standby, "select xact_offset from report_log").await;
        assert_eq!(now, offset);
    })
    .await;
}

#[tokio::test]
async fn upgraded_server_continues_its_ids() {
    in_time(async {
        let old = Old::new(&[]).await;
        let position = position_of_subscription(&old.store).await;
        let offset = number(&old.cluster, "select xact_offset from report_log").await;
        old.store.close().await;
        let new = old.cluster.upgrade().unwrap();
        assert_nothing_is_lost(&new, &[position]).await;
        let now = number(&new, "select xact_offset from report_log").await;
        assert_eq!(now, offset);
    })
    .await;
}
