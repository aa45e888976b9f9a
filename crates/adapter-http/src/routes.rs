//! All routes of the three listeners.

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig, patch, post, put};

use crate::api::operator::Operator;
use crate::api::{
    self, audit, channels, credentials, erasures, events, messages, rejections, statistics, tokens,
    troubles,
};
use crate::monitoring::Monitoring;
use crate::resource::{get, not_found, resource};
use crate::webhook::Webhook;
use crate::{docs, health, host, metrics, request_log, webhook};

/// Adds the routes of the public listener: the webhook, and nothing else.
///
/// [`webhook::path`] splits `POST /social/on/whatsapp/{integrator}/{word}/{channel}`: a pattern of
/// the router would match a regular expression for every request.
pub(crate) fn public(routes: &mut ServiceConfig, webhook: web::Data<Webhook>) {
    routes
        .app_data(webhook)
        .default_service(web::to(webhook::receive));
}

/// Adds the routes of the operator's listener. All that return data require a token,
/// or in the console a session.
pub(crate) fn operator(
    routes: &mut ServiceConfig,
    operator: web::Data<Operator>,
    monitoring: web::Data<Monitoring>,
    console: impl Fn(&mut ServiceConfig),
) {
    let api = web::scope("/api/v1")
        .wrap(from_fn(api::body_timeout::read_in_time))
        .wrap(from_fn(api::authorize::authorize))
        .wrap(from_fn(api::auth::require_token))
        .configure(channels)
        .service(resource("/messages", "GET, HEAD").route(get().to(messages::list)))
        .service(resource("/messages/{channel}/{sid}", "GET, HEAD").route(get().to(messages::show)))
        .configure(events)
        .configure(subscriptions)
        .service(
            resource("/erasures", "GET, HEAD, POST")
                .route(get().to(erasures::list))
                .route(post().to(erasures::add)),
        )
        .service(resource("/erasures/{erasure}", "GET, HEAD").route(get().to(erasures::show)))
        .service(resource("/rejections", "GET, HEAD").route(get().to(rejections::list)))
        .service(resource("/stats", "GET, HEAD").route(get().to(statistics::show)))
        .configure(troubles)
        .configure(access)
        .default_service(web::to(not_found));
    let pages = web::scope("/console")
        .wrap(from_fn(api::body_timeout::read_in_time))
        .configure(console);
    routes
        .app_data(web::Data::new(operator.state.hosts.clone()))
        .app_data(operator)
        .app_data(monitoring)
        .app_data(web::JsonConfig::default().error_handler(api::error::from_json))
        .app_data(web::QueryConfig::default().error_handler(api::error::from_query))
        .service(
            web::scope("")
                .wrap(from_fn(host::require_known))
                .wrap(from_fn(request_log::operator))
                .service(api)
                .configure(monitoring_routes)
                .service(resource("/openapi.json", "GET, HEAD").route(get().to(api::openapi::show)))
                .configure(docs::routes)
                .service(web::redirect("/", "/console/"))
                .service(web::redirect("/console", "/console/"))
                .service(pages)
                .default_service(web::to(not_found)),
        );
}

/// Adds the routes of a worker's listener: health and metrics, and nothing else.
pub(crate) fn worker(routes: &mut ServiceConfig, monitoring: web::Data<Monitoring>) {
    routes
        .app_data(monitoring)
        .configure(monitoring_routes)
        .default_service(web::to(not_found));
}

fn monitoring_routes(routes: &mut ServiceConfig) {
    let metrics = resource("/metrics", "GET, HEAD")
        .wrap(from_fn(api::auth::require_token))
        .route(get().to(metrics::handler::show));
    routes
        .service(metrics)
        .service(resource("/healthz", "GET, HEAD").route(get().to(health::alive)))
        .service(resource("/readyz", "GET, HEAD").route(get().to(health::ready)));
}

