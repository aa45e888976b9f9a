//! What a report and a delivery cost the server. A change that breaks one of these has made the hot
//! path dearer: measure before you raise a bound.

mod database;

use std::time::{Duration, Instant};

use adapter_postgres::{Options, PostgresStore};
use database::Database;
use domain::delivery::DeliveryFilter;
use domain::{Delivery, DeliveryState, LogPosition, Report, SubscriptionId};
use ports::subscriptions::{Lease, Progress};
use ports::{
    DeliveryQueue, DeliveryStore as _, Maintenance as _, ReportStore, SubscriptionStore as _,
};
use sqlx::{Connection as _, PgConnection};
use testkit::builders::{delivery, report, subscription, time, twilio_sid};
use testkit::cluster::{self, Cluster};
use tokio::task::JoinSet;

const MESSAGES: u64 = 1_500;
const BATCH: usize = 64;

/// What a delivery looks like in public payloads, in three steps of many messages.
fn histories() -> Vec<Report> {
    let steps = ["sent", "delivered", "read"];
    let step = |status: &'static str| (0..MESSAGES).map(move |n| step_of(n, status));
    steps.into_iter().flat_map(step).collect()
}

fn step_of(number: u64, status: &str) -> Report {
    // Sids that lie next to each other would spare the index its work.
    let sid = twilio_sid(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let fields = [
        ("SmsSid", sid.as_str()),
        ("SmsStatus", status),
        ("AccountSid", "AC00112233445566778899aabbccddeeff"),
        ("ApiVersion", "2010-04-01"),
        ("ChannelPrefix", "whatsapp"),
        ("ChannelInstallSid", "XE00112233445566778899aabbccddeeff"),
        ("ChannelToAddress", "+1555010XXXX"),
        ("EventType", "DELIVERED"),
    ];
    report(&sid)
        .status(status)
        .token("9f5c1c0e-5d1a-4f4b-8d51-d1b5a7f3c0aa")
        .fields(fields)
        .build()
}

#[tokio::test]
async fn updates_stay_on_their_page_and_touch_no_index() {
    // A server of its own: a transaction of another test, in another database too, can keep the
    // server from removing old row versions.
    let cluster = Cluster::start_with(&cluster::Options::default());
    let cluster = cluster.expect("a server can be started");
    let database = Database::create_on(&cluster.url("postgres")).await;
    let store = database.store().await;
    for batch in histories().chunks(BATCH) {
        ReportStore::record(&store, batch).await.unwrap();
    }
    // The server counts up when the connection ends, at the latest.
    store.close().await;
    let mut connection = connect(&database).await;
    let waiting = Instant::now();
    let (updated, on_their_page) = loop {
        let counted = sqlx::query_as::<_, (i64, i64)>(
            "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'messages'",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        if counted.0 == i64::try_from(2 * MESSAGES).unwrap() {
            break counted;
        }
        assert!(
            waiting.elapsed() < Duration::from_mins(1),
            "counted {counted:?}"
        );
        tokio::task::yield_now().await;
    };
    println!("{on_their_page} of {updated} updates stayed on their page");
    assert!(on_their_page * 100 >= updated * 90);
}

#[tokio::test]
async fn batch_is_one_statement_with_little_wal() {
    const WAL_BYTES_MAX: u64 = 1_100;
    // A server of its own, because other tests would write to the WAL.
    let cluster = Cluster::start_with(&cluster::Options {
        settings: vec![
            "log_statement=all".to_owned(),
            "log_line_prefix=%a|".to_owned(),
        ],
        ..cluster::Options::default()
    })
    .expect("a server can be started");
    let database = Database::create_on(&cluster.url("postgres")).await;
    database.store().await.close().await;
    // One connection, because each new one queries the ids of the log.
    let store = database.store_without_tables(&Options {
        max_connections: 1,
        ..Options::default()
    });
    let mut observer = connect(&database).await;
    let reports = histories();
    let day = reports[0].arrived_at.to_date_time().date();
    sqlx::query("select reports_make_partition($1)")
        .bind(day)
        .execute(&mut observer)
        .await
        .unwrap();

    ReportStore::record(&store, &reports[..BATCH])
        .await
        .unwrap();
    let logged_before = statements(&cluster);
    let wal_before = wal(&mut observer).await;
    for batch in reports[BATCH..].chunks(BATCH) {
        ReportStore::record(&store, batch).await.unwrap();
    }
    let wal = wal(&mut observer).await - wal_before;
    let statements = statements(&cluster) - logged_before;

    let count = u64::try_from(reports.len() - BATCH).unwrap();
    println!("{} bytes of WAL a report", wal / count);
    assert!(wal / count <= WAL_BYTES_MAX, "{} bytes", wal / count);
    assert_eq!(statements, (reports.len() - BATCH).div_ceil(BATCH));
}

/// Deliveries of messages whose sids do not follow each other, in the order of the log.
fn delivered(id: SubscriptionId, reports: std::ops::Range<i64>) -> Vec<Delivery> {
    let one = |report_id: i64| {
        let number = report_id.unsigned_abs();
        let sid = twilio_sid(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Delivery {
            message: testkit::builders::key(&sid),
            finished_at: Some(time(1_795_370_000_000_000 + report_id * 300)),
            ..delivery(id, report_id, DeliveryState::Delivered)
        }
    };
    reports.map(one).collect()
}

async fn claim(store: &PostgresStore) -> Lease {
    let leased = store.claim("worker", Duration::from_hours(1)).await;
    let leased = leased.expect("the server answers");
    leased.expect("one is free").lease
}

async fn record(store: &PostgresStore, lease: &Lease, deliveries: &[Delivery]) -> bool {
    let last = deliveries.last().map_or(0, |last| last.position.0);
    let progress = Progress {
        position: LogPosition(last),
        failing_since: None,
        deliveries,
    };
    let recorded = DeliveryQueue::record(store, lease, progress).await;
    recorded.expect("the server answers")
}

#[tokio::test]
async fn deliveries_are_one_statement_with_little_wal() {
    const DELIVERIES: i64 = 6_400;
    const WAL_BYTES_MAX: u64 = 700;
    let cluster = Cluster::start_with(&cluster::Options {
        settings: vec![
            "log_statement=all".to_owned(),
            "log_line_prefix=%a|".to_owned(),
        ],
        ..cluster::Options::default()
    })
    .expect("a server can be started");
    let database = Database::create_on(&cluster.url("postgres")).await;
    let store = database.store().await;
    let mut observer = connect(&database).await;
    let subscription = subscription(1);
    assert!(store.add(&subscription, LogPosition::START).await.unwrap());
    let lease = claim(&store).await;
    let all = delivered(subscription.id, 0..DELIVERIES);

    assert!(record(&store, &lease, &all[..BATCH]).await);
    let logged_before = statements(&cluster);
    let wal_before = wal(&mut observer).await;
    for batch in all[BATCH..].chunks(BATCH) {
        assert!(record(&store, &lease, batch).await);
    }
    let wal = wal(&mut observer).await - wal_before;
    let statements = statements(&cluster) - logged_before;

    let count = u64::try_from(all.len() - BATCH).unwrap();
    println!("{} bytes of WAL a delivery", wal / count);
    assert!(wal / count <= WAL_BYTES_MAX, "{} bytes", wal / count);
    assert_eq!(statements, (all.len() - BATCH).div_ceil(BATCH));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_operators_and_pruning_never_deadlock() {
    const ROUNDS: i64 = 40;
    let database = Database::create().await;
    let store = database.store().await;
    let subscription = subscription(1);
    let id = subscription.id;
    assert!(store.add(&subscription, LogPosition::START).await.unwrap());
    let mut racers = JoinSet::new();
    for racer in 0..3 {
        let store = store.clone();
        racers.spawn(async move {
            for round in 0..ROUNDS {
                let states = DeliveryState::ALL.into_iter().cycle();
                let states = states.skip(usize::try_from(round + racer).unwrap());
                // Each in an order of its own.
                let reports = (0..60).map(|n| (n * (2 * racer + 1) + round * 7) % 61);
                let batch: Vec<_> = reports
                    .zip(states)
                    .map(|(n, state)| delivery(id, n, state))
                    .collect();
                match store.claim("worker", Duration::ZERO).await.unwrap() {
                    Some(leased) => drop(record(&store, &leased.lease, &batch).await),
                    None => drop(store.enqueue(id, &batch).await.unwrap()),
                }
            }
        });
        let store = database.store_without_tables(&Options::default());
        racers.spawn(async move {
            let all = DeliveryFilter::of(id);
            for round in 0..ROUNDS {
                let message = testkit::builders::key(&twilio_sid(round.unsigned_abs()));
                match (round + racer) % 3 {
                    0 => drop(store.retry_all(&all, time(round)).await.unwrap()),
                    1 => drop(
                        store
                            .erase_deliveries(&[message], time(round))
                            .await
                            .unwrap(),
                    ),
                    _ => {
                        let budget = 20.try_into().unwrap();
                        let before = time(253_402_300_799_999_999);
                        store.prune_deliveries(before, budget).await.unwrap();
                    }
                }
            }
            store.close().await;
        });
    }
    racers.join_all().await;
    store.close().await;
    let deadlocks: i64 = sqlx::query_scalar(
        "select deadlocks from pg_stat_database where datname = current_database()",
    )
    .fetch_one(&mut connect(&database).await)
    .await
    .unwrap();
    assert_eq!(deadlocks, 0);
}

/// A connection past the store.
async fn connect(database: &Database) -> PgConnection {
    PgConnection::connect(&database.url())
        .await
        .expect("the server answers")
}

/// How many statements the store has sent.
fn statements(cluster: &Cluster) -> usize {
    let folder = cluster.data_dir();
    let log = folder
        .parent()
        .expect("a folder around it")
        .join("server.log");
    let log = std::fs::read_to_string(log).expect("the server logs");
    // Without the queries that each new connection starts with.
    let executed = |line: &&str| {
        (line.starts_with("receiptd|LOG:  execute") || line.starts_with("receiptd|LOG:  statement"))
            && !line.ends_with("xact_offset) <= greatest(")
            && !line.ends_with("with found as materialized (")
    };
    log.lines().filter(executed).count()
}

async fn wal(observer: &mut PgConnection) -> u64 {
    let bytes: i64 = sqlx::query_scalar("select (pg_current_wal_insert_lsn() - '0/0')::bigint")
        .fetch_one(observer)
        .await
        .expect("a superuser may ask");
    u64::try_from(bytes).expect("a place in the log")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_batches_never_deadlock() {
    let database = Database::create().await;
    let mut replicas = JoinSet::new();
    for replica in 0..6_u64 {
        let store = if replica == 0 {
            database.store().await
        } else {
            database.store_without_tables(&Options::default())
        };
        replicas.spawn(async move {
            for round in 0..12 {
                let status = ["queued", "sent", "delivered", "read"][(round % 4) as usize];
                let batch: Vec<_> = (0..60)
                    .map(|n| (n * (2 * replica + 1) + round * 7) % 61)
                    .map(|n| report(&twilio_sid(n)).status(status).build())
                    .collect();
                ReportStore::record(&store, &batch).await.unwrap();
            }
            store.close().await;
        });
    }
    replicas.join_all().await;
    let deadlocks: i64 = sqlx::query_scalar(
        "select deadlocks from pg_stat_database where datname = current_database()",
    )
    .fetch_one(&mut connect(&database).await)
    .await
    .unwrap();
    assert_eq!(deadlocks, 0);
}
