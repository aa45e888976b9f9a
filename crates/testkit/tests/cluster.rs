//! The throw-away PostgreSQL server, and `with-postgres`, on the real programs.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use testkit::cluster::{Cluster, Options};

fn query(cluster: &Cluster, sql: &str) -> String {
    let output = Command::new(cluster.bin_dir().join("psql"))
        .args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--quiet",
            "--command",
            sql,
        ])
        .arg(cluster.url("postgres"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{sql}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < limit, "still not so: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_cluster_answers_with_the_settings_it_was_given() {
    let cluster = Cluster::start_with(&Options {
        durable: true,
        settings: vec!["wal_level=logical".into(), "application_name = it's".into()],
    })
    .unwrap();

    assert_eq!(query(&cluster, "show max_connections"), "300");
    assert_eq!(query(&cluster, "show fsync"), "on");
    assert_eq!(query(&cluster, "show wal_level"), "logical");
    assert_eq!(query(&cluster, "show server_encoding"), "UTF8");
    assert_eq!(
        query(&cluster, "show data_directory"),
        cluster.data_dir().to_str().unwrap()
    );
    assert_eq!(
        query(&cluster, "show unix_socket_directories"),
        cluster.socket_dir().to_str().unwrap()
    );
}

#[test]
fn commits_survive_a_crash_of_the_server_and_a_stop() {
    let cluster = Cluster::start().unwrap();
    assert_eq!(query(&cluster, "show fsync"), "off");
    query(
        &cluster,
        "create table kept (id int); insert into kept values (1)",
    );
    let first = cluster.postmaster_pid().unwrap();

    cluster.stop_immediately().unwrap();
    assert!(!is_listening(cluster.port()));
    assert!(cluster.postmaster_pid().is_err());
    cluster.start_again().unwrap();
    assert_ne!(cluster.postmaster_pid().unwrap(), first);
    query(&cluster, "insert into kept values (2)");
    cluster.stop_fast().unwrap();
    cluster.start_again().unwrap();

    assert_eq!(query(&cluster, "select count(*) from kept"), "2");
}

#[test]
fn clusters_do_not_meet() {
    let (one, other) = (Cluster::start().unwrap(), Cluster::start().unwrap());
    query(&one, "create table here ()");

    assert_ne!(one.port(), other.port());
    assert_eq!(query(&other, "select to_regclass('here') is null"), "t");
}

#[test]
fn dropping_a_cluster_stops_it_and_removes_its_files() {
    let cluster = Cluster::start().unwrap();
    let (port, data) = (cluster.port(), cluster.data_dir());
    assert!(is_listening(port));

    drop(cluster);

    assert!(!is_listening(port));
    assert!(!data.parent().unwrap().exists());
}

#[test]
fn a_setting_the_server_refuses_is_reported_with_its_words() {
    let options = Options {
        settings: vec!["max_connections=many".into()],
        ..Options::default()
    };

    let error = Cluster::start_with(&options).unwrap_err().to_string();

    assert!(error.contains("invalid value for parameter"), "{error}");
}

/// Starts `with-postgres sh -c SCRIPT` and reads the URL that the script prints first. On SIGTERM
/// the script exits with 9.
fn with_postgres(script: &str) -> (Child, u16, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_with-postgres"))
        .args([
            "sh",
            "-c",
            // The trap is set before the test can send a signal.
            &format!("trap 'exit 9' TERM; echo \"$TEST_POSTGRES_URL\"; {script}"),
        ])
        .env_remove("TEST_POSTGRES_URL")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    let port = url
        .trim()
        .rsplit([':', '/'])
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    (child, port, url)
}

fn send(signal: &str, child: &Child) {
    let kill = format!("kill -{signal} {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn with_postgres_passes_the_url_on_and_the_status_back() {
    let (mut child, port, url) = with_postgres("exit 7");

    assert_eq!(
        url,
        format!("postgres://postgres@127.0.0.1:{port}/postgres\n")
    );
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(!is_listening(port));
}

#[test]
fn with_postgres_uses_the_server_it_is_given() {
    let output = Command::new(env!("CARGO_BIN_EXE_with-postgres"))
        .args(["sh", "-c", "echo \"$TEST_POSTGRES_URL\""])
        .env("TEST_POSTGRES_URL", "postgres://somewhere/else")
        .output()
        .unwrap();

    assert_eq!(output.stdout, b"postgres://somewhere/else\n");
}

#[test]
fn with_postgres_hands_a_termination_on_and_stops_the_server_after_the_command() {
    let (mut child, port, _) = with_postgres("while :; do sleep 0.1; done");
    assert!(is_listening(port));

    send("INT", &child);
    send("TERM", &child);

    assert_eq!(child.wait().unwrap().code(), Some(9));
    assert!(!is_listening(port));
}

#[test]
fn the_server_does_not_outlive_a_killed_with_postgres() {
    // `exec`, so that the command ends by itself when the test does not end it.
    let (mut child, port, _) = with_postgres("exec sleep 30 2>/dev/null");
    assert!(is_listening(port));

    send("KILL", &child);
    child.wait().unwrap();

    wait_until("the port is closed", || !is_listening(port));
}
