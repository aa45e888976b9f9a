//! Which connections batches are recorded on, and what a pooler in between may change.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod database;

use std::io::{Read as _, Write as _};
use std::net::{self, SocketAddr};
use std::thread;
use std::time::Duration;

use adapter_postgres::{Options, PostgresStore};
use database::Database;
use domain::Effect;
use ports::ReportStore as _;
use sqlx::{Connection as _, PgConnection};
use testkit::builders::{report, twilio_sid};
use testkit::cluster::Cluster;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Notes the process that serves each statement.
const NOTE_PROCESSES: &str = "
create table processes (pid integer not null);
create function note_process() returns trigger language plpgsql as
    'begin insert into processes values (pg_backend_pid()); return null; end';
create trigger note_process after insert on messages
    for each statement execute function note_process();";

async fn connect(database: &Database) -> PgConnection {
    let connection = PgConnection::connect(&database.url()).await;
    connection.expect("the server answers")
}

/// A store with several connections at hand.
async fn store(database: &Database) -> PostgresStore {
    let store = database.store().await;
    let mut noting = connect(database).await;
    sqlx::raw_sql(NOTE_PROCESSES)
        .execute(&mut noting)
        .await
        .expect("the tables are there");
    let mut readers = JoinSet::new();
    for _ in 0..Options::default().max_connections {
        let store = store.clone();
        readers.spawn(async move { store.ping().await });
    }
    for read in readers.join_all().await {
        read.expect("the server answers");
    }
    store
}

async fn record(store: &PostgresStore, number: u64) {
    let batch = [report(&twilio_sid(number)).build()];
    let effects = store.record(&batch).await.expect("the server answers");
    assert_eq!(effects, [Effect::Advanced]);
}

/// The processes that have recorded.
async fn processes(observer: &mut PgConnection) -> Vec<i32> {
    sqlx::query_scalar("select distinct pid from processes order by pid")
        .fetch_all(observer)
        .await
        .expect("the processes are noted")
}

#[tokio::test]
async fn sequential_batches_share_a_connection() {
    let database = Database::create().await;
    let store = store(&database).await;
    for number in 0..20 {
        record(&store, number).await;
        store.ping().await.unwrap();
    }
    assert_eq!(processes(&mut connect(&database).await).await.len(), 1);
    store.close().await;
}

#[tokio::test]
async fn concurrent_batches_have_a_connection_each() {
    let database = Database::create().await;
    let store = store(&database).await;
    let mut observer = connect(&database).await;
    let mut holding = observer.begin().await.unwrap();
    sqlx::query("lock table messages in share row exclusive mode")
        .execute(&mut *holding)
        .await
        .unwrap();
    let mut recording = JoinSet::new();
    for number in 0..4 {
        let store = store.clone();
        recording.spawn(async move { record(&store, number).await });
    }
    // Each waits for the table on a connection of its own.
    let waiting = "select count(*) from pg_locks
        where not granted and relation = 'messages'::regclass";
    let all_wait = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(waiting)
                .fetch_one(&mut *holding)
                .await
                .unwrap();
            if waiting == 4 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), all_wait)
        .await
        .expect("four wait");
    holding.commit().await.unwrap();
    recording.join_all().await;
    assert_eq!(processes(&mut observer).await.len(), 4);
}

#[tokio::test]
async fn broken_connection_is_not_reused() {
    let database = Database::create().await;
    let store = store(&database).await;
    record(&store, 1).await;
    let mut observer = connect(&database).await;
    for _ in 0..3 {
        let terminated: Vec<bool> = sqlx::query_scalar(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity
             where application_name = 'receiptd' and datname = current_database()",
        )
        .fetch_all(&mut observer)
        .await
        .unwrap();
        assert!(!terminated.is_empty());
        // Every connection is broken and none has been idle for long, so each is tried once
        // at most.
        let mut tries = 0;
        while store.record(&[report("SM1").build()]).await.is_err() {
            tries += 1;
            assert!(tries <= Options::default().max_connections);
        }
    }
}

/// Forwards each new connection to the server that `target` names then.
async fn proxy(target: watch::Receiver<u16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let forwarding = async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let target = *target.borrow();
            let mut server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
            let copying =
                async move { tokio::io::copy_bidirectional(&mut client, &mut server).await };
            drop(spawn(copying));
        }
    };
    drop(spawn(forwarding));
    port
}

#[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// A server with the tables.
async fn migrated() -> Cluster {
    let cluster = Cluster::start().unwrap();
    let store = PostgresStore::connect(&cluster.url("postgres"), &Options::default()).unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    cluster
}

