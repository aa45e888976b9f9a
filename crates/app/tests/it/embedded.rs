//! The embedded database while another process holds its write lock, or its disk is full.

use std::process::{Command, Stdio};
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::support::{CHANNEL, Engine, RuntimeHandle, Server, client, until};

async fn database(home: &RuntimeHandle) -> SqliteConnection {
    let options = SqliteConnectOptions::from_str(&home.database_url).unwrap();
    options.connect().await.unwrap()
}

async fn execute(connection: &mut SqliteConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.unwrap();
}

async fn readyz(server: &Server) -> (u16, String) {
    let answer = client().get(format!("{}/readyz", server.operator));
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn reports_are_kept_while_another_process_holds_the_write_lock() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let mut server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 204);
    let mut holder = database(&home).await;
    execute(&mut holder, "begin immediate").await;

    // The first one waits for the deadline, the others do not.
    let began = Instant::now();
    for sid in ["SM2", "SM3", "SM4"] {
        assert_eq!(server.report(sid, "sent").await, 204, "{}", server.log());
    }
    assert!(began.elapsed() < Duration::from_secs(9), "{}", server.log());
    assert_eq!(readyz(&server).await.0, 200);

    // Killed and started while the lock is held.
    server.signal("KILL");
    server.wait();
    let server = home.serve();
    assert_eq!(server.report("SM5", "sent").await, 204);
    execute(&mut holder, "rollback").await;
    for sid in ["SM2", "SM3", "SM4", "SM5"] {
        until("the report to be recorded", async || {
            let path = format!("/api/v1/messages/{CHANNEL}/{sid}");
            let (status, message) = server.get(&path).await;
            status == 200 && message["reports"].as_array().unwrap().len() == 1
        })
        .await;
    }
    until("the store to be ready again", async || {
        let (status, parts) = readyz(&server).await;
        status == 200 && !parts.contains("degraded")
    })
    .await;
}

/// A server whose files cannot grow once [`limit_files`] says so.
fn server_that_can_be_limited(home: &RuntimeHandle) -> Server {
    let program = home.command(&["serve"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ && exec \"$0\" serve"])
        .arg(program.get_program())
        .envs(
            program
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stderr(Stdio::piped());
    Server::start(command)
}

fn limit_files(server: &Server, limit: &str) {
    let pid = server.pid().to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={limit}:unlimited")])
        .status();
    assert!(limited.unwrap().success());
}

#[tokio::test]
async fn readyz_answers_503_while_the_disk_is_full_and_the_log_is_not_flooded() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let server = server_that_can_be_limited(&home);
    assert_eq!(server.report("SM1", "sent").await, 204);
    assert_eq!(readyz(&server).await.0, 200);

    limit_files(&server, "0");
    until("not to be ready", async || readyz(&server).await.0 == 503).await;
    let lines = server.log().lines().count();
    for number in 0..50 {
        let status = server.report(&format!("SM{number}"), "read").await;
        assert_eq!(status, 503);
    }
    let (status, parts) = readyz(&server).await;
    assert_eq!(status, 503);
    assert!(parts.contains("its disk fails"), "{parts}");
    let log = server.log();
    let said = log.lines().skip(lines).filter(|line| {
        // Each question of a monitor that is not answered 200 has a line.
        !line.contains("/readyz")
    });
    let said: Vec<_> = said.collect();
    assert!(said.len() < 8, "{said:#?}");

    limit_files(&server, "unlimited");
    until("to be ready again", async || readyz(&server).await.0 == 200).await;
    assert_eq!(server.report("SM1", "read").await, 204);
}
