//! All routes of the console, below `/console`.

use actix_web::HttpResponse;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig, post};
use actix_web::{Route, guard};

use crate::assets;
use crate::console::Console;
use crate::error::PageError;
use crate::pages::{
    about, access, channels, erasures, live, messages, overview, preferences, rejections,
    subscriptions, trouble, views,
};
use crate::session::{middleware, sign_in};

/// A route for GET and for HEAD, whose answers are sent without their body.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Adds the routes. Those of assets and of signing in need no session.
pub(crate) fn configure(routes: &mut ServiceConfig, console: &Data<Console>) {
    let pages = web::scope("")
        .wrap(from_fn(middleware::require_session))
        .route("/", get().to(overview::show))
        .route("/overview.csv", get().to(overview::export))
        .route("/codes.csv", get().to(overview::export_codes))
        .configure(messages_routes)
        .configure(channel_routes)
        .configure(subscription_routes)
        .configure(trouble_routes)
        .configure(access_routes)
        .route("/live", get().to(live::show))
        .route("/live/stream", get().to(live::follow))
        .route("/rejections.csv", get().to(rejections::export))
        .route("/rejections", get().to(rejections::show))
        .route("/rejections/add-sender", post().to(rejections::add_sender))
        .route("/erasures", get().to(erasures::show))
        .route("/erasures", post().to(erasures::erase))
        .route("/about", get().to(about::show))
        .route("/views", post().to(views::save))
        .route("/views/{view}/remove", post().to(views::remove))
        .route("/preferences", post().to(preferences::change))
        .route("/sign-out", post().to(sign_in::sign_out))
        .route(
            "/sign-out-everywhere",
            post().to(sign_in::sign_out_everywhere),
        )
        .default_service(web::to(missing));
    let framed = web::scope("")
        .wrap(from_fn(middleware::frame))
        .app_data(console.clone())
        .route("/assets/{file}", get().to(assets::file))
        // Not HEAD: a link in the query signs in once.
        .route("/sign-in", web::get().to(sign_in::show))
        .route("/sign-in", post().to(sign_in::sign_in))
        .route("/signed-in", get().to(sign_in::check))
        .service(pages);
    routes.service(framed);
}

fn messages_routes(routes: &mut ServiceConfig) {
    routes
        .route("/messages", get().to(messages::list::show))
        .route("/messages.csv", get().to(messages::csv::export))
        .route("/messages/search", post().to(messages::search::search))
        .route("/messages/{channel}/{sid}", get().to(messages::show::show))
        .route(
            "/messages/{channel}/{sid}/reveal",
            post().to(messages::show::reveal),
        );
}

fn channel_routes(routes: &mut ServiceConfig) {
    use channels::{change, create, credentials, csv, list, reconciliation, show, test};
    routes
        .route("/channels", get().to(list::show))
        .route("/channels.csv", get().to(csv::export))
        .route("/channels/new", get().to(create::show))
        .route("/channels/new", post().to(create::create))
        .route("/channels/{channel}", get().to(show::show))
        .route("/channels/{channel}/edit", get().to(change::show))
        .route("/channels/{channel}/edit", post().to(change::change))
        .route("/channels/{channel}/enable", post().to(change::enable))
        .route("/channels/{channel}/disable", post().to(change::disable))
        .route("/channels/{channel}/remove", post().to(change::remove))
        .route("/channels/{channel}/test", post().to(test::test))
        .route(
            "/channels/{channel}/reconciliation",
            get().to(reconciliation::show),
        )
        .route(
            "/channels/{channel}/reconciliation",
            post().to(reconciliation::change),
        )
        .route(
            "/channels/{channel}/reconciliation/remove",
            post().to(reconciliation::remove),
        )
        .route(
            "/channels/{channel}/credentials",
            post().to(credentials::add),
        )
        .route(
            "/channels/{channel}/credentials/{credential}/remove",
            post().to(credentials::remove),
        );
}

fn subscription_routes(routes: &mut ServiceConfig) {
    use subscriptions::{actions, create, csv, deliveries, edit, list, secrets, show};
    let action = |name: &str| format!("/subscriptions/{{subscription}}/{name}");
    routes
        .route("/subscriptions", get().to(list::show))
        .route("/subscriptions/new", get().to(create::show))
        .route("/subscriptions/new", post().to(create::create))
        .route("/subscriptions/{subscription}", get().to(show::show))
        .route(&action("deliveries.csv"), get().to(csv::export))
        .route(&action("edit"), get().to(edit::show))
        .route(&action("edit"), post().to(edit::change))
        .route(&action("pause"), post().to(actions::pause))
        .route(&action("resume"), post().to(actions::resume))
        .route(&action("remove"), post().to(actions::remove))
        .route(&action("replay"), post().to(actions::replay))
        .route(&action("test"), post().to(actions::test))
        .route(&action("secret"), post().to(secrets::rotate))
        .route(&action("retry"), post().to(deliveries::retry_all))
        .route("/deliveries/{delivery}/retry", post().to(deliveries::retry));
}

fn trouble_routes(routes: &mut ServiceConfig) {
    use trouble::{csv, list, settings, snooze};
    routes
        .route("/trouble", get().to(list::show))
        .route("/trouble.csv", get().to(csv::export))
        .route("/trouble/rules", get().to(settings::show))
        .route("/trouble/rules", post().to(settings::change))
        .route("/trouble/{trouble}/snooze", post().to(snooze::snooze))
        .route("/trouble/{trouble}/unsnooze", post().to(snooze::end))
        .route(
            "/channels/{channel}/rules",
            get().to(settings::show_of_channel),
        )
        .route(
            "/channels/{channel}/rules",
            post().to(settings::change_of_channel),
        )
        .route(
            "/channels/{channel}/rules/reset",
            post().to(settings::reset),
        );
}

fn access_routes(routes: &mut ServiceConfig) {
    use access::{audit, sessions, tokens};
    routes
        .route("/tokens", get().to(tokens::show))
        .route("/tokens", post().to(tokens::create))
        .route("/tokens/{token}/revoke", post().to(tokens::revoke))
        .route("/sessions", get().to(sessions::show))
        .route("/sessions/{session}/end", post().to(sessions::end))
        .route("/audit", get().to(audit::show))
        .route("/audit.csv", get().to(audit::export));
}

async fn missing() -> Result<HttpResponse, PageError> {
    Err(PageError::NotFound("such page".to_owned()))
}
