//! Threads for work that may be late and must not compete with reports.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// The `nice` value of such threads.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;

/// Lowers the priority of this thread and of those it starts. Only on Linux: elsewhere it would
/// be the priority of the whole process.
pub fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        let thread = std::thread::current();
        tracing::warn!(
            %error,
            thread = thread.name(),
            "this thread runs at normal priority: it cannot be lowered"
        );
    }
}

/// A thread of low priority with a runtime of its own. It ends when this is dropped.
pub struct LowPriorityThread {
    handle: Handle,
    _ends: oneshot::Sender<()>,
}

impl LowPriorityThread {
    /// Starts the thread.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (ends, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                lower_priority();
                // Fails when the sender is dropped, which is the sign to end.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self {
            handle,
            _ends: ends,
        })
    }

    /// Runs a task on the thread. Dropping the future aborts it.
    pub async fn run<F>(&self, task: F) -> Result<F::Output, JoinError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        AbortOnDropHandle::new(self.handle.spawn(task)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn task_runs_on_the_thread() {
        let thread = LowPriorityThread::start("test thread").unwrap();
        let name = async { std::thread::current().name().map(str::to_owned) };
        assert_eq!(thread.run(name).await.unwrap().unwrap(), "test thread");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn thread_has_a_low_priority() {
        let thread = LowPriorityThread::start("test thread").unwrap();
        let nice = async { rustix::process::getpriority_process(None) };
        assert_eq!(thread.run(nice).await.unwrap().unwrap(), NICENESS);
        let own = rustix::process::getpriority_process(None).unwrap();
        assert!(own < NICENESS);
    }

    #[tokio::test]
    async fn dropped_task_is_aborted() {
        let thread = LowPriorityThread::start("test thread").unwrap();
        let (alive, mut dropped) = oneshot::channel::<()>();
        let task = thread.run(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        {
            let mut task = std::pin::pin!(task);
            let started = std::future::poll_fn(|context| {
                let polled = task.as_mut().poll(context);
                assert!(polled.is_pending());
                std::task::Poll::Ready(())
            });
            started.await;
            assert!(dropped.try_recv().is_err());
        }
        dropped.await.unwrap_err();
    }
}
