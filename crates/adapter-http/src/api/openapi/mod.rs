//! The OpenAPI document, made from the handlers and what they read and write.

mod answers;
mod strict;

use actix_web::{HttpResponse, web};
use domain::PublicUrl;
use serde::Serialize;
use serde_json::Value;
use usecases::CloudEvent;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, Paths, Server};
use utoipa::{Modify, OpenApi, ToSchema};

use super::Operator;
use crate::docs::shared;
use crate::problem::Problem;
use answers::Answers;

/// The path of the webhook.
const REPORT: &str = "/social/on/whatsapp/twilio/report/{channel}";

/// The name of what is pushed.
const PUSHED: &str = "message";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "receiptd",
        description = "Receives WhatsApp delivery reports, keeps every one, and shows the true \
                       state of every message. The webhook has a listener of its own.",
    ),
    paths(
        report,
        pushed,
        crate::api::channels::add,
        crate::api::channels::list,
        crate::api::channels::show,
        crate::api::channels::change,
        crate::api::channels::remove,
        crate::api::credentials::add,
        crate::api::credentials::remove,
        crate::api::messages::list,
        crate::api::messages::show,
        crate::api::events::list,
        crate::api::events::stream::follow,
        crate::api::events::cursors::list,
        crate::api::events::cursors::show,
        crate::api::events::cursors::put,
        crate::api::events::cursors::remove,
        crate::api::subscriptions::add,
        crate::api::subscriptions::list,
        crate::api::subscriptions::show,
        crate::api::subscriptions::change,
        crate::api::subscriptions::remove,
        crate::api::subscriptions::pause,
        crate::api::subscriptions::resume,
        crate::api::subscriptions::rotate,
        crate::api::subscriptions::test,
        crate::api::subscriptions::replay,
        crate::api::subscriptions::deliveries::list,
        crate::api::subscriptions::deliveries::show,
        crate::api::subscriptions::deliveries::retry,
        crate::api::subscriptions::deliveries::retry_all,
        crate::api::erasures::add,
        crate::api::erasures::list,
        crate::api::erasures::show,
        crate::api::rejections::list,
        crate::health::alive,
        crate::health::ready,
        crate::metrics::show,
    ),
    components(schemas(Problem)),
    modifiers(&Schemes, &Pushed, &Answers),
    servers((url = "/", description = "The operator's listener")),
    tags(
        (name = "webhook", description = "Where integrators report: the public listener"),
        (name = "channels", description = "Channels and the credentials that prove their callers"),
        (name = "messages", description = "Messages and what was reported of them"),
        (name = "rejections", description = "Reports that were refused"),
        (name = "erasures", description = "Recipients that were forgotten"),
        (name = "events", description = "What happens to messages: pulled, streamed, pushed"),
        (name = "cursors", description = "Places in the log that pullers keep here"),
        (name = "subscriptions", description = "Events pushed to others, and their deliveries"),
        (name = "operating", description = "Health and metrics"),
    ),
)]
struct Api;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        for (name, scheme) in [
            ("admin", HttpAuthScheme::Bearer),
            ("webhook", HttpAuthScheme::Basic),
        ] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
    }
}

/// What is pushed is no path of ours: it stands among the webhooks.
struct Pushed;

impl Modify for Pushed {
    fn modify(&self, document: &mut Document) {
        if let Some(item) = document.paths.paths.remove(PUSHED) {
            let mut webhooks = Paths::new();
            webhooks.paths.insert(PUSHED.to_owned(), item);
            document.webhooks = Some(webhooks);
        }
    }
}

/// Returns the document of a service that the given integrators reach at `public_url`.
#[must_use]
pub fn document(public_url: &PublicUrl, integrators: &[&str]) -> Value {
    let mut document = Api::openapi();
    let paths = &mut document.paths.paths;
    if let Some(report) = paths.get_mut(REPORT).and_then(|item| item.post.as_mut()) {
        let mut public = Server::new(public_url.without_credentials());
        public.description = Some("The public listener".to_owned());
        report.servers = Some(vec![public]);
    }
    // A document of structs, texts and numbers always becomes JSON.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    strict::tighten(&mut document, integrators);
    document
}

/// Answers with the document.
pub(crate) async fn show(operator: web::Data<Operator>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    shared(
        response.content_type("application/json"),
        operator.document.clone(),
    )
}

/// The fields of a report that must be there; Twilio sends about twenty more,
/// and new ones appear without notice. All are kept.
#[derive(Serialize, ToSchema)]
#[expect(non_snake_case, reason = "Twilio's names")]
struct TwilioReport {
    /// The message.
    #[schema(example = "SM0123456789abcdef0123456789abcdef")]
    MessageSid: String,
    /// What is reported of it; a word nobody knows is taken like any other.
    #[schema(example = "delivered")]
    MessageStatus: String,
    /// Who it goes to.
    #[schema(example = "whatsapp:+15550100001")]
    To: String,
    /// Who sent it.
    #[schema(example = "whatsapp:+15550109999")]
    From: String,
    /// Why it failed.
    #[schema(example = "63016")]
    ErrorCode: Option<String>,
    /// The same in words.
    ErrorMessage: Option<String>,
}

/// Report on a message sent through Twilio
#[utoipa::path(
    post,
    path = REPORT,
    operation_id = "report_message",
    tag = "webhook",
    params(
        ("channel" = String, Path, description = "The channel id"),
        ("X-Twilio-Signature" = Option<String>, Header, description = "Required on channels that have a signing token"),
    ),
    request_body(content = TwilioReport, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 204, description = "The report is durable; also for one that came before, late, or with a word nobody knows"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A field is missing or wrong"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Show the webhook user and password; the same for whatever is wrong with them"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Wrong signature, channel switched off, or sender not allowed"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "The path is none of this listener"),
        (status = 408, body = Problem, content_type = "application/problem+json", description = "The request did not arrive in time"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "More than 64 KiB"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "No form, or compressed"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The store will never take it"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Send it again"),
    ),
    security(("webhook" = [])),
)]
#[expect(
    dead_code,
    reason = "what is documented here is done by the webhook for all integrators"
)]
fn report() {}

/// An event, sent to the URL of a subscription
///
/// Signed by the Standard Webhooks convention and sent again until it is taken,
/// with the same `id`: remember ids and you have every event once. The events of
/// one message come in the order of their `revision`. A test of a subscription
/// sends one of type `receiptd.test`, with another `data`.
#[utoipa::path(
    post,
    path = "message",
    operation_id = "push_event",
    tag = "events",
    params(
        ("webhook-id" = String, Header, description = "The `id` of the event", example = "evt_4b0c0301be13f9d2ea214ab5b0910b19"),
        ("webhook-timestamp" = i64, Header, description = "When it was sent, in seconds since 1970", example = 1_795_370_779),
        ("webhook-signature" = String, Header, description = "`v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`; while a secret is being replaced two of them, separated by a space"),
    ),
    request_body(content = CloudEvent, content_type = "application/cloudevents+json"),
    responses(
        (status = "2XX", description = "Delivered, if it comes within 15 seconds"),
        (status = 410, description = "The subscription ends: nothing more is sent"),
        (status = "3XX", description = "Redirects are not followed: sent again later"),
        (status = "4XX", description = "Sent again later", headers(("Retry-After" = Option<String>, description = "Not sooner than this: seconds, or a date"))),
        (status = "5XX", description = "Sent again later", headers(("Retry-After" = Option<String>, description = "Not sooner than this: seconds, or a date"))),
    ),
    security(()),
)]
#[expect(dead_code, reason = "what is documented here is done by subscribers")]
fn pushed() {}
