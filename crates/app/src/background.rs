//! Repeats background tasks: run a step, wait, stop.

use std::collections::HashMap;
use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Result;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// The longest wait after a failed step.
const MAX_RETRY_INTERVAL: Duration = Duration::from_mins(1);

type Step = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// A step that does a bounded amount of work and is repeated.
pub struct BackgroundTask {
    name: &'static str,
    /// The wait between two steps.
    interval: Duration,
    step: Step,
}

impl BackgroundTask {
    pub fn new<F, Fut>(name: &'static str, interval: Duration, step: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self {
            name,
            interval,
            step: Box::new(move || Box::pin(step())),
        }
    }

    async fn repeat(self, stop: CancellationToken) {
        let task = self.name;
        let mut failing = false;
        loop {
            let span = tracing::info_span!("background_step", task);
            let result = tokio::select! {
                () = stop.cancelled() => return,
                result = (self.step)().instrument(span) => result,
            };
            let mut wait = self.interval;
            match result {
                Ok(()) => {
                    if failing {
                        tracing::info!("background task `{task}` recovered");
                    }
                    failing = false;
                }
                Err(error) => {
                    wait = wait.min(MAX_RETRY_INTERVAL);
                    // Logged once: an unavailable store would flood the log otherwise.
                    if !failing {
                        let error = format!("{error:#}");
                        tracing::warn!(
                            error,
                            "background task `{task}` failed; retrying in {wait:?}"
                        );
                    }
                    failing = true;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}

/// Background tasks that run until the token they were started with is cancelled.
pub struct BackgroundTasks {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl BackgroundTasks {
    /// Starts to repeat `tasks`. When `stop` is cancelled, the current step is dropped: an
    /// unavailable store must not prevent the process from stopping, and every step resumes after
    /// the next start.
    pub fn start(tasks: Vec<BackgroundTask>, stop: &CancellationToken) -> Self {
        let mut started = Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
        };
        for task in tasks {
            let name = task.name;
            let handle = started.tasks.spawn(task.repeat(stop.clone()));
            started.names.insert(handle.id(), name);
        }
        started
    }

    /// Waits until a task ends before it was stopped, and returns its name.
    pub async fn died(&mut self) -> &'static str {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => pending().await,
        };
        self.names.get(&id).copied().unwrap_or_default()
    }

    /// Waits until all tasks have stopped.
    pub async fn wait(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}
