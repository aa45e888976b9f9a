//! SQLite while another process holds its write lock, or its disk is full.

use std::process::{Command, Stdio};
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::support::{CHANNEL, Engine, Installation, Server, until};

async fn execute(connection: &mut SqliteConnection, statement: &'static str) {
    sqlx::query(statement).execute(connection).await.unwrap();
}

#[tokio::test]
async fn reports_are_accepted_while_another_process_holds_the_write_lock() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let mut server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 204);
    let options = SqliteConnectOptions::from_str(&home.database_url).unwrap();
    let mut holder = options.connect().await.unwrap();
    execute(&mut holder, "begin immediate").await;

    // The first report waits for the commit deadline, the others do not.
    let began = Instant::now();
    for sid in ["SM2", "SM3", "SM4"] {
        assert_eq!(server.report(sid, "sent").await, 204, "{}", server.log());
    }
    assert!(began.elapsed() < Duration::from_secs(9), "{}", server.log());
    assert_eq!(server.readyz().await.0, 200);

    // Killed and restarted while the lock is held.
    server.signal("KILL");
    server.wait();
    let server = home.serve();
    assert_eq!(server.report("SM5", "sent").await, 204);
    execute(&mut holder, "rollback").await;
    for sid in ["SM2", "SM3", "SM4", "SM5"] {
        until("the report is recorded", async || {
            let path = format!("/api/v1/messages/{CHANNEL}/{sid}");
            let (status, message) = server.get(&path).await;
            status == 200 && message["reports"].as_array().unwrap().len() == 1
        })
        .await;
    }
    until("the store is ready again", async || {
        let (status, parts) = server.readyz().await;
        status == 200 && !parts.contains("degraded")
    })
    .await;
}

/// Starts a server whose files cannot grow after a call of [`limit_file_size`].
fn server_with_file_limit(home: &Installation) -> Server {
    let program = home.command("serve");
    let mut command = Command::new("sh");
    let settings = program.get_envs();
    command
        .args(["-c", "trap '' XFSZ && exec \"$0\" serve"])
        .arg(program.get_program())
        .envs(settings.filter_map(|(name, value)| Some((name, value?))))
        .stderr(Stdio::piped());
    Server::start(command)
}

fn limit_file_size(server: &Server, limit: &str) {
    let pid = server.pid().to_string();
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={limit}:unlimited")])
        .status();
    assert!(limited.unwrap().success());
}

#[tokio::test]
async fn readyz_answers_503_while_the_disk_is_full_and_the_log_is_not_flooded() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let server = server_with_file_limit(&home);
    assert_eq!(server.report("SM1", "sent").await, 204);
    assert_eq!(server.readyz().await.0, 200);

    limit_file_size(&server, "0");
    until("the server is not ready", async || {
        server.readyz().await.0 == 503
    })
    .await;
    let lines = server.log().lines().count();
    for number in 0..50 {
        assert_eq!(server.report(&format!("SM{number}"), "read").await, 503);
    }
    let (status, parts) = server.readyz().await;
    assert_eq!(status, 503);
    assert!(parts.contains("its disk fails"), "{parts}");
    let log = server.log();
    // Every request of a monitor that is not answered 200 is logged.
    let new = log
        .lines()
        .skip(lines)
        .filter(|line| !line.contains("/readyz"));
    let new: Vec<_> = new.collect();
    assert!(new.len() < 8, "{new:#?}");

    limit_file_size(&server, "unlimited");
    until("the server is ready again", async || {
        server.readyz().await.0 == 200
    })
    .await;
    assert_eq!(server.report("SM1", "read").await, 204);
}
