//! The program under test: started, waited for, stopped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::{ADMIN_TOKEN, CHANNEL, PASSWORD, SECRET_KEY, USER, http};

/// A running server.
pub struct Receiver {
    child: Child,
    folder: TempDir,
    public: SocketAddr,
    operator: SocketAddr,
    /// From its start until it could take reports.
    pub ready_after: Duration,
}

/// How a server is started.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The built program.
    pub program: &'a Path,
    /// Where the reports go; `None` takes the file in its data folder.
    pub database_url: Option<&'a str>,
    /// More variables of its environment.
    pub variables: &'a [(&'a str, &'a str)],
    /// Whether there is a channel to report to.
    pub with_channel: bool,
}

impl Receiver {
    /// Starts a server and waits until it can take reports.
    pub fn start(setup: Setup<'_>) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("receiptd-bench-")
            .tempdir()?;
        let (public, operator) = (free_address()?, free_address()?);
        let program = || {
            let mut program = program(setup, folder.path());
            program.env("RECEIPTD_PUBLIC_LISTEN", public.to_string());
            program.env("RECEIPTD_ADMIN_LISTEN", operator.to_string());
            program
        };
        if setup.with_channel {
            add_channel(program())?;
        }
        let log = File::create(folder.path().join("log"))?;
        let began = Instant::now();
        let child = program()
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} does not start", setup.program.display()))?;
        let mut receiver = Self {
            child,
            folder,
            public,
            operator,
            ready_after: Duration::ZERO,
        };
        receiver.wait_until_ready(began)?;
        Ok(receiver)
    }

    /// Where reports are sent to.
    #[must_use]
    pub const fn public(&self) -> SocketAddr {
        self.public
    }

    /// Where operators ask.
    #[must_use]
    pub const fn operator(&self) -> SocketAddr {
        self.operator
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that reports are kept in without a database server.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        data_dir(self.folder.path()).join("receiptd.db")
    }

    /// Its metrics as text.
    pub fn metrics(&self) -> Result<String> {
        let (status, text) = http::get(self.operator, "/metrics")?;
        ensure!(status == 200, "the metrics answer {status}");
        Ok(text)
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        terminate(&mut self.child)?;
        let status = wait(&mut self.child, Duration::from_secs(30))?;
        ensure!(
            status.success(),
            "the server ended with {status}\n{}",
            self.end_of_log()
        );
        Ok(())
    }

    fn wait_until_ready(&mut self, began: Instant) -> Result<()> {
        while began.elapsed() < Duration::from_secs(30) {
            if let Ok((200, _)) = http::get(self.operator, "/readyz") {
                self.ready_after = began.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}\n{}", self.end_of_log());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("the server is not ready after 30 s\n{}", self.end_of_log())
    }

    fn end_of_log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines
            .get(lines.len().saturating_sub(15)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Has no effect on one that was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with settings of its own and none from this environment.
fn program(setup: Setup<'_>, folder: &Path) -> Command {
    let mut program = Command::new(setup.program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RECEIPTD_") {
            program.env_remove(name);
        }
    }
    program
        .current_dir(folder)
        .env("RECEIPTD_DATA_DIR", data_dir(folder))
        .env("RECEIPTD_SECRET_KEY", SECRET_KEY)
        .env("RECEIPTD_ADMIN_TOKEN", ADMIN_TOKEN)
        .env("RECEIPTD_LOG", "warn")
        .envs(setup.database_url.map(|url| ("RECEIPTD_DATABASE_URL", url)))
        .envs(setup.variables.iter().copied());
    program
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn add_channel(mut program: Command) -> Result<()> {
    use std::io::Write as _;
    let mut child = program
        .args(["channel", "add", CHANNEL, "--name", "Benchmark"])
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
    ensure!(
        output.status.success(),
        "`channel add` ended with {}\n{error}",
        output.status
    );
    Ok(())
}

/// Asks a process of ours to stop.
pub fn terminate(child: &mut Child) -> Result<()> {
    let killed = Command::new("kill")
        .arg("-TERM")
        .arg(child.id().to_string())
        .status()?;
    ensure!(
        killed.success(),
        "process {} cannot be asked to stop",
        child.id()
    );
    Ok(())
}

/// Waits for the end of a process of ours.
pub fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < patience {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("process {} does not stop", child.id())
}

/// An address nobody listens on, below the ports that outgoing connections
/// take: the load would take it away otherwise.
pub fn free_address() -> Result<SocketAddr> {
    use std::sync::atomic::{AtomicU16, Ordering};
    static TRIED: AtomicU16 = AtomicU16::new(0);
    // Programs that were started one after the other begin far apart.
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
