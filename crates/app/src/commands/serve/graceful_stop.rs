//! Stops the parts of a server in order, without losing a report, and detects parts that died.

use std::error::Error;
use std::io;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use adapter_http::GracefulShutdown;
use anyhow::{Context as _, Result, anyhow};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use usecases::ChannelDirectory;
use usecases::ingest::group_commit::WriterDied;
use usecases::statistics::CountRequests;

use crate::background::BackgroundTasks;
use crate::composition::Stores;
use crate::shutdown::Deadline;

/// The longest time a shutdown takes. Supervisors kill after 20 s or more.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(18);

/// How long idle connections are drained: their next answer closes them.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time for requests in flight: a slow body, the commit deadline, the journal.
const REQUESTS_TIMEOUT: Duration = Duration::from_secs(14);

/// The longest time to save the progress of event delivery.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest time for streams and API requests.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest time to record queued reports.
const RECORD_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest time to save when credentials were last used.
const USES_TIMEOUT: Duration = Duration::from_secs(2);

/// The parts of a running server, and what stops them.
pub struct RunningServer {
    pub tasks: ServerTasks,
    pub public: ServerHandle,
    pub drain: GracefulShutdown,
    pub operator: ServerHandle,
    pub streams: watch::Sender<bool>,
    pub stop: CancellationToken,
}

/// The tasks of a server. None ends before it is stopped.
pub struct ServerTasks {
    pub public: JoinHandle<io::Result<()>>,
    pub operator: JoinHandle<io::Result<()>>,
    pub writers: JoinHandle<Result<(), WriterDied>>,
    pub background: BackgroundTasks,
    pub delivery: Option<oneshot::Receiver<()>>,
}

impl ServerTasks {
    /// Waits until a task dies and returns which one. The process should stop then: a supervisor
    /// restarts it, but does not notice a process that has lost a part.
    pub async fn died(&mut self) -> anyhow::Error {
        let delivery = async {
            match &mut self.delivery {
                Some(delivery) => delivery.await,
                None => std::future::pending().await,
            }
        };
        let _ended = tokio::select! {
            ended = &mut self.public => return cause("the public listener", ended),
            ended = &mut self.operator => return cause("the operator's listener", ended),
            ended = &mut self.writers => return cause("the ingest queue", ended),
            task = self.background.died() => return anyhow!("the background task `{task}` died"),
            ended = delivery => ended,
        };
        // A receiver must not be polled again after it has completed.
        self.delivery = None;
        anyhow!("the thread that delivers events died")
    }
}

