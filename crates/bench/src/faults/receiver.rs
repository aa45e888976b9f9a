//! The program under test: its place on the disk, which outlives it, and the
//! process, which is stopped and killed.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bench::process::Usage;
use bench::receiver::{free_address, terminate, wait};
use bench::{ADMIN_TOKEN, CHANNEL, PASSWORD, SECRET_KEY, USER, http};
use serde_json::Value;
use tempfile::TempDir;

use crate::Stage;

/// How long a receiver may take to stop when it is asked to.
const STOP: Duration = Duration::from_secs(20);

/// The longest that a journal may take to be drained here.
const DRAIN: Duration = Duration::from_mins(2);

/// A data folder with settings and addresses, for one receiver at a time.
pub struct Home {
    program: PathBuf,
    folder: TempDir,
    /// Where the receiver keeps its journal, and the embedded database.
    pub data: PathBuf,
    database_url: String,
    variables: Vec<(&'static str, &'static str)>,
    public: SocketAddr,
    operator: SocketAddr,
}

/// A running receiver. Dropping it kills it.
pub struct Receiver<'a> {
    home: &'a Home,
    child: Child,
}

impl Home {
    /// A place for a receiver on a database.
    pub fn new(stage: &Stage, database_url: &str) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("receiptd-faults-")
            .tempdir()?;
        Ok(Self {
            program: stage.program.clone(),
            data: folder.path().join("data"),
            folder,
            database_url: database_url.to_owned(),
            variables: Vec::new(),
            public: free_address()?,
            operator: free_address()?,
        })
    }

    /// With a setting of its own.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// With its data somewhere else.
    pub fn with_data(mut self, data: &Path) -> Self {
        data.clone_into(&mut self.data);
        self
    }

    /// Where reports are sent to.
    pub const fn public(&self) -> SocketAddr {
        self.public
    }

    /// Adds the channel that all reports are about, to a database that is there.
    pub fn add_channel(&self) -> Result<()> {
        let mut child = self
            .command()
            .args(["channel", "add", CHANNEL, "--name", "Faults"])
            .args(["--user", USER, "--password-stdin", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(PASSWORD.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`channel add` failed: {error}");
        Ok(())
    }

    /// Starts a receiver and returns at once.
    pub fn launch(&self) -> Result<Receiver<'_>> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let child = self
            .command()
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", self.program.display()))?;
        Ok(Receiver { home: self, child })
    }

    /// Starts a receiver and waits until it takes reports.
    pub fn start(&self) -> Result<Receiver<'_>> {
        let mut receiver = self.launch()?;
        receiver.wait_until_ready()?;
        Ok(receiver)
    }

    /// What all its receivers have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The files of the journal, the oldest first; those set aside not among
    /// them.
    pub fn journal(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.data.join("journal")) else {
            return Vec::new();
        };
        let paths = entries.flatten().map(|entry| entry.path());
        let mut files: Vec<_> = paths
            .filter(|path| path.extension().is_some_and(|it| it == "log"))
            .collect();
        files.sort_unstable();
        files
    }

    /// How many bytes wait in the journal.
    pub fn journal_bytes(&self) -> u64 {
        let metadata = self.journal().into_iter().map(fs::metadata);
        metadata.flatten().map(|file| file.len()).sum()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RECEIPTD_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .env("RECEIPTD_DATABASE_URL", &self.database_url)
            .env("RECEIPTD_DATA_DIR", &self.data)
            .env("RECEIPTD_PUBLIC_LISTEN", self.public.to_string())
            .env("RECEIPTD_ADMIN_LISTEN", self.operator.to_string())
            .env("RECEIPTD_SECRET_KEY", SECRET_KEY)
            .env("RECEIPTD_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("RECEIPTD_LOG", "info")
            .envs(self.variables.iter().copied());
        command
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Receiver<'_> {
    /// How it is: status and parts of `/readyz`.
    pub fn health(&self) -> Result<(u16, Value)> {
        let (status, text) = http::get(self.home.operator, "/readyz")?;
        Ok((status, serde_json::from_str(&text)?))
    }

    /// The value of one of its counters.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let (status, text) = http::get(self.home.operator, "/metrics")?;
        ensure!(status == 200, "the metrics answer {status}");
        Ok(http::metric(&text, name))
    }

    /// Asks the operator's interface something, whatever it answers.
    pub fn ask(&self, path: &str) {
        let _ = http::get(self.home.operator, path);
    }

    /// Its memory in bytes.
    pub fn memory(&self) -> Result<u64> {
        Ok(Usage::of_tree(self.child.id())?.memory)
    }

    /// Waits until everything that was acknowledged has had its chance to get
    /// into the store: store there, journal empty.
    pub fn wait_until_drained(&self) -> Result<Duration> {
        let began = Instant::now();
        while began.elapsed() < DRAIN {
            if self.home.journal_bytes() == 0 && self.store_is_ready() {
                return Ok(began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let health = self.health();
        bail!(
            "the journal is not drained after {} s: {health:?}\n{}",
            DRAIN.as_secs(),
            end_of(&self.home.log())
        )
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and tells how long that took and how it ended.
    pub fn terminate(mut self) -> Result<(Duration, ExitStatus)> {
        let began = Instant::now();
        terminate(&mut self.child)?;
        let status = wait(&mut self.child, STOP * 2);
        let status = status.with_context(|| {
            let log = end_of(&self.home.log());
            format!("the receiver does not stop\n{log}")
        })?;
        Ok((began.elapsed(), status))
    }

    /// Stops it in good order.
    pub fn stop(self) -> Result<()> {
        let home = self.home;
        let (took, status) = self.terminate()?;
        ensure!(
            status.success() && took < STOP,
            "the receiver ended with {status} after {took:?}\n{}",
            end_of(&home.log())
        );
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the receiver ended with {status}\n{}",
                    end_of(&self.home.log())
                );
            }
            if matches!(self.health(), Ok((200, _))) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!(
            "the receiver is not ready after 30 s\n{}",
            end_of(&self.home.log())
        )
    }

    fn store_is_ready(&self) -> bool {
        let Ok((_, health)) = self.health() else {
            return false;
        };
        let parts = health.get("parts").and_then(Value::as_array);
        parts.into_iter().flatten().any(|part| {
            part.get("name").is_some_and(|name| name == "store")
                && part.get("condition").is_some_and(|it| it == "ready")
        })
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        // Has no effect on one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let end = lines.get(lines.len().saturating_sub(20)..);
    end.unwrap_or_default().join("\n")
}
