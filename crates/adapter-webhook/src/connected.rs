//! Detects whether a request used a new connection or a pooled one.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static CONNECTED: Cell<bool>;
}

/// Runs a request. Returns its output and whether it used a new connection.
pub(crate) async fn watch<T>(request: impl Future<Output = T>) -> (T, bool) {
    let watched = async {
        let output = request.await;
        (output, CONNECTED.with(Cell::get))
    };
    CONNECTED.scope(Cell::new(false), watched).await
}

/// Records each new connection that a request waited for. A request that gets a pooled connection
/// meanwhile stops waiting, and its own is completed in the background.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoteConnections;

impl<S> Layer<S> for NoteConnections {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector(inner)
    }
}

/// A connector that records its connections.
#[derive(Clone, Debug)]
pub(crate) struct Connector<S>(S);

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            let connected = connecting.await;
            // Fails in the background, where no request waits for the connection.
            let _ = CONNECTED.try_with(|noted| noted.set(connected.is_ok()));
            connected
        })
    }
}