/// Returns why a task ended.
fn cause<E>(name: &'static str, ended: Result<Result<(), E>, JoinError>) -> anyhow::Error
where
    E: Error + Send + Sync + 'static,
{
    let ended = ended.map_err(anyhow::Error::new);
    match ended.and_then(|ended| ended.map_err(anyhow::Error::new)) {
        Ok(()) => anyhow!("{name} stopped unexpectedly"),
        Err(error) => error.context(format!("{name} died")),
    }
}

impl RunningServer {
    /// Stops everything that uses the stores. Requests in flight are answered and queued reports
    /// recorded.
    pub async fn stop(self, deadline: Deadline) -> Result<()> {
        let ServerTasks {
            public,
            operator,
            writers,
            background,
            delivery,
        } = self.tasks;
        // At the same time as requests: they do not wait for background tasks.
        self.stop.cancel();
        let requests = async {
            self.drain.drain(DRAIN_TIMEOUT).await;
            let what = "requests in flight";
            close(what, &self.public, public, deadline, REQUESTS_TIMEOUT).await
        };
        let others = async {
            let tasks = background.wait();
            let what = "background tasks";
            deadline.step(what, DELIVERY_TIMEOUT, tasks).await;
            match delivery {
                // Events whose progress was not saved are sent again, with the same ids.
                Some(delivery) => {
                    let what = "event delivery";
                    deadline.step(what, DELIVERY_TIMEOUT, delivery).await
                }
                None => None,
            }
        };
        let (requests, delivered) = tokio::join!(requests, others);
        self.streams.send_replace(true);
        // The operator's listener stops last, so that the shutdown can be observed.
        let what = "streams and API requests";
        let api = close(what, &self.operator, operator, deadline, OPERATOR_TIMEOUT).await;
        // Every request has been answered, so the queue has no senders and its writers end.
        if !writers.is_finished() {
            let recorded = deadline
                .step("recording queued reports", RECORD_TIMEOUT, writers)
                .await;
            recorded.transpose()?.transpose()?;
        }
        requests.and(api)?;
        delivered.transpose().context("event delivery died")?;
        Ok(())
    }
}

/// Stops a listener; requests that take longer than `at_most` are aborted.
async fn close(
    what: &str,
    handle: &ServerHandle,
    mut listener: JoinHandle<io::Result<()>>,
    deadline: Deadline,
    at_most: Duration,
) -> Result<()> {
    if listener.is_finished() {
        return Ok(());
    }
    let ending = async {
        handle.stop(true).await;
        (&mut listener).await
    };
    if let Some(ended) = deadline.step(what, at_most, ending).await {
        ended.context("a listener died")??;
    } else {
        listener.abort();
    }
    Ok(())
}

/// What a receiver has counted in memory.
pub struct Counters<'a>(pub &'a ChannelDirectory, pub &'a CountRequests);

/// Saves what was counted in memory and closes the database.
pub async fn close_stores(stores: &Stores, counters: &Counters<'_>, deadline: Deadline) {
    let Counters(directory, requests) = counters;
    let what = "saving credential uses";
    let uses = deadline
        .step(what, USES_TIMEOUT, directory.write_usage())
        .await;
    if let Some(Err(error)) = uses {
        tracing::warn!(%error, "cannot save when credentials were last used");
    }
    let what = "saving counts of requests";
    let requests = deadline.step(what, USES_TIMEOUT, requests.write()).await;
    if let Some(Err(error)) = requests {
        tracing::warn!(%error, "cannot save how many requests there were");
    }
    let what = "closing the database";
    deadline.step(what, SHUTDOWN_TIMEOUT, stores.close()).await;
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "they end with the test's runtime"
)]
mod tests {
    use tokio::time::timeout;

    use crate::background::BackgroundTask;

    use super::*;

    fn alive<T: Send + 'static>() -> JoinHandle<T> {
        tokio::spawn(std::future::pending())
    }

    fn dead<T: Send + 'static>() -> JoinHandle<T> {
        tokio::spawn(async { panic!("on purpose") })
    }

    fn all_alive() -> (ServerTasks, oneshot::Sender<()>) {
        let (delivery, ended) = oneshot::channel();
        let tasks = ServerTasks {
            public: alive(),
            operator: alive(),
            writers: alive(),
            background: BackgroundTasks::start(Vec::new(), &CancellationToken::new()),
            delivery: Some(ended),
        };
        (tasks, delivery)
    }

    async fn death(mut tasks: ServerTasks) -> String {
        let died = timeout(Duration::from_secs(5), tasks.died()).await;
        format!("{:#}", died.expect("detected in time"))
    }

    #[tokio::test]
    async fn dead_task_is_detected_and_named() {
        let with = |change: fn(&mut ServerTasks)| {
            let (mut tasks, delivery) = all_alive();
            change(&mut tasks);
            async move {
                let death = death(tasks).await;
                drop(delivery);
                death
            }
        };
        let public = with(|tasks| tasks.public = dead()).await;
        assert!(public.starts_with("the public listener died"), "{public}");
        let public = with(|tasks| tasks.public = tokio::spawn(async { Ok(()) })).await;
        assert_eq!(public, "the public listener stopped unexpectedly");
        let operator = with(|tasks| tasks.operator = dead()).await;
        assert!(operator.starts_with("the operator's"), "{operator}");
        let writers = with(|tasks| tasks.writers = dead()).await;
        assert!(writers.starts_with("the ingest queue died"), "{writers}");
        let background = with(|tasks| {
            let step = || async { panic!("") };
            let task = BackgroundTask::new("tidy", Duration::from_secs(1), step);
            tasks.background = BackgroundTasks::start(vec![task], &CancellationToken::new());
        });
        assert_eq!(background.await, "the background task `tidy` died");
        let (tasks, delivery) = all_alive();
        drop(delivery);
        assert_eq!(death(tasks).await, "the thread that delivers events died");
    }

    #[tokio::test]
    async fn running_tasks_are_not_reported_as_dead() {
        let (mut tasks, _delivery) = all_alive();
        assert!(
            timeout(Duration::from_millis(50), tasks.died())
                .await
                .is_err()
        );
    }
}
