//! The runtime and the timeout of every operation on the server.
//!
//! A firewall that has forgotten a connection tells neither side, and the operating system notices
//! after a quarter of an hour. The server ends slow statements, but a caller that does not hear of
//! it would wait. So every operation has a timeout, and a connection on which an operation timed
//! out is closed unless it answers a ping.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Error};
use tokio::runtime::Handle;

/// The runtime of the store's connections, and how long any operation may take.
#[derive(Clone, Debug)]
pub(crate) struct StoreRuntime {
    handle: Handle,
    pub(crate) timeout: Duration,
}

impl StoreRuntime {
    /// Uses the runtime in which this is called.
    pub(crate) fn current(timeout: Duration) -> Self {
        let handle = Handle::current();
        Self { handle, timeout }
    }

    /// Runs an operation as if in the store's runtime, whichever thread waits for it: connections
    /// and timers that it creates belong there, and keep working when that thread is busy or gone.
    pub(crate) async fn enter<F: Future>(&self, operation: F) -> F::Output {
        // On the heap: a future that contains another one several times over would be large.
        let mut operation = Box::pin(operation);
        std::future::poll_fn(|context| {
            let _entered = self.handle.enter();
            operation.as_mut().poll(context)
        })
        .await
    }
}

/// An operation on the server.
pub(crate) trait Operation<T, E: From<Error>>:
    Future<Output = Result<T, E>> + Sized
{
    /// Runs in the store's runtime, and fails after its timeout.
    async fn in_time(self, runtime: &StoreRuntime) -> Result<T, E> {
        runtime.enter(self.within(runtime.timeout)).await
    }

    /// Fails after `limit`.
    async fn within(self, limit: Duration) -> Result<T, E> {
        match tokio::time::timeout(limit, self).await {
            Ok(outcome) => outcome,
            Err(_) => Err(silent().into()),
        }
    }
}

impl<T, E: From<Error>, F: Future<Output = Result<T, E>>> Operation<T, E> for F {}

/// Returns whether a connection may go back to its pool, which would wait for its answer without
/// limit.
pub(crate) async fn is_well(connection: &mut PgConnection, limit: Duration) -> Result<bool, Error> {
    connection.ping().within(limit).await.map(|()| true)
}

fn silent() -> Error {
    let why = io::Error::new(io::ErrorKind::TimedOut, "the server does not answer");
    Error::Io(why)
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn an_operation_runs_in_the_runtime_of_its_store_whichever_thread_waits_for_it() {
        let (home, elsewhere) = (runtime(), runtime());
        let store = home.block_on(async { StoreRuntime::current(Duration::from_secs(1)) });
        let operation = async {
            let first = Handle::current().id();
            tokio::task::yield_now().await;
            Ok::<_, Error>([first, Handle::current().id()])
        };
        let ran_in = elsewhere.block_on(operation.in_time(&store)).unwrap();
        assert_eq!(ran_in, [home.handle().id(); 2]);
        assert_ne!(home.handle().id(), elsewhere.handle().id());
    }
}
