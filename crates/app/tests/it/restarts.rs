//! Starts, stops, kills and restarts the server.

use std::time::{Duration, Instant};

use rstest::rstest;

use crate::answers;
use crate::service::Service;

use super::support::{
    ADMIN_TOKEN, CHANNEL, Engine, Installation, PASSWORD, Server, USER, bare_command, client,
    files_in, mode_of, run, text, until,
};

#[rstest]
#[tokio::test]
async fn reports_survive_sigkill(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = home.serve();
    for number in 0..20 {
        for status in ["sent", "delivered"] {
            let sid = format!("SM{number:032x}");
            assert_eq!(server.report(&sid, status).await, 204);
        }
    }
    server.signal("KILL");
    drop(server);

    let server = home.serve();
    for number in 0..20 {
        let (status, message) = server
            .get(&format!("/api/v1/messages/{CHANNEL}/SM{number:032x}"))
            .await;
        assert_eq!(status, 200);
        assert_eq!(message["status"], "delivered");
        assert_eq!(message["reports"].as_array().unwrap().len(), 2);
    }
}

#[rstest]
#[tokio::test]
async fn server_stops_in_time_on_sigterm(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let mut server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 204);
    let began = Instant::now();
    server.signal("TERM");
    assert!(server.wait(), "{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

#[rstest]
#[tokio::test]
async fn running_server_follows_changes_by_the_command_line(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    let server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 401);
    home.add_channel();
    until("the new channel is known", async || {
        server.report("SM1", "sent").await == 204
    })
    .await;
    home.run(&format!("channel disable {CHANNEL}"));
    until("the channel is disabled", async || {
        server.report("SM1", "read").await == 403
    })
    .await;
    home.run(&format!("channel enable {CHANNEL}"));
    until("the channel is enabled", async || {
        server.report("SM1", "read").await == 204
    })
    .await;

    let line = format!("credential add {CHANNEL} --user {USER} --password-stdin");
    let added = home.run_with_input(&line, "the next password");
    assert!(added.status.success());
    let status = async |password: &str| {
        let request = client()
            .post(server.report_url())
            .basic_auth(USER, Some(password));
        // 415 without a report: the caller is authenticated.
        request.send().await.unwrap().status().as_u16()
    };
    until("the second credential is known", async || {
        status("the next password").await == 415
    })
    .await;
    assert_eq!(status(PASSWORD).await, 415);
    let listed = home.json(&format!("credential list {CHANNEL}"));
    let first = listed[0]["id"].as_str().unwrap().to_owned();
    until("both credentials were used", async || {
        let listed = home.json(&format!("credential list {CHANNEL}"));
        let mut listed = listed.as_array().unwrap().iter();
        listed.all(|credential| credential["last_used"].is_string())
    })
    .await;
    home.run(&format!("credential remove {CHANNEL} {first}"));
    until("the credential is removed", async || {
        status(PASSWORD).await == 401
    })
    .await;
    assert_eq!(status("the next password").await, 415);
}

#[rstest]
#[tokio::test]
async fn every_request_gets_its_answer(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let home = Installation::new(engine).await;
    let server = home.serve();
    let address = |url: &str| url.trim_start_matches("http://").parse().unwrap();
    let service = Service {
        public: address(&server.public),
        operator: address(&server.operator),
        admin_token: ADMIN_TOKEN.to_owned(),
    };
    answers::every_request_gets_its_answer(&service, "engine").await;
}

#[rstest]
#[tokio::test]
async fn body_that_does_not_arrive_is_answered_408(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = home.serve();
    let address = server.public.trim_start_matches("http://").to_owned();
    let path = server.report_url().replace(&server.public, "");
    let authorization = traffic::request::authorization(USER, PASSWORD);
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nMessage"
    );
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = connection.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(25), read)
        .await
        .unwrap()
        .unwrap();
    let answer = text(&answer);
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("timeout"),
        "{answer}"
    );
}

