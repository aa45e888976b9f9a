//! The program under test: a process that is stopped and killed.

use std::fs;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bench::http;
use bench::process::Usage;
use bench::receiver::{terminate, wait};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use crate::home::RuntimeHandle;

/// After this long a receiver that is asked to stop never does.
const STOPS: Duration = Duration::from_mins(1);

/// After this long a receiver that was started never takes reports.
const READY: Duration = Duration::from_mins(1);

/// The longest that a journal may take to be drained here.
const DRAIN: Duration = Duration::from_mins(2);

/// A running receiver. Dropping it kills it.
pub struct Receiver<'a> {
    home: &'a RuntimeHandle,
    child: Child,
}

impl<'a> Receiver<'a> {
    /// A process that has just been started.
    pub const fn of(home: &'a RuntimeHandle, child: Child) -> Self {
        Self { home, child }
    }

    /// How it is: status and parts of `/readyz`.
    pub fn health(&self) -> Result<(u16, Value)> {
        let (status, text) = http::get(self.home.operator(), "/readyz")?;
        Ok((status, serde_json::from_str(&text)?))
    }

    /// The value of one of its counters.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let (status, text) = http::get(self.home.operator(), "/metrics")?;
        ensure!(status == 200, "the metrics answer {status}");
        Ok(http::metric(&text, name))
    }

    /// Asks the operator's interface something, whatever it answers.
    pub fn ask(&self, path: &str) {
        let _ = http::get(self.home.operator(), path);
    }

    /// Its memory in bytes.
    pub fn memory(&self) -> Result<u64> {
        Ok(Usage::of_tree(self.child.id())?.memory)
    }

    /// How many files it has open.
    pub fn open_files(&self) -> Result<usize> {
        let folder = format!("/proc/{}/fd", self.child.id());
        Ok(fs::read_dir(folder)?.count())
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

    /// Whether it may write to files from now on.
    pub fn may_write(&self, may: bool) -> Result<()> {
        let process = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let before = getrlimit(Resource::Fsize);
        let limit = Rlimit {
            current: if may { before.maximum } else { Some(0) },
            maximum: before.maximum,
        };
        prlimit(process, Resource::Fsize, limit).context("its limit cannot be set")?;
        Ok(())
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
        let status = wait(&mut self.child, STOPS);
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
            status.success(),
            "the receiver ended with {status} after {took:?}\n{}",
            end_of(&home.log())
        );
        Ok(())
    }

    /// Waits until it takes reports.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        self.wait_until(|health| matches!(health, Ok((200, _))))
    }

    /// Waits until it answers, whether it takes reports or not.
    pub fn wait_until_up(&mut self) -> Result<()> {
        self.wait_until(Result::is_ok)
    }

    /// Waits until `/readyz` says that it takes reports, or that it takes none
    /// because its journal does not; whether that came in time.
    pub fn comes_to_say(&self, ready: bool, limit: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < limit {
            let said = self.health().is_ok_and(|(status, health)| match status {
                200 => ready,
                _ => !ready && is(&health, "journal", "down"),
            });
            if said {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn wait_until(&mut self, holds: impl Fn(&Result<(u16, Value)>) -> bool) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < READY {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the receiver ended with {status}\n{}",
                    end_of(&self.home.log())
                );
            }
            if holds(&self.health()) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!(
            "the receiver is not ready after {} s\n{}",
            READY.as_secs(),
            end_of(&self.home.log())
        )
    }

    fn store_is_ready(&self) -> bool {
        let health = self.health();
        health.is_ok_and(|(_, health)| is(&health, "store", "ready"))
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        // Has no effect on one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a part is in this condition.
fn is(health: &Value, name: &str, condition: &str) -> bool {
    let parts = health.get("parts").and_then(Value::as_array);
    parts.into_iter().flatten().any(|part| {
        part.get("name").is_some_and(|it| it == name)
            && part.get("condition").is_some_and(|it| it == condition)
    })
}

fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let end = lines.get(lines.len().saturating_sub(20)..);
    end.unwrap_or_default().join("\n")
}
