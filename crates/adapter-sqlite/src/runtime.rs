//! The runtime of the store's connections.

use std::pin::pin;

use tokio::runtime::Handle;

/// An operation on the store.
pub(crate) trait Operation: Future + Sized {
    /// Runs as if in `runtime`, whichever thread waits for it: a pooled connection is returned by
    /// a task of the runtime in which it is dropped, and that must not be one of a thread that is
    /// busy or has a low priority.
    async fn run_in(self, runtime: &Handle) -> Self::Output {
        let mut operation = pin!(self);
        std::future::poll_fn(|context| {
            let _entered = runtime.enter();
            operation.as_mut().poll(context)
        })
        .await
    }
}

impl<F: Future> Operation for F {}

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
        let operation = async {
            let first = Handle::current().id();
            tokio::task::yield_now().await;
            [first, Handle::current().id()]
        };
        let ran_in = elsewhere.block_on(operation.run_in(home.handle()));
        assert_eq!(ran_in, [home.handle().id(); 2]);
        assert_ne!(home.handle().id(), elsewhere.handle().id());
    }
}
