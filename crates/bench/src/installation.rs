//! Where a receiver runs: program, data folder, settings, addresses and log. It outlives the
//! processes that run in it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use traffic::integrator::Integrator;

use crate::receiver::Receiver;
use crate::{ADMIN_TOKEN, CHANNEL, PASSWORD, SECRET_KEY, USER};

pub struct Installation {
    program: PathBuf,
    folder: TempDir,
    data: PathBuf,
    /// `None` stores reports in the SQLite file of the data folder.
    database_url: Mutex<Option<String>>,
    settings: Vec<(String, String)>,
    /// Whose reports the channel accepts.
    integrator: Integrator,
    /// Whether processes are forbidden to write files; `None` if that cannot be changed.
    forbids_writes: Option<AtomicBool>,
    pub public: SocketAddr,
    pub operator: SocketAddr,
}

impl Installation {
    pub fn new(program: &Path, database_url: Option<&str>) -> Result<Self> {
        let folder = temporary_folder()?;
        Ok(Self {
            program: program.to_owned(),
            data: folder.path().join("data"),
            folder,
            database_url: Mutex::new(database_url.map(str::to_owned)),
            settings: Vec::new(),
            integrator: Integrator::Twilio,
            forbids_writes: None,
            public: free_address()?,
            operator: free_address()?,
        })
    }

    pub fn with(mut self, settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter();
        self.settings
            .extend(settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// Accepts the reports of this integrator instead of Twilio's.
    pub const fn of(mut self, integrator: Integrator) -> Self {
        self.integrator = integrator;
        self
    }

    pub fn with_data_in(mut self, folder: &Path) -> Self {
        self.data = folder.join("data");
        self
    }

    /// Makes [`Installation::allow_writes`] possible.
    pub fn with_write_switch(mut self) -> Self {
        self.forbids_writes = Some(AtomicBool::new(false));
        self
    }

    /// Whether processes that are started from now on may write files.
    pub fn allow_writes(&self, allowed: bool) {
        if let Some(forbids) = &self.forbids_writes {
            forbids.store(!allowed, Ordering::Relaxed);
        }
    }

    /// Uses another database from the next start on.
    pub fn use_database(&self, url: &str) {
        let current = self.database_url.lock();
        *current.unwrap_or_else(PoisonError::into_inner) = Some(url.to_owned());
    }

    /// Adds the channel that all reports are sent to. Creates the schema if there is none.
    pub fn add_channel(&self) -> Result<()> {
        let add = ["channel", "add", CHANNEL, "--name", "Load"];
        let integrator = ["--integrator", self.integrator.name()];
        let credential = ["--user", USER, "--password-stdin", "--json"];
        self.run(&[&add[..], &integrator, &credential].concat(), PASSWORD)
    }

    /// Gives the channel an account for reconciliation: SID, API key and its secret. The channel's
    /// messages are those of `sender`.
    pub fn add_account(&self, account: [&str; 3], sender: &str) -> Result<()> {
        let [sid, api_key, secret] = account;
        let update = ["channel", "update", CHANNEL, "--sender", sender];
        let account = ["--account-sid", sid, "--api-key-sid", api_key];
        let secret_file = ["--api-key-secret-file", "/dev/stdin"];
        self.run(&[&update[..], &account, &secret_file].concat(), secret)
    }

    /// Runs a command to its end.
    fn run(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        let command = arguments.get(..2).unwrap_or_default().join(" ");
        ensure!(output.status.success(), "`{command}` failed: {error}");
        Ok(())
    }

    /// Returns a receiver that is not started yet.
    pub fn receiver(self: &Arc<Self>, arguments: &'static [&'static str]) -> Receiver {
        Receiver::new(Arc::clone(self), arguments)
    }

    /// Starts the program with its output in the log.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        let mut log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        if self.forbids_writes.is_none() {
            return self.spawn_with(arguments, log.try_clone()?.into(), log.into());
        }
        // Pipes are not subject to the limit on files.
        let mut child = self.spawn_with(arguments, Stdio::null(), Stdio::piped())?;
        if let Some(mut stderr) = child.stderr.take() {
            thread::spawn(move || io::copy(&mut stderr, &mut log));
        }
        Ok(child)
    }

    pub fn spawn_with(&self, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Result<Child> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null());
        let child = command.stdout(stdout).stderr(stderr).spawn();
        child.with_context(|| format!("{} does not start", self.program.display()))
    }

    /// Returns what all processes have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn end_of_log(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(20)..);
        end.unwrap_or_default().join("\n")
    }

    /// Returns the SQLite file that is used without a database URL.
    pub fn sqlite_file(&self) -> PathBuf {
        self.data.join("receiptd.db")
    }

    /// Returns the files of the journal, oldest first, without quarantined ones.
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

    pub fn journal_bytes(&self) -> u64 {
        let metadata = self.journal().into_iter().map(fs::metadata);
        metadata.flatten().map(|file| file.len()).sum()
    }

    /// Returns the program with these settings only, and none from this environment.
    fn command(&self) -> Command {
        let mut command = match &self.forbids_writes {
            None => Command::new(&self.program),
            Some(forbids) => {
                // A write beyond the limit fails and does not end the process.
                let script = r#"trap '' XFSZ; ulimit -S -f "$0"; exec "$@""#;
                let forbids = forbids.load(Ordering::Relaxed);
                let limit = if forbids { "0" } else { "unlimited" };
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", script, limit]).arg(&self.program);
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RECEIPTD_") {
                command.env_remove(name);
            }
        }
        let url = self.database_url.lock();
        let url = url.unwrap_or_else(PoisonError::into_inner).clone();
        command
            .current_dir(self.folder.path())
            .envs(url.map(|url| ("RECEIPTD_DATABASE_URL", url)))
            .env("RECEIPTD_DATA_DIR", &self.data)
            .env("RECEIPTD_PUBLIC_LISTEN", self.public.to_string())
            .env("RECEIPTD_ADMIN_LISTEN", self.operator.to_string())
            .env("RECEIPTD_SECRET_KEY", SECRET_KEY)
            .env("RECEIPTD_ADMIN_TOKEN", ADMIN_TOKEN)
            .envs(self.settings.iter().cloned());
        command
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

pub fn temporary_folder() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    Ok(builder.prefix("receiptd-bench-").tempdir()?)
}

/// Returns the program that was built together with this one.
pub fn program_beside_us() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("receiptd");
    ensure!(
        program.is_file(),
        "{} does not exist; build it, or name another program",
        program.display()
    );
    Ok(program)
}

/// Returns an unused address below the ports of outgoing connections, which could take it
/// otherwise.
pub fn free_address() -> Result<SocketAddr> {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    // Programs that run at the same time begin far apart.
    let start = u16::try_from(std::process::id() % 20 * 100)?;
    for _ in 0..1_000 {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        let port = 30_000 + (start + tried) % 2_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port from 30000 to 31999 is free")
}
