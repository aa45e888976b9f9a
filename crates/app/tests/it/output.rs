//! Standard output and standard error that cannot be written.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{ChildStderr, Command, Stdio};

use super::support::{
    ADMIN_TOKEN, CHANNEL, Engine, Installation, Server, USER, client, run, text, until,
};

/// At more than 100 bytes each, these requests log more than a pipe holds.
const LOGGED_REQUESTS: usize = 1_000;

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// Starts a server at known addresses, so that its log need not be read.
async fn serve(home: &Installation, stderr: Stdio) -> (Server, Option<ChildStderr>) {
    let addresses = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [public, operator] = addresses.map(|socket| socket.local_addr().unwrap().to_string());
    let mut command = home.command("serve");
    command
        .env("RECEIPTD_PUBLIC_LISTEN", &public)
        .env("RECEIPTD_ADMIN_LISTEN", &operator)
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut child = command.spawn().unwrap();
    let stderr = child.stderr.take();
    let server = Server::running(child, &public, &operator);
    until("the server answers", async || server.is_alive().await).await;
    (server, stderr)
}

/// Sends requests that are logged, and reports between them. All must be answered.
async fn answers_while_it_logs(server: &Server, requests: usize) {
    let client = client();
    // Requests that change something are logged with their path.
    let url = format!("{}/api/v1/cursors/{}", server.operator, "x".repeat(60));
    for number in 0..requests {
        let request = client.delete(&url).bearer_auth(ADMIN_TOKEN);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 404);
        if number % 100 == 0 {
            assert_eq!(server.report(&format!("SM{number}"), "sent").await, 204);
        }
    }
}

async fn dropped_lines(server: &Server) -> f64 {
    server.metric("receiptd_log_lines_dropped_total").await
}

#[tokio::test]
async fn closed_stderr_fails_no_request_and_stops_no_server() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let (server, stderr) = serve(&home, Stdio::piped()).await;
    let mut first_line = String::new();
    BufReader::with_capacity(1, stderr.unwrap())
        .read_line(&mut first_line)
        .unwrap();
    assert!(first_line.contains("INFO"), "{first_line}");
    answers_while_it_logs(&server, 10).await;
    assert!(dropped_lines(&server).await >= 1.0);
    server.stop();
}

#[tokio::test]
async fn full_stderr_fails_no_request_and_stops_no_server() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let (server, _) = serve(&home, full().into()).await;
    answers_while_it_logs(&server, 10).await;
    assert!(dropped_lines(&server).await >= 1.0);
    server.stop();
}

#[tokio::test]
async fn unread_stderr_blocks_no_request_and_its_lines_can_be_read_later() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let (server, stderr) = serve(&home, Stdio::piped()).await;
    answers_while_it_logs(&server, LOGGED_REQUESTS).await;
    server.stop();
    let mut log = Vec::new();
    stderr.unwrap().read_to_end(&mut log).unwrap();
    assert!(log.len() >= 60_000, "the pipe was full: {}", log.len());
}

#[tokio::test]
async fn failing_start_says_why_before_the_process_ends() {
    let home = Installation::new(Engine::Sqlite).await;
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap();
    let line = format!("serve --public-listen {address}");
    home.fails(&line, 1, "RECEIPTD_PUBLIC_LISTEN");
}

/// Runs a command with this standard output, and returns its status and standard error.
fn run_into(mut command: Command, stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    command.stdout(stdout);
    let output = run(command, b"");
    (output.status.code(), text(&output.stderr))
}

/// Returns the writing end of a pipe whose reading end is closed.
fn closed() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

#[tokio::test]
async fn secret_that_cannot_be_shown_is_not_issued() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let add = "subscription add https://hooks.example.com/events";
    let subscription = home.json(add);
    let id = subscription["id"].as_str().unwrap();
    let shown = || ["channel list", "subscription list"].map(|line| home.json(line));
    let before = shown();
    for line in [
        &format!("channel add 42 --name n --user {USER}"),
        &format!("credential add {CHANNEL} --user {USER}"),
        add,
        &format!("subscription rotate {id}"),
    ] {
        for json in ["", " --json"] {
            let command = || home.command(&format!("{line}{json}"));
            let to_full = run_into(command(), full());
            let to_closed = run_into(command(), closed());
            for (code, stderr) in [to_full, to_closed] {
                assert_eq!(code, Some(1), "{line}: {stderr}");
                assert!(stderr.contains("nothing was changed"), "{line}: {stderr}");
            }
        }
    }
    assert_eq!(shown(), before);
}

#[tokio::test]
async fn answer_that_cannot_be_written_is_an_error_unless_the_pipe_is_closed() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    for line in [
        "--help",
        "channel list",
        &format!("channel show {CHANNEL} --json"),
        "config check",
        &format!("channel disable {CHANNEL}"),
    ] {
        let (code, stderr) = run_into(home.command(line), full());
        assert_eq!(code, Some(1), "{line}");
        assert!(
            stderr.contains("standard output cannot be written"),
            "{stderr}"
        );
        let (code, stderr) = run_into(home.command(line), closed());
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{line}");
    }
}
