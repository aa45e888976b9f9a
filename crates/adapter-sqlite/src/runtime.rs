//! How every operation on the file runs: in the store's runtime and in a span.

use std::pin::pin;

use ports::StoreError;
use tokio::runtime::Handle;
use tracing::Instrument as _;

use crate::error::store_error;

/// A statement or transaction on one table.
pub(crate) trait Query<T>: Future<Output = Result<T, sqlx::Error>> + Sized {
    /// Runs in the store's runtime and in a span, and converts the error. Boxed, because each
    /// layer would store the large futures of sqlx once more.
    fn run(
        self,
        runtime: &Handle,
        operation: &'static str,
        table: &'static str,
    ) -> impl Future<Output = Result<T, StoreError>> {
        let outcome = traced(runtime, operation, Box::pin(self));
        async move { outcome.await.map_err(store_error(table)) }
    }
}

impl<T, F: Future<Output = Result<T, sqlx::Error>>> Query<T> for F {}

/// Runs an operation in the store's runtime and in a span.
pub(crate) async fn traced<F: Future>(
    runtime: &Handle,
    operation: &'static str,
    future: F,
) -> F::Output {
    let span = tracing::debug_span!("query", operation);
    enter(runtime, future.instrument(span)).await
}

/// Runs as if in `runtime`, whichever thread waits for it: a pooled connection is returned by a
/// task of the runtime in which it is dropped, and that must not be one of a thread that is busy
/// or has a low priority.
async fn enter<F: Future>(runtime: &Handle, operation: F) -> F::Output {
    let mut operation = pin!(operation);
    std::future::poll_fn(|context| {
        let _entered = runtime.enter();
        operation.as_mut().poll(context)
    })
    .await
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
        let operation = async {
            let first = Handle::current().id();
            tokio::task::yield_now().await;
            [first, Handle::current().id()]
        };
        let ran_in = of_caller.block_on(enter(of_store.handle(), operation));
        assert_eq!(ran_in, [of_store.handle().id(); 2]);
        assert_ne!(of_store.handle().id(), of_caller.handle().id());
    }
}
