//! A headless browser for tests: Debian's `chromium`, driven by its `chromedriver`.

use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::packages;

/// The arguments of a browser that runs without a display, as any user, and makes no network calls
/// of its own.
pub const ARGUMENTS: [&str; 7] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
];

/// A running `chromedriver`. It ends with its browsers when dropped.
#[derive(Debug)]
pub struct ChromeDriver {
    child: Child,
    /// Kept open, because the driver goes on printing.
    _output: Option<BufReader<ChildStdout>>,
    port: u16,
    profiles: TempDir,
}

impl ChromeDriver {
    /// Starts the driver on a free port; installs it first if it is missing and this is root on
    /// Debian.
    pub fn start() -> io::Result<Self> {
        let is_there = || {
            let version = Command::new("chromedriver").arg("--version").output();
            Ok(version.is_ok_and(|output| output.status.success()))
        };
        let packages = ["chromium", "chromium-driver"];
        packages::install(&packages, is_there)?;
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Its browsers are in the group, so that all end together.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                let advice = "install chromium and chromium-driver";
                io::Error::other(format!("chromedriver does not start ({error}): {advice}"))
            })?;
        let mut output = child.stdout.take().map(BufReader::new);
        let Some(port) = output.as_mut().and_then(read_port) else {
            child.kill()?;
            return Err(io::Error::other("chromedriver has not printed its port"));
        };
        Ok(Self {
            child,
            _output: output,
            port,
            profiles: tempfile::tempdir()?,
        })
    }

    /// Returns the URL at which it takes commands.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the argument with which a browser has a new profile of this name.
    #[must_use]
    pub fn profile(&self, name: &str) -> String {
        let folder = self.profiles.path().join(name);
        format!("--user-data-dir={}", folder.display())
    }
}

impl Drop for ChromeDriver {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        // If they have ended already, there is nothing to end.
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// Installs `npm` if it is missing and this is root on Debian.
pub fn install_npm() -> io::Result<()> {
    let is_there = || {
        let version = Command::new("npm").arg("--version").output();
        Ok(version.is_ok_and(|output| output.status.success()))
    };
    packages::install(&["npm"], is_there)
}

/// Reads `ChromeDriver was started successfully on port 41507.`
fn read_port(output: &mut BufReader<ChildStdout>) -> Option<u16> {
    let lines = output.lines();
    lines.map_while(Result::ok).find_map(|line| {
        let (_, port) = line.rsplit_once("successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    })
}
