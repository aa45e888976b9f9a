//! A process of the program under test: started, waited for, stopped, killed.

use std::fs;
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use crate::http;
use crate::installation::Installation;
use crate::process::Usage;
use crate::wait::until;

const START_TIMEOUT: Duration = Duration::from_mins(1);
const STOP_TIMEOUT: Duration = Duration::from_mins(1);
const DRAIN_TIMEOUT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A receiver or a worker. Dropping it kills the process.
pub struct Receiver {
    pub installation: Arc<Installation>,
    arguments: &'static [&'static str],
    child: Option<Child>,
    /// The time from the last start until it accepted reports.
    pub ready_after: Duration,
}

impl Receiver {
    pub const fn new(installation: Arc<Installation>, arguments: &'static [&'static str]) -> Self {
        Self {
            installation,
            arguments,
            child: None,
            ready_after: Duration::ZERO,
        }
    }

    /// Starts the process and returns immediately. A running one is killed.
    pub fn launch(&mut self) -> Result<()> {
        self.kill()?;
        self.child = Some(self.installation.spawn(self.arguments)?);
        Ok(())
    }

    /// Starts the process with this standard error, of which it returns the reading end of a pipe.
    pub fn launch_with_stderr(&mut self, stderr: Stdio) -> Result<Option<ChildStderr>> {
        self.kill()?;
        let child = self
            .installation
            .spawn_with(self.arguments, Stdio::null(), stderr)?;
        Ok(self.child.insert(child).stderr.take())
    }

    /// Starts the process and waits until it accepts reports.
    pub fn start(&mut self) -> Result<()> {
        let began = Instant::now();
        self.launch()?;
        self.wait_until_ready()?;
        self.ready_after = began.elapsed();
        Ok(())
    }

    /// Returns where reports are sent.
    pub fn public(&self) -> SocketAddr {
        self.installation.public
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Returns the status of `/readyz`, and its JSON.
    pub fn health(&self) -> Result<(u16, Value)> {
        let (status, text) = http::get(self.installation.operator, "/readyz")?;
        Ok((status, serde_json::from_str(&text)?))
    }

    pub fn metrics(&self) -> Result<String> {
        let (status, text) = http::get(self.installation.operator, "/metrics")?;
        ensure!(status == 200, "the metrics answer {status}");
        Ok(text)
    }

    /// Returns the value of a metric without labels.
    pub fn metric(&self, name: &str) -> Result<f64> {
        Ok(http::metric(&self.metrics()?, name))
    }

    pub fn journaled(&self) -> Result<f64> {
        self.metric("receiptd_journaled_reports_total")
    }

    /// Returns the memory of the process in bytes.
    pub fn memory(&self) -> Result<u64> {
        Ok(Usage::of_tree(self.pid())?.memory)
    }

    pub fn open_files(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// Waits until every acknowledged report is in the database: the store is ready and the
    /// journal empty. Returns how long that took.
    pub fn wait_until_drained(&self) -> Result<Duration> {
        let began = Instant::now();
        let is_ready = |health: &(u16, Value)| has_part(&health.1, "store", "ready");
        let drained = until(DRAIN_TIMEOUT, POLL_INTERVAL, || {
            self.installation.journal_bytes() == 0 && self.health().as_ref().is_ok_and(is_ready)
        });
        ensure!(
            drained,
            "the journal is not drained after {DRAIN_TIMEOUT:?}: {:?}\n{}",
            self.health(),
            self.installation.end_of_log()
        );
        Ok(began.elapsed())
    }

    /// Changes whether the running process may write files.
    pub fn allow_writes(&self, allowed: bool) -> Result<()> {
        let process = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let before = getrlimit(Resource::Fsize);
        let limit = Rlimit {
            current: if allowed { before.maximum } else { Some(0) },
            maximum: before.maximum,
        };
        prlimit(process, Resource::Fsize, limit).context("its limit cannot be set")?;
        Ok(())
    }

    /// Ends the process as a power failure would.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks the process to stop. Returns how long that took, and how it ended.
    pub fn terminate(&mut self) -> Result<(Duration, ExitStatus)> {
        let began = Instant::now();
        let child = self.child.as_mut().context("the receiver does not run")?;
        let status =
            stop_process(child, STOP_TIMEOUT).with_context(|| self.installation.end_of_log())?;
        self.child = None;
        Ok((began.elapsed(), status))
    }

    /// Stops the process; fails unless it ends with status 0.
    pub fn stop(&mut self) -> Result<()> {
        let (took, status) = self.terminate()?;
        ensure!(
            status.success(),
            "the receiver ended with {status} after {took:?}\n{}",
            self.installation.end_of_log()
        );
        Ok(())
    }

    /// Waits until it accepts reports.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        self.wait_for_health(|health| matches!(health, Ok((200, _))))
    }

    /// Waits until it answers, whether it accepts reports or not.
    pub fn wait_until_up(&mut self) -> Result<()> {
        self.wait_for_health(Result::is_ok)
    }

    /// Waits until `/readyz` says that reports are accepted, or that they are refused because the
    /// journal is. Returns whether it did within `limit`.
    pub fn reports_readiness(&self, ready: bool, limit: Duration) -> bool {
        until(limit, POLL_INTERVAL, || {
            self.health().is_ok_and(|(status, health)| match status {
                200 => ready,
                _ => !ready && has_part(&health, "journal", "down"),
            })
        })
    }

    fn wait_for_health(&mut self, holds: impl Fn(&Result<(u16, Value)>) -> bool) -> Result<()> {
        let began = Instant::now();
        while !holds(&self.health()) {
            let child = self.child.as_mut().context("the receiver does not run")?;
            let ended = child.try_wait()?;
            let log = || self.installation.end_of_log();
            if let Some(status) = ended {
                bail!("the receiver ended with {status}\n{}", log());
            }
            ensure!(
                began.elapsed() < START_TIMEOUT,
                "the receiver is not ready after {START_TIMEOUT:?}\n{}",
                log()
            );
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Returns whether `/readyz` reports this condition of a part.
fn has_part(health: &Value, name: &str, condition: &str) -> bool {
    let parts = health.get("parts").and_then(Value::as_array);
    parts.into_iter().flatten().any(|part| {
        part.get("name").is_some_and(|it| it == name)
            && part.get("condition").is_some_and(|it| it == condition)
    })
}

/// Sends SIGTERM to a process of ours and waits until it ends.
pub fn stop_process(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-TERM", &pid]).status()?;
    ensure!(killed.success(), "process {pid} cannot be asked to stop");
    let mut status = None;
    until(limit, Duration::from_millis(5), || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    status.with_context(|| format!("process {pid} does not stop"))
}
