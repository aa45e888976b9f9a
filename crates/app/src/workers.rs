//! Loops around steps that do a bounded amount: run, wait, stop.

use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

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

/// How long a worker rests at most after a step that failed.
const AFTER_FAILURE: Duration = Duration::from_mins(1);

/// Workers that run.
pub struct Workers {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Workers {
    /// Waits for as long as all live, and says which one does not. They are told to stop by
    /// what they were started with, and not waited for here then.
    pub async fn died(&mut self) -> &'static str {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => pending().await,
        };
        self.names.get(&id).copied().unwrap_or_default()
    }

    /// Waits until all have ended.
    pub async fn wait(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Runs workers until told to stop. A step under way is given up then: a store
/// that does not answer must not keep the process from ending, and whatever a
/// step has not finished is done again after the next start.
pub fn start(workers: Vec<Worker>, stop: &CancellationToken) -> Workers {
    let (mut tasks, mut names) = (JoinSet::new(), HashMap::new());
    for worker in workers {
        let name = worker.name;
        let task = tasks.spawn(repeat(worker, stop.clone()));
        names.insert(task.id(), name);
    }
    Workers { tasks, names }
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
        let rest = if failing {
            worker.every.min(AFTER_FAILURE)
        } else {
            worker.every
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}
