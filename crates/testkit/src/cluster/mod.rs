//! A throw-away PostgreSQL server, for tests and measurements that need the real one.
//!
//! It runs in a temporary folder, listens on loopback only, and is removed when its [`Cluster`] is
//! dropped or the process ends, even after `SIGKILL`: a *reaper* (a small shell outside our process
//! group) waits for its standard input to close.

mod account;
mod binaries;
mod copies;

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use account::Account;

use crate::packages;

/// How a cluster is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether commits are synced. Without it (the default) they survive a crash of the server, but
    /// not of the machine, which is much faster.
    pub durable: bool,
    /// Server settings, each `name=value`. They override those of this module.
    pub settings: Vec<String>,
}

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    bin_dir: PathBuf,
    run_as: Option<Account>,
    port: u16,
    reaper: Child,
}

const REAPER: &str = r#"
trap '' HUP INT TERM
read -r _
pid=$(head -n 1 "$2/data/postmaster.pid") && kill -CONT "$pid"
"$1/pg_ctl" stop --pgdata="$2/data" --mode=immediate --wait --timeout=30
rm -rf "$2"
"#;

impl Cluster {
    /// Starts a server for tests, with [`Options::default`].
    pub fn start() -> io::Result<Self> {
        Self::start_with(&Options::default())
    }

    /// Starts a server and returns when it accepts connections.
    ///
    /// Fails if no PostgreSQL 15 or later is installed (and cannot be, by root with
    /// `apt-get`), if a setting is malformed, or if the server does not come up; then
    /// the error holds the end of its log.
    pub fn start_with(options: &Options) -> io::Result<Self> {
        let mut cluster = Self::prepare()?;
        cluster.initialize()?;
        cluster.start_on_a_free_port(options)?;
        Ok(cluster)
    }

    /// Creates a folder for a server, and the reaper that removes it.
    fn prepare() -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("receiptd-postgres-")
            .tempdir()?;
        let bin_dir = binaries::find_or_install()?;
        let run_as = if packages::is_root() {
            Some(Account::unprivileged()?)
        } else {
            None
        };
        if let Some(account) = run_as {
            chown(folder.path(), Some(account.uid), Some(account.gid))?;
        }

