//! How the listeners treat connections.

use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, Error};
use tokio::net::TcpSocket;
use tokio::runtime::{Handle, TryCurrentError};

use crate::api::Operator;
use crate::connections::{Connections, GracefulShutdown};
use crate::transport::{self, GuardedStream, Limits};
use crate::watch::{Watch, WatchState};
use crate::webhook::Webhook;
use crate::webhook::body::BODY_MAX;
use crate::{OperatorState, PublicState};

/// The limits of a listener; the defaults are those of the public one.
#[derive(Clone, Copy, Debug)]
pub struct ListenerSettings {
    /// How many threads answer requests; `None` takes one for each processor.
    pub threads: Option<usize>,
    /// How many connections are held in all; beyond that no more are accepted.
    pub max_connections: usize,
    /// How many bytes the head of a request has at most; the answer to more is 431.
    pub max_head: usize,
    /// How long an idle connection is kept. Longer than a load balancer keeps
    /// its own (60 s for most), so that it never reuses one that is being closed.
    pub keep_alive: Duration,
    /// How long a request may take to arrive: its head, and again from there
    /// to the end of its body.
    pub request_timeout: Duration,
    /// How long an answer may wait for a client that does not read it.
    pub send_timeout: Duration,
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

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            threads: None,
            max_connections: 25_000,
            max_head: 16_384,
            keep_alive: Duration::from_secs(75),
            request_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(1),
            refusal_delay: Duration::from_millis(200),
            disconnect_timeout: Duration::from_secs(3),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

impl ListenerSettings {
    /// The limits of the operator's listener, which has few callers.
    #[must_use]
    pub const fn operator() -> Self {
        Self {
            threads: Some(1),
            max_connections: 1_000,
            max_head: 16_384,
            keep_alive: Duration::from_secs(75),
            request_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(1),
            refusal_delay: Duration::from_millis(200),
            disconnect_timeout: Duration::from_secs(3),
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}

/// How many bytes the body of a request to the operator's API has at most.
pub(crate) const OPERATOR_BODY_MAX: usize = 1_048_576;

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
    settings: ListenerSettings,
) -> io::Result<(Server, GracefulShutdown)> {
    let connections = Arc::clone(&state.metrics.connections);
    connections.allow(settings.max_connections);
    let socket = listener.try_clone()?;
    let webhook = web::Data::new(Webhook::new(state, settings, home()?));
    let server = serve(listener, settings, BODY_MAX, &connections, move |routes| {
        crate::public(webhook.clone())(routes);
    })?;
    let farewell = GracefulShutdown::new(socket, server.handle(), connections);
    Ok((server, farewell))
}

/// Serves the operator's listener; see [`serve_public`].
pub fn serve_operator(
    listener: TcpListener,
    state: OperatorState,
    settings: ListenerSettings,
) -> io::Result<Server> {
    let watch = web::Data::new(Watch::new((&state).into(), settings, home()?));
    let operator = web::Data::new(Operator::new(state, home()?));
    serve_uncounted(listener, settings, move |routes| {
        crate::operator(operator.clone(), watch.clone())(routes);
    })
}

/// Serves what a process is watched by, and nothing else; see [`serve_public`].
pub fn serve_watch(
    listener: TcpListener,
    state: WatchState,
    settings: ListenerSettings,
) -> io::Result<Server> {
    let watch = web::Data::new(Watch::new(state, settings, home()?));
    serve_uncounted(listener, settings, move |routes| {
        crate::watched(watch.clone())(routes);
    })
}

/// Serves a listener whose connections are in no metric.
fn serve_uncounted(
    listener: TcpListener,
    settings: ListenerSettings,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> io::Result<Server> {
    let connections = Arc::<Connections>::default();
    connections.allow(settings.max_connections);
    serve(listener, settings, OPERATOR_BODY_MAX, &connections, routes)
}

/// As `actix_web::HttpServer` does it, with a stream that bounds what a client may hold.
fn serve(
    listener: TcpListener,
    settings: ListenerSettings,
    max_body: usize,
    connections: &Arc<Connections>,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> io::Result<Server> {
    let threads = settings
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
        .max(1);
    let limits = Limits {
        head: settings.max_head,
        body: max_body,
        idle: settings.keep_alive,
        receiving: settings.request_timeout,
        sending: settings.send_timeout,
    };
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let connections = Arc::clone(connections);
    let service = move || {
        let (stopping, connections) = (stopping.clone(), Arc::clone(&connections));
        let app = App::new()
            .wrap(from_fn(transport::track))
            .configure(&routes)
            .into_factory()
            .map_err(|error: Error| error.error_response());
        let registered = Arc::clone(&connections);
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(settings.keep_alive)
            .client_request_timeout(settings.request_timeout.max(SHORTEST))
            .client_disconnect_timeout(settings.disconnect_timeout.max(SHORTEST))
            .on_connect_ext(move |stream: &GuardedStream, data| {
                let connection = stream.connection();
                transport::register(connection, &registered);
                data.insert(Rc::clone(connection));
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let guard = fn_service(move |socket: TcpStream| {
            let peer = socket.peer_addr().ok();
            let stream = GuardedStream::new(socket, limits, &connections);
            ready(Ok((stream, peer)))
        });
        guard.and_then(http)
    };
    let server = builder
        .workers(threads)
        .max_concurrent_connections(settings.max_connections.div_ceil(threads))
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        // The process decides when to stop, not one of its listeners.
        .disable_signals()
        .listen("http", listener, service)?;
    Ok(server.run())
}

/// The runtime in which the store lives.
#[derive(Clone, Debug)]
pub struct RuntimeHandle(Handle);

fn home() -> io::Result<RuntimeHandle> {
    RuntimeHandle::here().map_err(io::Error::other)
}

impl RuntimeHandle {
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