/// The old primary stays connected and refuses writes.
#[tokio::test]
async fn connections_to_read_only_primary_are_replaced() {
    let (old, new) = (migrated().await, migrated().await);
    let (switch, target) = watch::channel(old.port());
    let port = proxy(target).await;
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
    let store = PostgresStore::connect(&url, &Options::default()).unwrap();
    let mut pings = JoinSet::new();
    for _ in 0..Options::default().max_connections {
        let store = store.clone();
        pings.spawn(async move { store.ping().await });
    }
    for ping in pings.join_all().await {
        ping.unwrap();
    }
    record(&store, 1).await;

    switch.send(new.port()).unwrap();
    let mut operator = PgConnection::connect(&old.url("postgres")).await.unwrap();
    for statement in [
        "alter system set default_transaction_read_only = on",
        "select pg_reload_conf()",
    ] {
        sqlx::raw_sql(statement)
            .execute(&mut operator)
            .await
            .unwrap();
    }
    let read_only = "show transaction_read_only";
    while sqlx::query_scalar::<_, String>(read_only)
        .fetch_one(&mut operator)
        .await
        .unwrap()
        == "off"
    {}
    // None of the connections has been idle for long, so each is tried once at most. One whose
    // server process has not read the new setting yet still records, on the old server.
    let mut reader = PgConnection::connect(&new.url("postgres")).await.unwrap();
    let mut refusals = 0;
    let mut on_new = 0;
    while on_new == 0 {
        if store
            .record(&[report(&twilio_sid(2)).build()])
            .await
            .is_err()
        {
            refusals += 1;
            assert!(refusals <= Options::default().max_connections);
        }
        on_new = sqlx::query_scalar::<_, i64>("select count(*) from messages")
            .fetch_one(&mut reader)
            .await
            .unwrap();
    }
    while store.ping().await.is_err() {
        refusals += 1;
        assert!(refusals <= Options::default().max_connections);
    }
}

#[tokio::test]
async fn closing_does_not_wait_for_sticky_connection() {
    let database = Database::create().await;
    let store = store(&database).await;
    record(&store, 1).await;
    tokio::time::timeout(Duration::from_secs(5), store.close())
        .await
        .expect("nothing is under way");
    let after = store.record(&[report("SM2").build()]).await;
    assert!(after.is_err(), "{after:?}");
}

/// Passes connections on to a server without their start-up option `options`, as `PgBouncer` does
/// with `ignore_startup_parameters = options`. Returns its address.
fn pooler(server: String) -> SocketAddr {
    let listener = net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = net::TcpStream::connect(&server).expect("the server listens");
            // A backend whose client has disconnected ends.
            thread::spawn(move || pass_on(client, server));
        }
    });
    address
}

fn pass_on(mut client: net::TcpStream, mut server: net::TcpStream) -> std::io::Result<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length)?;
    let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("it is short") - 4];
    client.read_exact(&mut packet)?;
    // The version of the protocol, then names and values, each of which ends in a zero.
    let (version, parameters) = packet.split_at(4);
    let mut sent = version.to_vec();
    let mut texts = parameters.split(|byte| *byte == 0);
    while let (Some(name @ [_, ..]), Some(value)) = (texts.next(), texts.next()) {
        if name != b"options" {
            sent.extend([name, b"\0", value, b"\0"].concat());
        }
    }
    sent.push(0);
    let length = u32::try_from(sent.len() + 4).expect("it is short");
    server.write_all(&[&length.to_be_bytes()[..], &sent].concat())?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
    std::io::copy(&mut server, &mut client).map(drop)
}

#[tokio::test]
async fn timeouts_dropped_by_a_pooler_are_warned_about() {
    let database = Database::create().await;
    database.store().await.close().await;
    let url = database.url();
    let (scheme, rest) = url.split_once("://").expect("it is a URL");
    let (authority, rest) = rest.split_once('/').expect("it has a database");
    let name = rest.split('?').next().unwrap_or_default();
    let (user, host) = authority
        .rsplit_once('@')
        .unwrap_or(("postgres", authority));
    let risk_at = async |host: &str| {
        let url = format!("{scheme}://{user}@{host}/{name}?sslmode=disable");
        let store = PostgresStore::connect(&url, &Options::default()).expect("it is a URL");
        let risk = store
            .durability_warning()
            .await
            .expect("the server answers");
        store.close().await;
        risk.unwrap_or_default()
    };
    let direct = risk_at(host).await;
    assert!(!direct.contains("timeout"), "{direct}");
    let pooled = risk_at(&pooler(host.to_owned()).to_string()).await;
    for name in [
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
    ] {
        assert!(pooled.contains(name), "{pooled}");
    }
}
