//! Starts while something that the server needs is missing or limited.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::Value;
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::support::{CHANNEL, Engine, Installation, Server, bare_command, run, text, until};

/// Returns an installation whose server has run before, so that it has a channel snapshot.
async fn with_snapshot() -> Installation {
    let home = Installation::new(Engine::Postgres).await;
    home.add_channel();
    let server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 204);
    server.stop();
    home
}

#[rstest]
#[case::schema("_sqlx_migrations")]
#[case::channels("channels, channel_directory")]
#[tokio::test]
async fn server_starts_from_its_snapshot_while_tables_are_locked(#[case] tables: &str) {
    let home = with_snapshot().await;
    let mut holder = PgConnection::connect(&home.database_url).await.unwrap();
    holder.execute("begin").await.unwrap();
    let lock = format!("lock table {tables} in access exclusive mode");
    holder.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();

    let began = Instant::now();
    let server = home.serve();
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{}",
        server.log()
    );
    assert!(server.log().contains("started without the database"));
    assert_eq!(server.report("SM2", "sent").await, 204);
    assert_eq!(server.readyz().await.0, 200);

    holder.execute("rollback").await.unwrap();
    until_recorded(&server, "SM2").await;
    until("all parts are ready", async || {
        let (_, health) = server.get("/readyz").await;
        let parts = health["parts"].as_array().unwrap();
        // The PostgreSQL of the tests runs without fsync, which the store reports.
        let is_ready = |part: &Value| {
            let detail = part["detail"].as_str().unwrap_or_default();
            part["condition"] == "ready" || detail.contains("fsync")
        };
        parts.iter().all(is_ready)
    })
    .await;
}

async fn until_recorded(server: &Server, sid: &str) {
    until("the journal is replayed", async || {
        let (status, message) = server
            .get(&format!("/api/v1/messages/{CHANNEL}/{sid}"))
            .await;
        status == 200 && message["status"] == "sent"
    })
    .await;
}

#[tokio::test]
async fn server_that_starts_without_postgresql_authenticates_callers_and_keeps_reports() {
    let home = with_snapshot().await;
    let mut command = home.command("serve");
    command.env("RECEIPTD_DATABASE_URL", "postgres://127.0.0.1:1/none");
    let server = Server::start(command);
    assert_eq!(server.report("SM1", "delivered").await, 204);
    assert_eq!(server.report("SM2", "sent").await, 204);
    let (status, parts) = server.readyz().await;
    assert_eq!(status, 200);
    assert!(parts.contains("degraded"), "{parts}");
    server.stop();

    let server = home.serve();
    until_recorded(&server, "SM2").await;
    let (_, message) = server.get(&format!("/api/v1/messages/{CHANNEL}/SM1")).await;
    assert_eq!(message["status"], "delivered");
}

#[test]
fn secret_key_is_required_on_postgresql() {
    let mut command = bare_command("serve");
    let url = "postgres://me:password@127.0.0.1:1/none";
    command.env("RECEIPTD_DATABASE_URL", url);
    let output = run(command, b"");
    let stderr = text(&output.stderr);
    assert!(
        !output.status.success() && stderr.contains("RECEIPTD_SECRET_KEY"),
        "{stderr}"
    );
    assert!(!stderr.contains("me:password"), "{stderr}");
}

/// Starts a server after these commands of the shell, which limit its open files.
fn server_with_limits(home: &Installation, limits: &str) -> Server {
    let program = home.command("serve");
    let mut command = Command::new("sh");
    let settings = program.get_envs();
    command
        .args(["-c", &format!("{limits} && exec \"$0\" serve")])
        .arg(program.get_program())
        .envs(settings.filter_map(|(name, value)| Some((name, value?))))
        .stderr(Stdio::piped());
    Server::start(command)
}

#[rstest]
#[case::soft_limit_is_raised("ulimit -Sn 200 && ulimit -Hn 18000", 8192.0)]
#[case::hard_limit_is_respected("ulimit -n 1024", 694.0)]
#[tokio::test]
async fn connections_are_limited_by_open_files(#[case] limits: &str, #[case] connections: f64) {
    let home = Installation::new(Engine::Sqlite).await;
    let server = server_with_limits(&home, limits);
    let allowed = server.metric("receiptd_connections_allowed").await;
    assert!((allowed - connections).abs() < 0.5, "{allowed}");
    let log = server.log();
    let warns = log.contains("WARN") && log.contains("RECEIPTD_MAX_CONNECTIONS");
    assert_eq!(warns, connections < 8192.0, "{log}");
}
