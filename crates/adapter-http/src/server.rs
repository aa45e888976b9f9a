//! How the listeners treat connections.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};
use tokio::net::TcpSocket;
use tokio::runtime::{Handle, TryCurrentError};

use crate::api::Operator;
use crate::connections::{Connections, Farewell};
use crate::watch::{Watch, WatchState};
use crate::webhook::Webhook;
use crate::{OperatorState, PublicState, idle};

/// How the public listener is dimensioned.
#[derive(Clone, Copy, Debug)]
pub struct PublicSettings {
    /// How many threads answer requests; `None` takes one for each processor.
    pub threads: Option<usize>,
    /// How many connections are held in all; beyond that no more are accepted.
    pub max_connections: usize,
    /// How long an idle connection is kept. Longer than a load balancer keeps
    /// its own (60 s for most), so that it never reuses one that is being closed.
    pub keep_alive: Duration,
    /// How long a request may take to arrive: its head, and again from there
    /// to the end of its body.
    pub request_timeout: Duration,
    /// How long the rest of a small body is waited for when the answer does not
    /// depend on it. If it is there by then, the connection can be used again.
    pub drain_timeout: Duration,
    /// How long whoever shows wrong credentials waits for the answer: without this, a few
    /// connections that guess as fast as they are refused take all processors.
    pub refusal_delay: Duration,
    /// How long a connection may take to close.
    pub disconnect_timeout: Duration,
    /// How long requests may take to end when the listener is stopped.
    pub shutdown_timeout: Duration,
}

impl Default for PublicSettings {
    fn default() -> Self {
        Self {
            threads: None,
            max_connections: 25_000,
            keep_alive: Duration::from_secs(75),
            request_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(1),
            refusal_delay: Duration::from_millis(200),
            disconnect_timeout: Duration::from_secs(3),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// The operator's listener has few callers.
const OPERATOR: PublicSettings = PublicSettings {
    threads: Some(1),
    max_connections: 1_000,
    keep_alive: Duration::from_secs(75),
    request_timeout: Duration::from_secs(10),
    drain_timeout: Duration::from_secs(1),
    refusal_delay: Duration::ZERO,
    disconnect_timeout: Duration::from_secs(3),
    shutdown_timeout: Duration::from_secs(5),
};

/// The server's own clock ticks twice a second, and a timer of its that is over
/// when it is set never fires.
const SHORTEST: Duration = Duration::from_secs(1);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 4_096;

/// Opens a listening socket; the standard library's own way lets 128
/// connections wait to be accepted and no more. Must be called within a tokio
/// runtime.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Serves the public listener until the returned server is stopped; it does
/// nothing until it is awaited. Say farewell before it is stopped.
///
/// Must be called within the tokio runtime that the store lives in: the threads
/// that answer requests have runtimes of their own, which end with the server,
/// while a connection of the store must outlive it.
pub fn serve_public(
    listener: TcpListener,
    state: PublicState,
    settings: PublicSettings,
) -> io::Result<(Server, Farewell)> {
    let connections = Arc::clone(&state.metrics.connections);
    connections.allow(settings.max_connections);
    let socket = listener.try_clone()?;
    let webhook = web::Data::new(Webhook::new(state, settings, home()?));
    let watched = Watched {
        connections: Arc::clone(&connections),
        patience: settings.keep_alive + settings.request_timeout,
    };
    let server = serve(listener, settings, Some(watched), move |routes| {
        crate::public(webhook.clone())(routes);
    })?;
    let farewell = Farewell::new(socket, server.handle(), connections);
    Ok((server, farewell))
}

/// Where connections are counted, and how long nothing may come on one.
struct Watched {
    connections: Arc<Connections>,
    patience: Duration,
}

/// Serves the operator's listener; see [`serve_public`].
pub fn serve_operator(listener: TcpListener, state: OperatorState) -> io::Result<Server> {
    let watch = web::Data::new(Watch::new((&state).into(), home()?));
    let operator = web::Data::new(Operator::new(state, home()?));
    serve(listener, OPERATOR, None, move |routes| {
        crate::operator(operator.clone(), watch.clone())(routes);
    })
}

/// Serves what a process is watched by, and nothing else; see [`serve_public`].
pub fn serve_watch(listener: TcpListener, state: WatchState) -> io::Result<Server> {
    let watch = web::Data::new(Watch::new(state, home()?));
    serve(listener, OPERATOR, None, move |routes| {
        crate::watched(watch.clone())(routes);
    })
}

fn serve(
    listener: TcpListener,
    settings: PublicSettings,
    watched: Option<Watched>,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> io::Result<Server> {
    let threads = settings
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .max(1);
    let app = move || App::new().configure(&routes);
    let server = HttpServer::new(app)
        .workers(threads)
        .max_connections(settings.max_connections.div_ceil(threads))
        .keep_alive(settings.keep_alive)
        .client_request_timeout(settings.request_timeout.max(SHORTEST))
        .client_disconnect_timeout(settings.disconnect_timeout.max(SHORTEST))
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .tcp_nodelay(true)
        .on_connect(move |stream, data| {
            if let Some(watched) = &watched {
                watched.connections.count(data);
            }
            idle::watch(stream, data, watched.as_ref().map(|watched| watched.patience));
        })
        // The process decides when to stop, not one of its listeners.
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// The runtime in which the store lives.
#[derive(Clone, Debug)]
pub struct Home(Handle);

fn home() -> io::Result<Home> {
    Home::here().map_err(io::Error::other)
}

impl Home {
    /// The runtime that this is called in; fails outside of any.
    pub fn here() -> Result<Self, TryCurrentError> {
        Handle::try_current().map(Self)
    }

    /// Lets a use case run as if in the store's runtime: sockets and timers it
    /// makes belong there, and work on when the thread that made them is gone.
    pub async fn run<F: Future>(&self, use_case: F) -> F::Output {
        let mut use_case = std::pin::pin!(use_case);
        std::future::poll_fn(|context| {
            let _home = self.0.enter();
            use_case.as_mut().poll(context)
        })
        .await
    }
}
