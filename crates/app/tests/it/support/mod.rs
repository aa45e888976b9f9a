//! Runs the built program and talks to it.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read the environment and generate names"
)]

mod server;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

pub use server::Server;

/// The longest time that a test waits for anything.
const TIMEOUT: Duration = Duration::from_secs(30);

pub const CHANNEL: &str = "202105102694809992";
pub const USER: &str = "twilio";
pub const PASSWORD: &str = "pä:ss wörd: with colons";
pub const ADMIN_TOKEN: &str = "an-admin-token-for-tests";
pub const SECRET_KEY: &str = "a secret key for tests, long enough";

/// The database engine of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A data folder and an empty database for one test.
pub struct Installation {
    pub folder: TempDir,
    pub database_url: String,
    database: Option<(String, String)>,
}

impl Installation {
    pub async fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (database_url, database) = match engine {
            Engine::Sqlite => (
                format!("sqlite:{}", folder.path().join("test.db").display()),
                None,
            ),
            Engine::Postgres => {
                let server = server_url();
                let name = format!(
                    "it_{}",
                    uuid::Builder::from_random_bytes(random())
                        .into_uuid()
                        .simple()
                );
                let mut admin = PgConnection::connect(&server).await.unwrap();
                let create = format!("create database {name}");
                admin.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
                let (base, _) = server.rsplit_once('/').expect("a URL with a database");
                (format!("{base}/{name}"), Some((server, name)))
            }
        };
        Self {
            folder,
            database_url,
            database,
        }
    }

    /// Returns the program with the settings of this installation; see [`bare_command`].
    pub fn command(&self, line: &str) -> Command {
        let mut command = bare_command(line);
        command
            .env("RECEIPTD_DATABASE_URL", &self.database_url)
            .env("RECEIPTD_DATA_DIR", self.folder.path().join("data"))
            .env("RECEIPTD_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("RECEIPTD_SECRET_KEY", SECRET_KEY)
            .env("RECEIPTD_PUBLIC_LISTEN", "127.0.0.1:0")
            .env("RECEIPTD_ADMIN_LISTEN", "127.0.0.1:0");
        command
    }

    /// Runs a command with `input` on standard input until it ends.
    pub fn run_with_input(&self, line: &str, input: &str) -> Output {
        run(self.command(line), input.as_bytes())
    }

    /// Runs a command that must succeed, and returns its standard output.
    pub fn run(&self, line: &str) -> String {
        let output = self.run_with_input(line, "");
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command with `--json` that must succeed, and returns its answer.
    pub fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json"));
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    }

    /// Runs a command that must fail with this status and this text in its error.
    pub fn fails(&self, line: &str, status: i32, expected: &str) {
        let output = self.run_with_input(line, "");
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{line}: {stderr}");
        assert!(stderr.contains(expected), "{line}: {stderr}");
    }

    /// Adds [`CHANNEL`] with [`USER`] and [`PASSWORD`].
    pub fn add_channel(&self) {
        let line = format!("channel add {CHANNEL} --name Test --user {USER} --password-stdin");
        let output = self.run_with_input(&line, PASSWORD);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    pub fn serve(&self) -> Server {
        Server::start(self.command("serve"))
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let Some((server, name)) = self.database.take() else {
            return;
        };
        // A separate runtime: that of the test may be shutting down.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&server).await.unwrap();
                let drop = format!("drop database {name} with (force)");
                admin.execute(sqlx::AssertSqlSafe(drop)).await.unwrap();
            });
        });
        let _ = dropping.join();
    }
}

/// Returns the program without settings. The arguments are separated by spaces; those between
/// single quotes may contain spaces.
pub fn bare_command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_receiptd"));
    for (number, part) in line.split('\'').enumerate() {
        if number % 2 == 1 {
            command.arg(part);
        } else {
            command.args(part.split_whitespace());
        }
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env_remove("COLUMNS");
    for (name, _) in std::env::vars() {
        if name.starts_with("RECEIPTD_") {
            command.env_remove(name);
        }
    }
    command
}

pub fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A command that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sets what encrypts the connections of HTTP clients, once in a process.
pub fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub fn client() -> reqwest::Client {
    use_ring();
    reqwest::Client::builder().timeout(TIMEOUT).build().unwrap()
}

/// Polls until the condition holds.
pub async fn until<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < TIMEOUT, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .permissions()
        .mode()
        & 0o777
}

pub fn files_in(path: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect()
}

fn server_url() -> String {
    std::env::var("TEST_POSTGRES_URL")
        .expect("TEST_POSTGRES_URL is set by `make test`, which starts a PostgreSQL if necessary")
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
