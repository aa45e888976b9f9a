//! Opens and serves the listeners, with limits on the resources of each client.

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
use actix_web::web::{Data, ServiceConfig};
use actix_web::{App, Error};
use tokio::net::TcpSocket;

use crate::api::openapi;
use crate::api::operator::{Operator, OperatorState};
use crate::connections::{Connections, GracefulShutdown};
use crate::monitoring::{Monitoring, MonitoringState};
use crate::request_body::{OPERATOR_BODY_MAX, REPORT_BODY_MAX};
use crate::routes;
use crate::settings::ListenerSettings;
use crate::transport::{self, GuardedStream, Limits};
use crate::webhook::{PublicState, Webhook};
use usecases::RuntimeHandle;

/// The shortest timeout the server can keep: its clock ticks twice a second, and a timer that has
/// expired when it is set never fires.
const MIN_SERVER_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that may wait to be accepted.
const ACCEPT_BACKLOG: u32 = 4_096;

/// Opens a listening socket with a longer accept queue than the standard library's 128. Must be
/// called within a tokio runtime.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)?.into_std()
}

/// Serves the public listener until the returned server is stopped; nothing happens until it is
/// awaited. Drain its connections through the returned [`GracefulShutdown`] before stopping it.
///
/// Must be called within the runtime of the store; see [`RuntimeHandle`].
pub fn serve_public(
    listener: TcpListener,
    state: PublicState,
    settings: ListenerSettings,
) -> io::Result<(Server, GracefulShutdown)> {
    let connections = Arc::clone(&state.metrics.connections);
    connections.set_limit(settings.max_connections);
    let socket = listener.try_clone()?;
    let webhook = Data::new(Webhook::new(state, settings, current_runtime()?));
    let server = serve(
        listener,
        settings,
        REPORT_BODY_MAX,
        &connections,
        move |config| {
            routes::public(config, webhook.clone());
        },
    )?;
    let shutdown = GracefulShutdown::new(socket, server.handle(), connections);
    Ok((server, shutdown))
}

/// Serves the operator's listener; see [`serve_public`]. `console` adds the pages below `/console`,
/// to which the host check, the limits and the timeouts of the listener apply too.
pub fn serve_operator(
    listener: TcpListener,
    state: OperatorState,
    console: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
    settings: ListenerSettings,
) -> io::Result<Server> {
    let monitoring = MonitoringState {
        troubles: Arc::clone(&state.trouble_figures),
        statistics: Arc::clone(&state.statistics),
        forwarding: Arc::clone(&state.forwarding),
        health: Arc::clone(&state.health),
        metrics: Arc::clone(&state.metrics),
        authenticate: Arc::clone(&state.access.authenticate),
    };
    let monitoring = Data::new(Monitoring::new(monitoring, settings, current_runtime()?));
    let integrators = state.manage.integrators().iter();
    let names: Vec<_> = integrators.map(|each| each.name().as_str()).collect();
    let document = openapi::document(state.manage.public_url(), &names).to_string();
    let operator = Data::new(Operator::new(state, document.into(), current_runtime()?));
    serve_uncounted(listener, settings, move |config| {
        routes::operator(config, operator.clone(), monitoring.clone(), &console);
    })
}

/// Serves a worker's listener, which has health and metrics only; see [`serve_public`].
pub fn serve_monitoring(
    listener: TcpListener,
    state: MonitoringState,
    settings: ListenerSettings,
) -> io::Result<Server> {
    let monitoring = Data::new(Monitoring::new(state, settings, current_runtime()?));
    serve_uncounted(listener, settings, move |config| {
        routes::worker(config, monitoring.clone());
    })
}

fn current_runtime() -> io::Result<RuntimeHandle> {
    RuntimeHandle::here().map_err(io::Error::other)
}

/// Serves a listener whose connections are not in the metrics.
fn serve_uncounted(
    listener: TcpListener,
    settings: ListenerSettings,
    routes: impl Fn(&mut ServiceConfig) + Send + Clone + 'static,
) -> io::Result<Server> {
    let connections = Arc::<Connections>::default();
    connections.set_limit(settings.max_connections);
    serve(listener, settings, OPERATOR_BODY_MAX, &connections, routes)
}

/// Builds a server like `actix_web::HttpServer`, with a stream that limits what a client may hold.
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
            .client_request_timeout(settings.request_timeout.max(MIN_SERVER_TIMEOUT))
            .client_disconnect_timeout(settings.disconnect_timeout.max(MIN_SERVER_TIMEOUT))
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
        // The process decides when to stop, not the listener.
        .disable_signals()
        .listen("http", listener, service)?;
    Ok(server.run())
}