        let reaper = command("/bin/sh", run_as)
            .args(["-c", REAPER, "reaper"])
            .args([&bin_dir, folder.path()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        // From here on the reaper removes the folder, also if a later step fails.
        Ok(Self {
            folder: folder.keep(),
            bin_dir,
            run_as,
            port: 0,
            reaper,
        })
    }

    /// Runs a program of this PostgreSQL (`pg_dump`, `pg_restore`, …) on this server, as the
    /// server's account, whose files it can write beside the [socket](Self::socket_dir).
    pub fn run(&self, program: &str, arguments: &[&str]) -> io::Result<()> {
        let mut command = command(self.bin_dir.join(program), self.run_as);
        command
            .current_dir(&self.folder)
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .args(arguments);
        run(&mut command)
    }

    /// Returns the URL of `database` for the superuser `postgres`, without a password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the port on 127.0.0.1, which stays the same over [`start_again`](Self::start_again).
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Returns the folder of the Unix socket, for `host=` in a connection string.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder of the programs (`psql`, `pg_dump`, …).
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// Returns the id of the server's main process. Fails while it is stopped.
    pub fn postmaster_pid(&self) -> io::Result<u32> {
        let file = fs::read_to_string(self.data_dir().join("postmaster.pid"))?;
        let first = file.lines().next().unwrap_or_default();
        first
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("postmaster.pid begins with {first:?}")))
    }

    /// Stops the server like a crash: without checkpoint, and the next start recovers from the log.
    pub fn stop_immediately(&self) -> io::Result<()> {
        self.stop("immediate")
    }

    /// Stops the server cleanly: clients are disconnected, everything is written.
    pub fn stop_fast(&self) -> io::Result<()> {
        self.stop("fast")
    }

    /// Starts a stopped server on the same data and port; returns when it accepts
    /// connections.
    pub fn start_again(&self) -> io::Result<()> {
        let mut start = self.pg_ctl("start");
        start.arg(format!("--log={}", self.log().display()));
        run(&mut start).map_err(|error| {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines
                .get(lines.len().saturating_sub(15)..)
                .unwrap_or_default();
            io::Error::other(format!("{error}\n{}", end.join("\n")))
        })
    }

    fn stop(&self, mode: &str) -> io::Result<()> {
        run(self.pg_ctl("stop").arg(format!("--mode={mode}")))
    }

    fn pg_ctl(&self, verb: &str) -> Command {
        let mut command = command(self.bin_dir.join("pg_ctl"), self.run_as);
        command.args([verb, "--silent", "--wait", "--timeout=60"]);
        command.arg("--pgdata").arg(self.data_dir());
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn initialize(&self) -> io::Result<()> {
        let initialize = |locale: &str| {
            let mut initdb = command(self.bin_dir.join("initdb"), self.run_as);
            // An empty server needs no sync, even a durable one.
            initdb.args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ]);
            initdb
                .arg(format!("--locale={locale}"))
                .arg("--pgdata")
                .arg(self.data_dir());
            run(&mut initdb)
        };
        // Not every system has C.UTF-8; initdb removes what a failed run made.
        initialize("C.UTF-8").or_else(|_| initialize("C"))?;
        let mut main = File::options()
            .append(true)
            .open(self.data_dir().join("postgresql.conf"))?;
        writeln!(main, "include = 'cluster.conf'")
    }

    fn start_on_a_free_port(&mut self, options: &Options) -> io::Result<()> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.port = free_port()?;
            self.write_settings(options)?;
            match self.start_again() {
                // Another process took the port since it was checked.
                Err(error) if tries < 10 && error.to_string().contains("could not bind") => {
                    fs::remove_file(self.log())?;
                }
                result => return result,
            }
        }
    }

    fn write_settings(&self, options: &Options) -> io::Result<()> {
        let mut lines = vec![
            setting("listen_addresses", "127.0.0.1"),
            setting("port", &self.port.to_string()),
            setting("unix_socket_directories", &self.folder.to_string_lossy()),
            setting("max_connections", "300"),
            setting("timezone", "UTC"),
            setting("fsync", if options.durable { "on" } else { "off" }),
        ];
        for each in &options.settings {
            let (name, value) = each.split_once('=').ok_or_else(|| {
                io::Error::other(format!("a server setting is name=value, not {each:?}"))
            })?;
            lines.push(setting(name.trim(), value.trim()));
        }
        let path = self.data_dir().join("cluster.conf");
        fs::write(&path, lines.concat())?;
        match self.run_as {
            Some(account) => chown(&path, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.reaper.stdin.take());
        let _ = self.reaper.wait();
    }
}

fn setting(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\'', "''"))
}

/// Returns a command that runs as `run_as`, in a folder that it can enter, without PostgreSQL's
/// environment variables and with English messages.
fn command(program: impl AsRef<std::ffi::OsStr>, run_as: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env("LC_ALL", "C");
    for name in [
        "PGDATA",
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGOPTIONS",
    ] {
        command.env_remove(name);
    }
    if let Some(account) = run_as {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// Runs a command. If it fails, the error contains its output.
fn run(command: &mut Command) -> io::Result<()> {
    let program = PathBuf::from(command.get_program());
    let failed = |what: &dyn std::fmt::Display| {
        io::Error::other(format!("{} failed: {what}", program.display()))
    };
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(&error))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    Err(failed(&format_args!(
        "{}\n{}",
        output.status,
        printed.trim_end()
    )))
}

/// Returns an unused port below the range of outgoing connections. Inside that range a client that
/// retries against a stopped server can connect to itself and then holds the port.
fn free_port() -> io::Result<u16> {
    const PORTS: std::ops::Range<u16> = 20_000..30_000;
    let random = RandomState::new().build_hasher().finish();
    let offset = u16::try_from(random % 10_000).unwrap_or_default();
    (PORTS.start + offset..PORTS.end)
        .chain(PORTS)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| io::Error::other(format!("no port in {PORTS:?} is free")))
}
