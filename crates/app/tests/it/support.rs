//! Starts the built program and speaks with it.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read the environment and make names of their own"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub const CHANNEL: &str = "202105102694809992";
pub const USER: &str = "twilio";
pub const PASSWORD: &str = "pä:ss wörd: with colons";
pub const ADMIN_TOKEN: &str = "an-admin-token-for-tests";
pub const SECRET_KEY: &str = "a secret key for tests, long enough";

/// Which engine keeps the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A place of its own for one test: a data folder and an empty database.
pub struct RuntimeHandle {
    pub folder: TempDir,
    pub database_url: String,
    database: Option<(String, String)>,
}

impl RuntimeHandle {
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

    /// The program with this home's settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = bare_command(args);
        command
            .env("RECEIPTD_DATABASE_URL", &self.database_url)
            .env("RECEIPTD_DATA_DIR", self.folder.path().join("data"))
            .env("RECEIPTD_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("RECEIPTD_SECRET_KEY", SECRET_KEY)
            .env("RECEIPTD_PUBLIC_LISTEN", "127.0.0.1:0")
            .env("RECEIPTD_ADMIN_LISTEN", "127.0.0.1:0");
        command
    }

    /// Runs a command to its end with this on standard input.
    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Output {
        run(self.command(args), input)
    }

    /// Runs a command that must succeed, and gives its standard output.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.run_with_input(args, b"");
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs a command with `--json` that must succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    }

    /// Adds [`CHANNEL`] with [`USER`] and [`PASSWORD`].
    pub fn add_channel(&self) {
        let args = [
            "channel",
            "add",
            CHANNEL,
            "--name",
            "Test",
            "--user",
            USER,
            "--password-stdin",
        ];
        let output = self.run_with_input(&args, format!("{PASSWORD}\n").as_bytes());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    pub fn serve(&self) -> Server {
        Server::start(self.command(&["serve"]))
    }
}

impl Drop for RuntimeHandle {
    fn drop(&mut self) {
        let Some((server, name)) = self.database.take() else {
            return;
        };
        // A runtime of its own: the test's may be ending.
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

/// The program without any setting but those given.
pub fn bare_command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_receiptd"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
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

/// A server that runs, or a worker that is watched where a server has the operator's
/// listener. It is killed when dropped.
pub struct Server {
    child: Child,
    pub public: String,
    pub operator: String,
    pub lines: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (sender, addresses) = std::sync::mpsc::channel();
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Some(found) = addresses_in(&line) {
                    let _ = sender.send(found);
                }
                kept.lock().unwrap().push(line);
            }
        });
        let Ok((public, operator)) = addresses.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("the server did not start: {:#?}", lines.lock().unwrap());
        };
        Self {
            child,
            public,
            operator,
            lines,
        }
    }

    /// A server that was started with these addresses; nothing reads its log.
    pub fn running(child: Child, public: &str, operator: &str) -> Self {
        Self {
            child,
            public: format!("http://{public}"),
            operator: format!("http://{operator}"),
            lines: std::sync::Arc::default(),
        }
    }

    /// Whether it answers.
    pub async fn is_alive(&self) -> bool {
        let request = client().get(format!("{}/healthz", self.operator));
        request.send().await.is_ok()
    }

    /// Name and niceness of each of its threads.
    pub fn threads(&self) -> Vec<(String, i32)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let mut threads = Vec::new();
        for task in tasks.flatten() {
            // One that ends meanwhile is not there any more.
            let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
                continue;
            };
            let (name, fields) = stat.rsplit_once(')').unwrap();
            let name = name.split_once('(').unwrap().1.to_owned();
            let niceness = fields.split_whitespace().nth(16).unwrap();
            threads.push((name, niceness.parse().unwrap()));
        }
        threads
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    pub fn report_url(&self) -> String {
        format!("{}/social/on/whatsapp/twilio/report/{CHANNEL}", self.public)
    }

    /// Sends a report with credentials and gives the status.
    pub async fn report(&self, sid: &str, status: &str) -> u16 {
        let body = traffic::form::encode(&traffic::form::required_fields(sid, status));
        let request = client()
            .post(self.report_url())
            .basic_auth(USER, Some(PASSWORD))
            .header(
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(body);
        request
            .send()
            .await
            .map_or(0, |answer| answer.status().as_u16())
    }

    /// Asks the operator's API.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request = client()
            .get(format!("{}{path}", self.operator))
            .bearer_auth(ADMIN_TOKEN);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let request = client().get(format!("{}/metrics", self.operator));
        let answer = request.bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        let metrics = answer.text().await.unwrap();
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("there is no {name}: {metrics}"));
        value.parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(done.unwrap().success());
    }

    /// Waits for the end, and tells whether it was a good one.
    pub fn wait(&mut self) -> bool {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn addresses_in(line: &str) -> Option<(String, String)> {
    let url = |text: &str| {
        let address = text.split_whitespace().next()?;
        let plain = |c: &char| c.is_ascii_digit() || ".:".contains(*c);
        let address: String = address.chars().filter(plain).collect();
        Some(format!("http://{address}"))
    };
    if let Some((_, watched)) = line.split_once("metrics and health are on ") {
        return Some((String::new(), url(watched)?));
    }
    let (_, rest) = line.split_once("receiving reports on ")?;
    let (public, operator) = rest.split_once(", the operator's API is on ")?;
    Some((url(public)?, url(operator)?))
}

pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

/// Asks again until the answer is the one waited for.
pub async fn until<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "waited for: {what}");
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
        .expect("TEST_POSTGRES_URL is set by `make test`, which starts a PostgreSQL if need be")
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