fn channels(routes: &mut ServiceConfig) {
    routes
        .service(
            resource("/channels", "GET, HEAD, POST")
                .route(get().to(channels::list))
                .route(post().to(channels::add)),
        )
        .service(
            resource("/channels/{channel}", "DELETE, GET, HEAD, PATCH")
                .route(get().to(channels::show))
                .route(patch().to(channels::change))
                .route(web::delete().to(channels::remove)),
        )
        .service(
            resource("/channels/{channel}/test", "POST").route(post().to(channels::test::test)),
        )
        .service(
            resource("/channels/{channel}/credentials", "POST").route(post().to(credentials::add)),
        )
        .service(
            resource(
                "/channels/{channel}/reconciliation",
                "DELETE, GET, HEAD, PUT",
            )
            .route(get().to(channels::reconciliation::show))
            .route(put().to(channels::reconciliation::put))
            .route(web::delete().to(channels::reconciliation::remove)),
        )
        .service(
            resource("/channels/{channel}/credentials/{credential}", "DELETE")
                .route(web::delete().to(credentials::remove)),
        );
}

fn troubles(routes: &mut ServiceConfig) {
    use troubles::settings;
    routes
        .service(resource("/troubles", "GET, HEAD").route(get().to(troubles::list)))
        .service(
            resource("/troubles/{trouble}/snooze", "DELETE, PUT")
                .route(put().to(troubles::snooze))
                .route(web::delete().to(troubles::end_snooze)),
        )
        .service(resource("/operator-events", "GET, HEAD").route(get().to(troubles::events)))
        .service(
            resource("/trouble-settings", "GET, HEAD, PUT")
                .route(get().to(settings::show))
                .route(put().to(settings::put)),
        )
        .service(
            resource(
                "/channels/{channel}/trouble-settings",
                "DELETE, GET, HEAD, PUT",
            )
            .route(get().to(settings::show_of_channel))
            .route(put().to(settings::put_of_channel))
            .route(web::delete().to(settings::remove_of_channel)),
        );
}

fn access(routes: &mut ServiceConfig) {
    routes
        .service(
            resource("/tokens", "GET, HEAD, POST")
                .route(get().to(tokens::list))
                .route(post().to(tokens::add)),
        )
        .service(resource("/tokens/{token}", "DELETE").route(web::delete().to(tokens::revoke)))
        .service(resource("/audit", "GET, HEAD").route(get().to(audit::list)));
}

fn events(routes: &mut ServiceConfig) {
    use events::{cursors, stream};
    routes
        .service(resource("/events", "GET, HEAD").route(get().to(events::list)))
        .service(resource("/events/stream", "GET, HEAD").route(get().to(stream::follow)))
        .service(resource("/cursors", "GET, HEAD").route(get().to(cursors::list)))
        .service(
            resource("/cursors/{name}", "DELETE, GET, HEAD, PUT")
                .route(get().to(cursors::show))
                .route(put().to(cursors::put))
                .route(web::delete().to(cursors::remove)),
        );
}

fn subscriptions(routes: &mut ServiceConfig) {
    use api::subscriptions::{self, deliveries};
    let action = |name: &str, route| {
        resource(&format!("/subscriptions/{{subscription}}/{name}"), "POST").route(route)
    };
    routes
        .service(
            resource("/subscriptions", "GET, HEAD, POST")
                .route(get().to(subscriptions::list))
                .route(post().to(subscriptions::add)),
        )
        .service(
            resource("/subscriptions/{subscription}", "DELETE, GET, HEAD, PATCH")
                .route(get().to(subscriptions::show))
                .route(patch().to(subscriptions::change))
                .route(web::delete().to(subscriptions::remove)),
        )
        .service(action("pause", post().to(subscriptions::pause)))
        .service(action("resume", post().to(subscriptions::resume)))
        .service(action("secret", post().to(subscriptions::rotate)))
        .service(action("test", post().to(subscriptions::test)))
        .service(action("replay", post().to(subscriptions::replay)))
        .service(
            resource("/subscriptions/{subscription}/deliveries", "GET, HEAD")
                .route(get().to(deliveries::list)),
        )
        .service(action("deliveries/retry", post().to(deliveries::retry_all)))
        .service(resource("/deliveries/{delivery}", "GET, HEAD").route(get().to(deliveries::show)))
        .service(
            resource("/deliveries/{delivery}/retry", "POST").route(post().to(deliveries::retry)),
        );
}
