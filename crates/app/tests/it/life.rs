//! Start, stop, kill, restart; what is kept over them.

use std::time::{Duration, Instant};

use crate::answers;
use crate::service::Service;

use super::support::{
    ADMIN_TOKEN, CHANNEL, Engine, PASSWORD, RuntimeHandle, Server, USER, bare_command, client,
    files_in, mode_of, run, text, until,
};

async fn reports_survive_kill_9(engine: Engine) {
    let home = RuntimeHandle::new(engine).await;
    home.add_channel();
    let server = home.serve();
    for number in 0..20 {
        assert_eq!(
            server.report(&format!("SM{number:032x}"), "sent").await,
            204
        );
        assert_eq!(
            server
                .report(&format!("SM{number:032x}"), "delivered")
                .await,
            204
        );
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

async fn it_finishes_and_leaves_when_asked_to(engine: Engine) {
    let home = RuntimeHandle::new(engine).await;
    home.add_channel();
    let mut server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 204);
    let began = Instant::now();
    server.signal("TERM");
    assert!(server.wait(), "{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(20));
    assert!(!server.log().contains("ERROR"), "{}", server.log());
}

async fn changes_by_the_command_line_are_honoured_while_it_runs(engine: Engine) {
    let home = RuntimeHandle::new(engine).await;
    let server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 401);
    home.add_channel();
    until("the new channel", async || {
        server.report("SM1", "sent").await == 204
    })
    .await;
    home.run(&["channel", "disable", CHANNEL]);
    until("the switch", async || {
        server.report("SM1", "read").await == 403
    })
    .await;
    home.run(&["channel", "enable", CHANNEL]);
    until("the switch back", async || {
        server.report("SM1", "read").await == 204
    })
    .await;

    let args = [
        "credential",
        "add",
        CHANNEL,
        "--user",
        USER,
        "--password-stdin",
    ];
    assert!(
        home.run_with_input(&args, b"the next password")
            .status
            .success()
    );
    let second = async |password: &str| {
        let request = client()
            .post(server.report_url())
            .basic_auth(USER, Some(password));
        // Without a body it is no report, but the caller is proven or is not.
        request.send().await.unwrap().status().as_u16()
    };
    until("the second credential", async || {
        second("the next password").await == 415
    })
    .await;
    assert_eq!(second(PASSWORD).await, 415);
    let listed = home.json(&["credential", "list", CHANNEL]);
    let first = listed[0]["id"].as_str().unwrap().to_owned();
    until("the use of both", async || {
        let listed = home.json(&["credential", "list", CHANNEL]);
        listed
            .as_array()
            .unwrap()
            .iter()
            .all(|credential| credential["last_used"].is_string())
    })
    .await;
    home.run(&["credential", "remove", CHANNEL, &first]);
    until("the removal", async || second(PASSWORD).await == 401).await;
    assert_eq!(second("the next password").await, 415);
}

async fn what_the_simulator_sends_is_what_is_shown(engine: Engine) {
    let home = RuntimeHandle::new(engine).await;
    home.add_channel();
    let server = home.serve();
    let url = server.report_url();
    let args = [
        "simulate",
        "--url",
        &url,
        "--user",
        USER,
        "--password-stdin",
        "--messages",
        "150",
        "--rate",
        "2000",
        "--seed",
        "7",
        "--admin-url",
        &server.operator,
    ];
    let output = home.run_with_input(&args, PASSWORD.as_bytes());
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    // Another password: nothing is taken, and it says so.
    let output = home.run_with_input(&args, b"not the password");
    assert!(!output.status.success());
}

async fn every_request_gets_its_answer(engine: Engine) {
    let home = RuntimeHandle::new(engine).await;
    let server = home.serve();
    let address = |url: &str| url.trim_start_matches("http://").parse().unwrap();
    let service = Service {
        public: address(&server.public),
        operator: address(&server.operator),
        admin_token: ADMIN_TOKEN.to_owned(),
    };
    answers::every_request_gets_its_answer(&service, "engine").await;
}

async fn a_body_that_does_not_come_is_answered_408(engine: Engine) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let home = RuntimeHandle::new(engine).await;
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

macro_rules! on_both_engines {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::Engine::Sqlite).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(super::Engine::Postgres).await; })*
        }
    };
}

on_both_engines! {
    a_body_that_does_not_come_is_answered_408
    every_request_gets_its_answer
    reports_survive_kill_9
    it_finishes_and_leaves_when_asked_to
    changes_by_the_command_line_are_honoured_while_it_runs
    what_the_simulator_sends_is_what_is_shown
}

#[test]
fn without_any_setting_it_runs_on_sqlite_with_secrets_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let listen = [
        "--public-listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ];
    let start = || {
        let mut command = bare_command(&[&["serve", "--demo"], &listen[..]].concat());
        command.current_dir(folder.path());
        command
    };
    // A start that fails makes no token, which it could not show when it has made it.
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let mut failing = bare_command(&["serve", "--public-listen", &address]);
    failing.current_dir(folder.path());
    assert_eq!(run(failing, b"").status.code(), Some(1));

    let mut server = Server::start(start());
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
        assert_eq!(
            mode_of(&data.join(file)),
            0o600,
            "{file} among {:?}",
            files_in(&data)
        );
    }
    let token = std::fs::read_to_string(data.join("admin-token")).unwrap();
    assert!(server.log().contains(token.trim()), "shown the first time");

    let mut server = Server::start(start());
    server.signal("INT");
    assert!(server.wait());
    assert!(!server.log().contains(token.trim()), "and not again");
}

