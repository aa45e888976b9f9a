//! How every operation on the server runs: in the store's runtime, with a timeout and a span.
//!
//! A firewall that has dropped a connection tells neither side, and the operating system notices
//! after a quarter of an hour. The server's own timeouts do not help a client that cannot hear
//! it. So every operation has a timeout here, and a connection on which one expired is closed
//! unless it answers a ping.

use std::io;
use std::pin::pin;
use std::time::Duration;

use ports::StoreError;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Error};
use tokio::runtime::Handle;
use tracing::Instrument as _;

use crate::error::store_error;

/// The runtime of the store's connections, and the timeout of an operation.
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
    async fn enter<F: Future>(&self, operation: F) -> F::Output {
        let mut operation = pin!(operation);
        std::future::poll_fn(|context| {
            let _entered = self.handle.enter();
            operation.as_mut().poll(context)
        })
        .await
    }
}

/// Runs an operation in the store's runtime and in a span, without a timeout.
pub(crate) async fn traced<F: Future>(
    runtime: &StoreRuntime,
    operation: &'static str,
    future: F,
) -> F::Output {
    let span = tracing::debug_span!("query", operation);
    runtime.enter(future.instrument(span)).await
}

/// An operation on the server.
pub(crate) trait Operation<T, E: From<Error>>:
    Future<Output = Result<T, E>> + Sized
{
    /// Runs in the store's runtime and in a span, and fails after the timeout. Boxed, because
    /// each layer would store the large futures of sqlx once more.
    fn in_time(
        self,
        runtime: &StoreRuntime,
        operation: &'static str,
    ) -> impl Future<Output = Result<T, E>> {
        let boxed = Box::pin(self);
        traced(runtime, operation, boxed.within(runtime.timeout))
    }

    /// Fails after `limit`.
    async fn within(self, limit: Duration) -> Result<T, E> {
        match tokio::time::timeout(limit, self).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out().into()),
        }
    }
}

impl<T, E: From<Error>, F: Future<Output = Result<T, E>>> Operation<T, E> for F {}

/// A statement or transaction on one table.
pub(crate) trait Query<T>: Future<Output = Result<T, Error>> + Sized {
    /// Runs like [`Operation::in_time`], and converts the error.
    fn run(
        self,
        runtime: &StoreRuntime,
        operation: &'static str,
        table: &'static str,
    ) -> impl Future<Output = Result<T, StoreError>> {
        let outcome = self.in_time(runtime, operation);
        async move { outcome.await.map_err(store_error(table)) }
    }
}

impl<T, F: Future<Output = Result<T, Error>>> Query<T> for F {}

/// Returns whether a connection answers, so that it may go back to its pool, which would wait for
/// it without a limit.
pub(crate) async fn answers(connection: &mut PgConnection, limit: Duration) -> Result<bool, Error> {
    connection.ping().within(limit).await.map(|()| true)
}

fn timed_out() -> Error {
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
    fn operation_runs_in_the_runtime_of_its_store() {
        let (of_store, of_caller) = (runtime(), runtime());
        let store = of_store.block_on(async { StoreRuntime::current(Duration::from_secs(1)) });
        let operation = async {
            let first = Handle::current().id();
            tokio::task::yield_now().await;
            Ok::<_, Error>([first, Handle::current().id()])
        };
        let ran_in = of_caller
            .block_on(operation.in_time(&store, "test"))
            .unwrap();
        assert_eq!(ran_in, [of_store.handle().id(); 2]);
        assert_ne!(of_store.handle().id(), of_caller.handle().id());
    }
}
