//! A receiver's place on the disk, which outlives it: data, settings, addresses
//! and log.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use bench::receiver::free_address;
use bench::{ADMIN_TOKEN, CHANNEL, PASSWORD, SECRET_KEY, USER};
use tempfile::TempDir;

use crate::Stage;
use crate::receiver::Receiver;
use crate::worker::Worker;

/// A data folder with settings and addresses, for one receiver at a time.
pub struct RuntimeHandle {
    program: PathBuf,
    folder: TempDir,
    /// Where the receiver keeps its journal, and the embedded database.
    pub data: PathBuf,
    database_url: String,
    variables: Vec<(&'static str, &'static str)>,
    /// Whether its receivers can be kept from writing to files, and are.
    limit: Option<AtomicBool>,
    public: SocketAddr,
    operator: SocketAddr,
}

impl RuntimeHandle {
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
            limit: None,
            public: free_address()?,
            operator: free_address()?,
        })
    }

    /// The same place on another database.
    pub fn on(mut self, database_url: &str) -> Self {
        database_url.clone_into(&mut self.database_url);
        self
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

    /// With receivers that can be kept from writing to files.
    pub fn with_limit(mut self) -> Self {
        self.limit = Some(AtomicBool::new(false));
        self
    }

    /// Whether receivers that are started from now on may write to files.
    pub fn may_write(&self, may: bool) {
        if let Some(limited) = &self.limit {
            limited.store(!may, Ordering::Relaxed);
        }
    }

    /// Where reports are sent to.
    pub const fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where operators ask.
    pub const fn operator(&self) -> SocketAddr {
        self.operator
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
        Ok(Receiver::of(self, self.spawn(&["serve"])?))
    }

    /// Starts a receiver and waits until it takes reports.
    pub fn start(&self) -> Result<Receiver<'_>> {
        let mut receiver = self.launch()?;
        receiver.wait_until_ready()?;
        Ok(receiver)
    }

    /// The same for one that pushes no events.
    pub fn start_without_workers(&self) -> Result<Receiver<'_>> {
        let child = self.spawn(&["serve", "--no-workers"])?;
        let mut receiver = Receiver::of(self, child);
        receiver.wait_until_ready()?;
        Ok(receiver)
    }

    /// Starts a worker and returns at once.
    pub fn launch_worker(&self) -> Result<Worker> {
        Ok(Worker::of(self.spawn(&["worker"])?))
    }

    /// Starts a receiver whose standard error this is, and returns at once.
    pub fn spawn_with_stderr(&self, stderr: Stdio) -> Result<Child> {
        let mut command = self.command();
        command.arg("serve").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(stderr);
        let no_start = || format!("{} does not start", self.program.display());
        command.spawn().with_context(no_start)
    }

    fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null());
        let no_start = || format!("{} does not start", self.program.display());
        if self.limit.is_none() {
            command.stdout(log.try_clone()?).stderr(log);
            return command.spawn().with_context(no_start);
        }
        // The limit is one of files, and not of pipes.
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(no_start)?;
        if let Some(mut said) = child.stderr.take() {
            let mut log = log;
            thread::spawn(move || io::copy(&mut said, &mut log));
        }
        Ok(child)
    }

    /// What all its receivers and workers have logged.
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
        let mut command = match &self.limit {
            None => Command::new(&self.program),
            Some(limited) => {
                // What goes beyond the limit fails, and does not end the process.
                let mut shell = Command::new("/bin/sh");
                let limited = if limited.load(Ordering::Relaxed) {
                    "0"
                } else {
                    "unlimited"
                };
                let script = r#"trap '' XFSZ; ulimit -S -f "$0"; exec "$@""#;
                shell.args(["-c", script, limited]).arg(&self.program);
                shell
            }
        };
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
