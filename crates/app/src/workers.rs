//! Loops around steps that do a bounded amount: run, wait, stop.

use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One step of a worker.
pub type Step = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// A step that is run again and again.
pub struct Worker {
    /// What it is called in the log.
    pub name: &'static str,
    /// How long it rests between two steps.
    pub every: Duration,
    /// What it does.
    pub step: Step,
}

impl Worker {
    /// A worker whose step is an async function.
    pub fn new<F, Fut>(name: &'static str, every: Duration, step: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            name,
            every,
            step: Box::new(move || Box::pin(step())),
        }
    }
}

/// Runs workers until told to stop. A step under way is given up then: a store
/// that does not answer must not keep the process from ending, and whatever a
/// step has not finished is done again after the next start.
pub fn start(workers: Vec<Worker>, stop: &CancellationToken) -> TaskTracker {
    let tracker = TaskTracker::new();
    for worker in workers {
        tracker.spawn(repeat(worker, stop.clone()));
    }
    tracker.close();
    tracker
}

async fn repeat(worker: Worker, stop: CancellationToken) {
    let mut failing = false;
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            done = (worker.step)() => done,
        };
        match done {
            Ok(()) if failing => {
                failing = false;
                tracing::info!(worker = worker.name, "a worker works again");
            }
            Ok(()) => {}
            // Said once; a store that is away would fill the log otherwise.
            Err(_) if failing => {}
            Err(error) => {
                failing = true;
                tracing::warn!(
                    worker = worker.name,
                    error = format!("{error:#}"),
                    "a worker's step failed; it goes on"
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(worker.every) => {}
        }
    }
}
