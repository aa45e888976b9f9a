//! Standard output and standard error that cannot be written.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, ChildStderr, Command, Stdio};

use super::support::{
    ADMIN_TOKEN, CHANNEL, Engine, RuntimeHandle, Server, USER, client, run, text, until,
};

/// More than a pipe holds, at more than 100 bytes each.
const LOGGED_REQUESTS: usize = 1_000;

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A server at addresses of its own, so that its log need not be read.
struct Unheard {
    server: Server,
    stderr: Option<ChildStderr>,
}

async fn serve(home: &RuntimeHandle, stderr: Stdio) -> Unheard {
    let addresses = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [public, operator] = addresses.map(|socket| socket.local_addr().unwrap().to_string());
    let mut command = home.command(&["serve"]);
    command
        .env("RECEIPTD_PUBLIC_LISTEN", &public)
        .env("RECEIPTD_ADMIN_LISTEN", &operator)
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut child: Child = command.spawn().unwrap();
    let stderr = child.stderr.take();
    let server = Server::running(child, &public, &operator);
    until("the server answers", async || server.is_alive().await).await;
    Unheard { server, stderr }
}

/// Requests that are logged, and reports between them, are all answered.
async fn answers_while_it_logs(server: &Server, requests: usize) {
    let client = client();
    // What changes something is logged, and so is what it changes.
    let url = format!("{}/api/v1/cursors/{}", server.operator, "x".repeat(60));
    for number in 0..requests {
        let request = client.delete(&url).bearer_auth(ADMIN_TOKEN);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 404);
        if number % 100 == 0 {
            assert_eq!(server.report(&format!("SM{number}"), "sent").await, 204);
        }
    }
}

async fn dropped(server: &Server) -> f64 {
    server.metric("receiptd_log_lines_dropped_total").await
}

fn stops(mut server: Server) {
    server.signal("TERM");
    assert!(server.wait());
}

#[tokio::test]
async fn closed_stderr_fails_no_request_and_stops_no_server() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let Unheard { server, stderr } = serve(&home, Stdio::piped()).await;
    let mut first_line = String::new();
    BufReader::with_capacity(1, stderr.unwrap())
        .read_line(&mut first_line)
        .unwrap();
    assert!(first_line.contains("INFO"), "{first_line}");
    answers_while_it_logs(&server, 10).await;
    assert!(dropped(&server).await >= 1.0);
    stops(server);
}

#[tokio::test]
async fn full_stderr_fails_no_request_and_stops_no_server() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let Unheard { server, .. } = serve(&home, full().into()).await;
    answers_while_it_logs(&server, 10).await;
    assert!(dropped(&server).await >= 1.0);
    stops(server);
}

#[tokio::test]
async fn unread_stderr_blocks_no_request_and_its_lines_come_out_when_it_is_read() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let Unheard { server, stderr } = serve(&home, Stdio::piped()).await;
    let mut stderr = stderr.unwrap();
    answers_while_it_logs(&server, LOGGED_REQUESTS).await;
    // It ends although nobody reads.
    stops(server);
    let mut log = Vec::new();
    stderr.read_to_end(&mut log).unwrap();
    assert!(log.len() >= 60_000, "the pipe was full: {}", log.len());
}

#[tokio::test]
async fn failing_start_says_why_before_the_process_ends() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = home.command(&["serve"]);
    command.env(
        "RECEIPTD_PUBLIC_LISTEN",
        taken.local_addr().unwrap().to_string(),
    );
    let output = run(command, b"");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("RECEIPTD_PUBLIC_LISTEN"), "{stderr}");
}

/// What a command says on standard error and exits with, when its standard output is this.
fn run_into(mut command: Command, stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    command.stdout(stdout);
    let output = run(command, b"");
    (output.status.code(), text(&output.stderr))
}

/// The writing end of a pipe whose reader has gone away.
fn unread() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

#[tokio::test]
async fn secret_that_cannot_be_shown_is_not_issued() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let target = "https://hooks.example.com/events";
    let subscription = home.json(&["subscription", "add", target]);
    let id = subscription["id"].as_str().unwrap();
    let commands = [
        &["channel", "add", "42", "--name", "n", "--user", USER][..],
        &["credential", "add", CHANNEL, "--user", USER],
        &["subscription", "add", target],
        &["subscription", "rotate", id],
    ];
    let shown = || {
        [
            home.json(&["channel", "list"]),
            home.json(&["subscription", "list"]),
        ]
    };
    let before = shown();
    for args in commands {
        for json in [&[][..], &["--json"]] {
            let command = || home.command(&[args, json].concat());
            let to_full = run_into(command(), full());
            let to_nobody = run_into(command(), unread());
            for (code, stderr) in [to_full, to_nobody] {
                assert_eq!(code, Some(1), "{args:?}: {stderr}");
                assert!(stderr.contains("nothing was changed"), "{args:?}: {stderr}");
            }
        }
    }
    assert_eq!(shown(), before);
}

#[tokio::test]
async fn answer_that_cannot_be_written_is_an_error_unless_its_reader_has_gone_away() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    for args in [
        &["--help"][..],
        &["channel", "list"],
        &["channel", "show", CHANNEL, "--json"],
        &["config", "check"],
        &["channel", "disable", CHANNEL],
    ] {
        let (code, stderr) = run_into(home.command(args), full());
        assert_eq!(code, Some(1), "{args:?}");
        assert!(
            stderr.contains("standard output cannot be written"),
            "{stderr}"
        );
        let (code, stderr) = run_into(home.command(args), unread());
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}");
    }
}
