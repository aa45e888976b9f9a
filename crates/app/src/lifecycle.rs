//! When the process is asked to stop.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Listens for SIGTERM and SIGINT from now on; the future waits for one of them and says which.
///
/// Until this is called they end the process at once. So it comes before anything is begun
/// that has to be finished.
pub fn asked_to_stop() -> Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be heard")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// What something comes to that is done before the process ends, if it is done
/// in time: a store that does not answer must not keep the process from ending.
pub async fn in_time<T>(what: &str, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let done = tokio::time::timeout(limit, work).await.ok();
    if done.is_none() {
        tracing::warn!(what, "not finished in time; the process ends");
    }
    done
}

/// When the process has to have ended, whatever it is waiting for.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(whole: Duration) -> Self {
        Self(Instant::now() + whole)
    }

    /// What a step comes to that is done before the process ends, if it is done in time. It
    /// takes no more than what the steps before have left.
    pub async fn step<T>(
        self,
        what: &str,
        at_most: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let left = self.0.saturating_duration_since(Instant::now());
        in_time(what, at_most.min(left), work).await
    }
}
