//! The two HTTP listeners: the public one, where integrators report, and the
//! operator's one with the API, health and metrics.
//!
//! A handler unpacks a request, calls one use case and packs the answer. What
//! is written on the wire stands beside its handler and is no domain type. This
//! crate deliberately knows no store and no integrator: both come in through
//! the use cases of [`PublicState`] and [`OperatorState`].
//!
//! All routes stand on this page. Start reading at [`webhook`], the way of a
//! report, and at [`server`], which says how connections are treated.

pub mod api;
mod connections;
mod docs;
mod guessing;
pub mod health;
mod host;
pub mod metrics;
pub mod problem;
pub mod request_log;
pub mod server;
mod transport;
pub mod watch;
pub mod webhook;
pub mod wire;

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route, guard};
use usecases::{
    AuthenticateCaller, ChannelDirectory, CheckHealth, EraseRecipient, Integrators, ListErasures,
    ListMessages, ListRejections, ManageChannels, ManageCursors, ManageSubscriptions, ReadEvents,
    ReceiveReport, ShowMessage, SubscriptionStatistics,
};

pub use api::auth::AdminToken;
pub use api::events::stream::StreamSettings;
pub use connections::GracefulShutdown;
pub use host::HostNames;
pub use metrics::MetricsRegistry;
use problem::Problem;
pub use server::{
    ListenerSettings, RuntimeHandle, bind, serve_operator, serve_public, serve_watch,
};
use tokio::sync::watch::Receiver;
pub use watch::WatchState;

/// What the public listener needs.
#[derive(Clone)]
pub struct PublicState {
    /// Who may report, and where.
    pub integrators: Integrators,
    /// Proves callers.
    pub admit: Arc<AuthenticateCaller>,
    /// Takes their reports in.
    pub receive: Arc<ReceiveReport>,
    /// Counts.
    pub metrics: Arc<MetricsRegistry>,
}

/// What the operator's listener needs.
#[derive(Clone)]
pub struct OperatorState {
    /// Adds, changes and removes channels.
    pub manage: Arc<ManageChannels>,
    /// Shows a message.
    pub show: Arc<ShowMessage>,
    /// Lists messages.
    pub list: Arc<ListMessages>,
    /// Gives out events.
    pub events: Arc<ReadEvents>,
    /// How they are streamed.
    pub streams: StreamSettings,
    /// Shows, moves and forgets places in the log.
    pub cursors: Arc<ManageCursors>,
    /// Adds, changes and removes subscriptions, and shows their deliveries.
    pub subscriptions: Arc<ManageSubscriptions>,
    /// Looks at all subscriptions for the metrics.
    pub survey: Arc<SubscriptionStatistics>,
    /// Becomes true when the process is about to stop: what never ends by
    /// itself ends then.
    pub stop: Receiver<bool>,
    /// Forgets a recipient.
    pub erase: Arc<EraseRecipient>,
    /// Lists erasures.
    pub erasures: Arc<ListErasures>,
    /// Lists refused reports.
    pub rejections: Arc<ListRejections>,
    /// Checks what the service depends on.
    pub health: Arc<CheckHealth>,
    /// Refreshed after each change made here, so that this process knows at once.
    pub directory: Arc<ChannelDirectory>,
    /// Shows the counts.
    pub metrics: Arc<MetricsRegistry>,
    /// Opens the API.
    pub admin_token: AdminToken,
    /// The host names that are answered.
    pub hosts: HostNames,
}

/// The routes of the public listener: the webhook, and nothing else.
///
/// `POST /social/on/whatsapp/{integrator}/{word}/{channel}` is taken apart by
/// hand in [`webhook::path`]: a pattern of the router would be a regular
/// expression on every request.
pub(crate) fn public(webhook: web::Data<webhook::Webhook>) -> impl FnOnce(&mut ServiceConfig) {
    move |routes| {
        routes
            .app_data(webhook)
            .default_service(web::to(webhook::receive));
    }
}

