//! Stop signals, and how long each step of a shutdown may take.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Listens for SIGTERM and SIGINT. The returned future waits for one of them and returns its name.
///
/// Before this call the signals kill the process: call it before starting work that must finish.
pub fn stop_signal() -> Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Runs `work` and returns its result, or logs and returns `None` after `limit`: an unavailable
/// store must not prevent the process from stopping.
pub async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> Option<T> {
    let done = tokio::time::timeout(limit, work).await.ok();
    if done.is_none() {
        tracing::warn!("shutdown: {what} did not finish within {limit:?}; stopping without it");
    }
    done
}

/// When the process must have stopped.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn after(total: Duration) -> Self {
        Self(Instant::now() + total)
    }

    /// Runs a step of the shutdown like [`within`], with at most the time left until the deadline.
    pub async fn step<T>(
        self,
        what: &str,
        at_most: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let left = self.0.saturating_duration_since(Instant::now());
        within(at_most.min(left), what, work).await
    }
}
