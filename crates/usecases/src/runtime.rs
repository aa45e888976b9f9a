//! The runtime in which the store lives, entered from the threads that answer requests.

use std::pin::pin;

use tokio::runtime::{Handle, TryCurrentError};

/// A handle of the runtime in which the store lives. The threads that answer requests have runtimes
/// of their own, which end with the server, while a connection of the store must outlive it.
#[derive(Clone, Debug)]
pub struct RuntimeHandle(Handle);

impl RuntimeHandle {
    /// Returns the current runtime; fails outside of any.
    pub fn here() -> Result<Self, TryCurrentError> {
        Handle::try_current().map(Self)
    }

    /// Polls `use_case` within the store's runtime: sockets and timers it creates belong there and
    /// keep working when the thread that created them has ended.
    pub async fn run<F: Future>(&self, use_case: F) -> F::Output {
        let mut use_case = pin!(use_case);
        std::future::poll_fn(|context| {
            let _runtime = self.0.enter();
            use_case.as_mut().poll(context)
        })
        .await
    }
}