#[tokio::test]
async fn demo_says_how_to_try_it_and_writes_a_line_for_every_report() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let path = home.folder.path().join("stdout");
    let mut command = home.command(&["serve", "--demo"]);
    command.stdout(std::fs::File::create(&path).unwrap());
    let server = Server::start(command);
    let said = || std::fs::read_to_string(&path).unwrap();
    until("the demo channel is shown", async || {
        said().contains("Every report")
    })
    .await;
    let said = said();
    let program = env!("CARGO_BIN_EXE_receiptd");
    assert!(said.contains(&format!("{program} message show")), "{said}");
    assert!(
        said.contains(&format!("{}/docs/", server.operator)),
        "{said}"
    );
    let shown = |name: &str| {
        let mut lines = said.lines();
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
    until("the report is shown", async || {
        let log = server.log();
        let mut lines = log.lines();
        lines.any(|line| {
            line.contains("received a report") && line.contains("SM42") && line.contains("read")
        })
    })
    .await;

    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let server = Server::start(home.command(&["serve", "--demo"]));
    until("it says that there is no demo channel", async || {
        server.log().contains("no channel was made")
    })
    .await;
}

#[test]
fn simulator_stops_at_once_when_nothing_answers() {
    let closed = || {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "http://u:p@{}/social/on/whatsapp/twilio/report/1#rc=5&rp=all",
        closed()
    );
    let (url, admin) = (url.as_str(), format!("http://{}", closed()));
    let mut command = bare_command(&["simulate", "--url", url, "--admin-url", &admin]);
    command
        .current_dir(folder.path())
        .env("RECEIPTD_ADMIN_TOKEN", ADMIN_TOKEN);
    let began = Instant::now();
    let output = run(command, b"");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains(&format!("nothing answers at {admin}")),
        "{stderr}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn simulator_stops_at_once_when_nothing_answers_at_the_callback_url() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let server = home.serve();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = socket.local_addr().unwrap();
    drop(socket);
    let url = format!("http://u:p@{closed}/social/on/whatsapp/twilio/report/{CHANNEL}#rc=5");
    let began = Instant::now();
    let args = ["simulate", "--url", &url, "--admin-url", &server.operator];
    let output = home.run_with_input(&args, b"");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains(&format!("nothing answers at http://{closed}")),
        "{stderr}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}
#[test]
fn on_postgresql_the_secret_key_is_asked_for() {
    let mut command = bare_command(&["serve"]);
    command.env(
        "RECEIPTD_DATABASE_URL",
        "postgres://nobody:secret@127.0.0.1:1/none",
    );
    let output = run(command, b"");
    let said = text(&output.stderr);
    assert!(
        !output.status.success() && said.contains("RECEIPTD_SECRET_KEY"),
        "{said}"
    );
    assert!(!said.contains("nobody:secret"), "{said}");
}

#[tokio::test]
async fn a_receiver_that_starts_while_postgresql_is_away_proves_callers_and_keeps_reports() {
    let home = RuntimeHandle::new(Engine::Postgres).await;
    home.add_channel();
    let mut server = home.serve();
    assert_eq!(server.report("SM1", "sent").await, 204);
    server.signal("TERM");
    assert!(server.wait());

    // The same receiver, with a server that is not there.
    let mut command = home.command(&["serve"]);
    command.env("RECEIPTD_DATABASE_URL", "postgres://127.0.0.1:1/none");
    let mut server = Server::start(command);
    assert_eq!(server.report("SM1", "delivered").await, 204);
    assert_eq!(server.report("SM2", "sent").await, 204);
    let ready = client()
        .get(format!("{}/readyz", server.operator))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status().as_u16(), 200);
    assert!(ready.text().await.unwrap().contains("degraded"));
    server.signal("TERM");
    assert!(server.wait());

    let server = home.serve();
    until("the journal to be drained", async || {
        let (status, message) = server.get(&format!("/api/v1/messages/{CHANNEL}/SM2")).await;
        status == 200 && message["status"] == "sent"
    })
    .await;
    let (_, message) = server.get(&format!("/api/v1/messages/{CHANNEL}/SM1")).await;
    assert_eq!(message["status"], "delivered");
}

#[tokio::test]
async fn the_health_command_tells_whether_it_is_alive() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let server = home.serve();
    let listen = server.operator.trim_start_matches("http://").to_owned();
    home.run(&["health", "--admin-listen", &listen]);
    drop(server);
    let output = home.run_with_input(&["health", "--admin-listen", &listen], b"");
    assert!(!output.status.success());
    assert!(!text(&output.stderr).contains(ADMIN_TOKEN));
}