#[test]
fn server_without_settings_uses_sqlite_and_generates_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let line = "serve --demo --public-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0";
        let mut command = bare_command(line);
        command.current_dir(folder.path());
        Server::start(command)
    };
    // A start that fails generates no token: it would be shown only this once.
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap();
    let mut failing = bare_command(&format!("serve --public-listen {address}"));
    failing.current_dir(folder.path());
    assert_eq!(run(failing, b"").status.code(), Some(1));

    let mut server = start();
    server.signal("TERM");
    assert!(server.wait());
    let data = folder.path().join("data");
    assert_eq!(mode_of(&data), 0o700);
    for file in [
        "secret-key",
        "admin-token",
        "receiptd.db",
        "demo-channel.json",
    ] {
        let mode = mode_of(&data.join(file));
        assert_eq!(mode, 0o600, "{file} among {:?}", files_in(&data));
    }
    let token = std::fs::read_to_string(data.join("admin-token")).unwrap();
    assert!(server.log().contains(token.trim()), "shown the first time");

    let mut server = start();
    server.signal("INT");
    assert!(server.wait());
    assert!(!server.log().contains(token.trim()), "and not again");
}

#[tokio::test]
async fn demo_prints_instructions_and_logs_every_report() {
    let home = Installation::new(Engine::Sqlite).await;
    let path = home.folder.path().join("stdout");
    let mut command = home.command("serve --demo");
    command.stdout(std::fs::File::create(&path).unwrap());
    let server = Server::start(command);
    let printed = || std::fs::read_to_string(&path).unwrap();
    until("the demo channel is shown", async || {
        printed().contains("Every report")
    })
    .await;
    let printed = printed();
    let program = env!("CARGO_BIN_EXE_receiptd");
    assert!(
        printed.contains(&format!("{program} message show")),
        "{printed}"
    );
    let shown = printed.lines();
    let shown = shown.filter_map(|line| line.trim().strip_prefix(program));
    for line in shown.filter(|line| line.starts_with(" message show")) {
        let output = run(bare_command(line), b"");
        let error = text(&output.stderr);
        assert!(error.contains("nothing was reported of message"), "{error}");
    }
    let docs = format!("{}/docs/", server.operator);
    assert!(printed.contains(&docs), "{printed}");
    let link = format!("{}/console/sign-in?link=", server.operator);
    let secret = printed.split(&link).nth(1).unwrap().lines().next().unwrap();
    let signed_in = client().get(format!("{link}{secret}")).send().await;
    // Without cookies the session does not come back, and the page says so.
    assert_eq!(signed_in.unwrap().url().path(), "/console/signed-in");
    let shown = |name: &str| {
        let mut lines = printed.lines();
        let value = lines.find_map(|line| line.trim_start().strip_prefix(name));
        value.unwrap().trim().to_owned()
    };
    let form = traffic::form::encode(&traffic::form::required_fields("SM42", "read"));
    let request = client()
        .post(server.report_url())
        .basic_auth(shown("user"), Some(shown("password")))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 204);
    until("the report is logged", async || {
        let log = server.log();
        let mut lines = log.lines();
        lines.any(|line| {
            line.contains("received a report") && line.contains("SM42") && line.contains("read")
        })
    })
    .await;

    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let server = Server::start(home.command("serve --demo"));
    until("the log says that there is no demo channel", async || {
        server.log().contains("no channel was made")
    })
    .await;
}

#[tokio::test]
async fn health_command_fails_when_the_server_is_not_running() {
    let home = Installation::new(Engine::Sqlite).await;
    let server = home.serve();
    let listen = server.operator.trim_start_matches("http://").to_owned();
    let line = format!("health --admin-listen {listen}");
    assert_eq!(home.run(&line), "");
    assert_eq!(home.json(&line)["alive"], true);
    drop(server);
    let output = home.run_with_input(&line, "");
    assert!(!output.status.success());
    assert!(!text(&output.stderr).contains(ADMIN_TOKEN));
}