/// The routes of the operator's listener. All that holds data is behind the
/// admin token.
pub(crate) fn operator(
    operator: web::Data<api::Operator>,
    watch: web::Data<watch::Watch>,
) -> impl FnOnce(&mut ServiceConfig) {
    move |routes| {
        let api = web::scope("/api/v1")
            .wrap(from_fn(api::body_timeout::read_in_time))
            .wrap(from_fn(api::auth::only_with_token))
            .service(
                resource("/channels", "GET, HEAD, POST")
                    .route(get().to(api::channels::list))
                    .route(web::post().to(api::channels::add)),
            )
            .service(
                resource("/channels/{channel}", "DELETE, GET, HEAD, PATCH")
                    .route(get().to(api::channels::show))
                    .route(web::patch().to(api::channels::change))
                    .route(web::delete().to(api::channels::remove)),
            )
            .service(
                resource("/channels/{channel}/credentials", "POST")
                    .route(web::post().to(api::credentials::add)),
            )
            .service(
                resource("/channels/{channel}/credentials/{credential}", "DELETE")
                    .route(web::delete().to(api::credentials::remove)),
            )
            .service(resource("/messages", "GET, HEAD").route(get().to(api::messages::list)))
            .service(
                resource("/messages/{channel}/{sid}", "GET, HEAD")
                    .route(get().to(api::messages::show)),
            )
            .service(resource("/events", "GET, HEAD").route(get().to(api::events::list)))
            .service(
                resource("/events/stream", "GET, HEAD")
                    .route(get().to(api::events::stream::follow)),
            )
            .configure(cursors)
            .configure(subscriptions)
            .service(
                resource("/erasures", "GET, HEAD, POST")
                    .route(get().to(api::erasures::list))
                    .route(web::post().to(api::erasures::add)),
            )
            .service(
                resource("/erasures/{erasure}", "GET, HEAD").route(get().to(api::erasures::show)),
            )
            .service(resource("/rejections", "GET, HEAD").route(get().to(api::rejections::list)))
            .default_service(web::to(nothing_here));
        routes
            .app_data(operator)
            .app_data(watch)
            .app_data(web::JsonConfig::default().error_handler(api::error::of_json))
            .app_data(web::QueryConfig::default().error_handler(api::error::of_query))
            .service(
                web::scope("")
                    .wrap(from_fn(host::only_known))
                    .wrap(from_fn(request_log::operator))
                    .service(api)
                    .configure(watching)
                    .service(
                        resource("/openapi.json", "GET, HEAD").route(get().to(api::openapi::show)),
                    )
                    .configure(docs::routes)
                    .default_service(web::to(nothing_here)),
            );
    }
}

/// The routes of a worker's listener: what is there to watch it by, and nothing
/// else.
pub(crate) fn watched(watch: web::Data<watch::Watch>) -> impl FnOnce(&mut ServiceConfig) {
    move |routes| {
        routes
            .app_data(watch)
            .configure(watching)
            .default_service(web::to(nothing_here));
    }
}

/// The routes that tell how the process is.
fn watching(routes: &mut ServiceConfig) {
    let metrics = web::resource("/metrics")
        .wrap(from_fn(api::auth::only_with_token))
        .route(get().to(metrics::show))
        .default_service(web::to(|| async { not_allowed("GET, HEAD") }));
    routes
        .service(metrics)
        .service(resource("/healthz", "GET, HEAD").route(get().to(health::alive)))
        .service(resource("/readyz", "GET, HEAD").route(get().to(health::ready)));
}

/// The routes of cursors.
fn cursors(routes: &mut ServiceConfig) {
    use api::events::cursors;
    routes
        .service(resource("/cursors", "GET, HEAD").route(get().to(cursors::list)))
        .service(
            resource("/cursors/{name}", "DELETE, GET, HEAD, PUT")
                .route(get().to(cursors::show))
                .route(web::put().to(cursors::put))
                .route(web::delete().to(cursors::remove)),
        );
}

/// The routes of subscriptions and their deliveries.
fn subscriptions(routes: &mut ServiceConfig) {
    use api::subscriptions::{self, deliveries};
    routes
        .service(
            resource("/subscriptions", "GET, HEAD, POST")
                .route(get().to(subscriptions::list))
                .route(web::post().to(subscriptions::add)),
        )
        .service(
            resource("/subscriptions/{subscription}", "DELETE, GET, HEAD, PATCH")
                .route(get().to(subscriptions::show))
                .route(web::patch().to(subscriptions::change))
                .route(web::delete().to(subscriptions::remove)),
        )
        .service(
            resource("/subscriptions/{subscription}/pause", "POST")
                .route(web::post().to(subscriptions::pause)),
        )
        .service(
            resource("/subscriptions/{subscription}/resume", "POST")
                .route(web::post().to(subscriptions::resume)),
        )
        .service(
            resource("/subscriptions/{subscription}/secret", "POST")
                .route(web::post().to(subscriptions::rotate)),
        )
        .service(
            resource("/subscriptions/{subscription}/test", "POST")
                .route(web::post().to(subscriptions::test)),
        )
        .service(
            resource("/subscriptions/{subscription}/replay", "POST")
                .route(web::post().to(subscriptions::replay)),
        )
        .service(
            resource("/subscriptions/{subscription}/deliveries", "GET, HEAD")
                .route(get().to(deliveries::list)),
        )
        .service(
            resource("/subscriptions/{subscription}/deliveries/retry", "POST")
                .route(web::post().to(deliveries::retry_all)),
        )
        .service(resource("/deliveries/{delivery}", "GET, HEAD").route(get().to(deliveries::show)))
        .service(
            resource("/deliveries/{delivery}/retry", "POST")
                .route(web::post().to(deliveries::retry)),
        );
}

/// A route for GET and for HEAD, whose answers are sent without their body.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A resource that answers 405 to methods it has no route for.
fn resource(path: &str, methods: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move { not_allowed(methods) }))
}

fn not_allowed(methods: &'static str) -> HttpResponse {
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("this path knows {methods}"),
    );
    let mut response = problem.response();
    let methods = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, methods);
    response
}

async fn nothing_here() -> HttpResponse {
    problem::not_found().response()
}
