//! The end: what a receiver ends for, and how it ends everything that uses the stores without
//! losing a report over it.

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

use crate::composition::Stores;
use crate::lifecycle::Deadline;
use crate::workers::Workers;

/// How long all of it may take. Supervisors kill after 20 s and more.
pub const WHOLE: Duration = Duration::from_secs(18);

/// How long clients are given to learn that there will be no next answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long requests in flight may take: a slow body, the deadline of the store, the journal.
const REQUESTS: Duration = Duration::from_secs(14);

/// How long it may take to write down what was pushed.
const PUSHING: Duration = Duration::from_secs(5);

/// How long streams and the API may take.
const OPERATOR: Duration = Duration::from_secs(2);

/// How long it may take to record what had queued.
const RECORDING: Duration = Duration::from_secs(4);

/// How long it may take to write down when credentials were last used.
const USES: Duration = Duration::from_secs(2);

/// What has to be ended.
pub struct Running {
    pub tasks: Tasks,
    pub public: ServerHandle,
    pub farewell: GracefulShutdown,
    pub operator: ServerHandle,
    pub streams: watch::Sender<bool>,
    pub stop: CancellationToken,
}

/// What never ends by itself.
pub struct Tasks {
    pub public: JoinHandle<io::Result<()>>,
    pub operator: JoinHandle<io::Result<()>>,
    pub writers: JoinHandle<Result<(), WriterDied>>,
    pub workers: Workers,
    pub pushing: Option<oneshot::Receiver<()>>,
}

impl Tasks {
    /// Waits for as long as all live, and says what does not: a process that only looks as if it
    /// worked is worse than one that its supervisor starts anew.
    pub async fn died(&mut self) -> anyhow::Error {
        let pushing = async {
            match &mut self.pushing {
                Some(pushing) => pushing.await,
                None => std::future::pending().await,
            }
        };
        let _ended = tokio::select! {
            ended = &mut self.public => return why("the public listener", ended),
            ended = &mut self.operator => return why("the operator's listener", ended),
            ended = &mut self.writers => return why("the intake", ended),
            worker = self.workers.died() => return anyhow!("the worker {worker} died"),
            ended = pushing => ended,
        };
        // It cannot be waited for again.
        self.pushing = None;
        anyhow!("the thread that pushes events died")
    }
}

fn why<E>(name: &'static str, ended: Result<Result<(), E>, JoinError>) -> anyhow::Error
where
    E: Error + Send + Sync + 'static,
{
    let ended = ended.map_err(anyhow::Error::new);
    match ended.and_then(|ended| ended.map_err(anyhow::Error::new)) {
        Ok(()) => anyhow!("{name} has ended by itself"),
        Err(error) => error.context(format!("{name} died")),
    }
}

impl Running {
    /// Ends everything that uses the stores, and loses no report over it.
    pub async fn end(self, deadline: Deadline) -> Result<()> {
        let Tasks {
            public,
            operator,
            writers,
            workers,
            pushing,
        } = self.tasks;
        // Beside the requests: nobody waits for what is pushed and tidied up.
        self.stop.cancel();
        let requests = async {
            self.farewell.drain(FAREWELL).await;
            close(
                "requests in flight",
                &self.public,
                public,
                deadline,
                REQUESTS,
            )
            .await
        };
        let others = async {
            deadline.step("workers", PUSHING, workers.wait()).await;
            match pushing {
                // What was not taken down is sent again, with the same ids.
                Some(pushing) => deadline.step("pushing", PUSHING, pushing).await,
                None => None,
            }
        };
        let (requests, pushed) = tokio::join!(requests, others);
        self.streams.send_replace(true);
        // The operator's listener goes last, so that one can watch.
        let asked = close(
            "streams and API",
            &self.operator,
            operator,
            deadline,
            OPERATOR,
        )
        .await;
        // Every request is answered now, so nothing holds the intake any more.
        if !writers.is_finished() {
            let recorded = deadline.step("recording", RECORDING, writers).await;
            recorded.transpose()?.transpose()?;
        }
        requests.and(asked)?;
        pushed.transpose().context("pushing died")?;
        Ok(())
    }
}

/// Lets a listener finish what it has, and gives up what takes too long.
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

/// The last that is written, when nobody calls any more.
pub async fn leave(stores: &Stores, directory: &ChannelDirectory, deadline: Deadline) {
    let uses = deadline.step("uses", USES, directory.write_usage()).await;
    if let Some(Err(error)) = uses {
        tracing::warn!(%error, "when credentials were last used was not written down");
    }
    deadline
        .step("closing the database", WHOLE, stores.close())
        .await;
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "they end with the test's runtime"
)]
mod tests {
    use tokio::time::timeout;

    use crate::workers::{self, Worker};

    use super::*;

    fn alive<T: Send + 'static>() -> JoinHandle<T> {
        tokio::spawn(std::future::pending())
    }

    fn dead<T: Send + 'static>() -> JoinHandle<T> {
        tokio::spawn(async { panic!("on purpose") })
    }

    fn all_alive() -> (Tasks, oneshot::Sender<()>) {
        let (pushing, ended) = oneshot::channel();
        let tasks = Tasks {
            public: alive(),
            operator: alive(),
            writers: alive(),
            workers: workers::start(Vec::new(), &CancellationToken::new()),
            pushing: Some(ended),
        };
        (tasks, pushing)
    }

    async fn cause(mut tasks: Tasks) -> String {
        let died = timeout(Duration::from_secs(5), tasks.died()).await;
        format!("{:#}", died.expect("it is noticed"))
    }

    #[tokio::test]
    async fn whatever_dies_is_noticed_and_named() {
        let with = |change: fn(&mut Tasks)| {
            let (mut tasks, pushing) = all_alive();
            change(&mut tasks);
            async move {
                let cause = cause(tasks).await;
                drop(pushing);
                cause
            }
        };
        let public = with(|tasks| tasks.public = dead()).await;
        assert!(public.starts_with("the public listener died"), "{public}");
        let public = with(|tasks| tasks.public = tokio::spawn(async { Ok(()) })).await;
        assert_eq!(public, "the public listener has ended by itself");
        let operator = with(|tasks| tasks.operator = dead()).await;
        assert!(operator.starts_with("the operator's"), "{operator}");
        let writers = with(|tasks| tasks.writers = dead()).await;
        assert!(writers.starts_with("the intake died"), "{writers}");
        let worker = with(|tasks| {
            let worker = Worker::new("tidy", Duration::from_secs(1), || async { panic!("") });
            tasks.workers = workers::start(vec![worker], &CancellationToken::new());
        });
        assert_eq!(worker.await, "the worker tidy died");
        let (tasks, pushing) = all_alive();
        drop(pushing);
        assert_eq!(cause(tasks).await, "the thread that pushes events died");
    }

    #[tokio::test]
    async fn while_all_live_nothing_is_said() {
        let (mut tasks, _pushing) = all_alive();
        assert!(
            timeout(Duration::from_millis(50), tasks.died())
                .await
                .is_err()
        );
    }
}
