//! A start while something it needs is not as it should be.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::support::{ADMIN_TOKEN, CHANNEL, Engine, RuntimeHandle, Server, client, until};

/// A receiver that has run before, so that there is a copy of its channels.
async fn known_home() -> RuntimeHandle {
    let home = RuntimeHandle::new(Engine::Postgres).await;
    home.add_channel();
    let mut server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 204);
    server.signal("TERM");
    assert!(server.wait());
    home
}

async fn is_up_in_time_while_these_are_locked(tables: &str) {
    let home = known_home().await;
    let mut somebody = PgConnection::connect(&home.database_url).await.unwrap();
    somebody.execute("begin").await.unwrap();
    let lock = format!("lock table {tables} in access exclusive mode");
    somebody.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();

    let began = Instant::now();
    let server = home.serve();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{}",
        server.log()
    );
    assert!(server.log().contains("started without the database"));
    assert_eq!(server.report("SM2", "sent").await, 204);
    let ready = client().get(format!("{}/readyz", server.operator));
    let ready = ready.send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 200);

    somebody.execute("rollback").await.unwrap();
    until("the journal to be drained", async || {
        let (status, message) = server.get(&format!("/api/v1/messages/{CHANNEL}/SM2")).await;
        status == 200 && message["status"] == "sent"
    })
    .await;
    until("all parts to be well", async || {
        let (_, health) = server.get("/readyz").await;
        let parts = health["parts"].as_array().unwrap();
        // The server of the tests does not sync, and that is said of the store.
        let is_well = |part: &Value| {
            let detail = part["detail"].as_str().unwrap_or_default();
            part["condition"] == "ready" || detail.contains("fsync")
        };
        parts.iter().all(is_well)
    })
    .await;
}

#[tokio::test]
async fn a_receiver_starts_from_its_copy_while_the_schema_cannot_be_looked_at() {
    is_up_in_time_while_these_are_locked("_sqlx_migrations").await;
}

#[tokio::test]
async fn a_receiver_starts_from_its_copy_while_the_channels_cannot_be_read() {
    is_up_in_time_while_these_are_locked("channels, channel_directory").await;
}

/// A server whose limits of open files these are.
fn server_with_limits(home: &RuntimeHandle, limits: &str) -> Server {
    let program = home.command(&["serve"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits} && exec \"$0\" serve")])
        .arg(program.get_program())
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stderr(Stdio::piped());
    Server::start(command)
}

async fn connections_allowed(server: &Server) -> u64 {
    let request = client().get(format!("{}/metrics", server.operator));
    let answer = request.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
    let metrics = answer.text().await.unwrap();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("receiptd_connections_allowed "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_as_far_as_it_may() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let server = server_with_limits(&home, "ulimit -Sn 200 && ulimit -Hn 18000");
    assert_eq!(connections_allowed(&server).await, 8192);
    assert!(!server.log().contains("RECEIPTD_MAX_CONNECTIONS"));
}

#[tokio::test]
async fn no_more_connections_are_allowed_than_files_may_be_open() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let server = server_with_limits(&home, "ulimit -n 1024");
    assert_eq!(connections_allowed(&server).await, 694);
    let log = server.log();
    assert!(
        log.contains("WARN") && log.contains("RECEIPTD_MAX_CONNECTIONS"),
        "{log}"
    );
}
