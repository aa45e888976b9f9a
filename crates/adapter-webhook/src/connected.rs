//! Whether a request went over a new connection or over a kept one.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    static CONNECTED: Cell<bool>;
}

/// Runs a request. Returns what it returns, and whether it went over a new
/// connection.
pub(crate) async fn watch<T>(request: impl Future<Output = T>) -> (T, bool) {
    let watched = async {
        let output = request.await;
        (output, CONNECTED.with(Cell::get))
    };
    CONNECTED.scope(Cell::new(false), watched).await
}

/// Notes each connection that a request has waited for. A request that is given a kept
/// one meanwhile does not wait any longer: its own is made in the background.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoteConnections;

impl<S> Layer<S> for NoteConnections {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector(inner)
    }
}

/// A connector that notes what it does.
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
            // In the background no request waits for it.
            let _ = CONNECTED.try_with(|noted| noted.set(connected.is_ok()));
            connected
        })
    }
}
