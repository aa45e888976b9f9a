//! The OpenAPI document, generated from the handlers and their wire structs.

mod answers;
mod constraints;
#[cfg(test)]
mod tests;

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::PublicUrl;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, Paths, Server};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::api::events::schema::CloudEventSchema;
use crate::api::operator::Operator;
use crate::docs::shared_body;
use crate::problem::Problem;
use answers::Answers;

/// The path of the webhook.
const REPORT_PATH: &str = "/social/on/whatsapp/twilio/report/{channel}";

/// The name of the webhook that subscribers serve.
const EVENT_WEBHOOK: &str = "message";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "receiptd",
        description = "Receives WhatsApp delivery reports, stores every one, and shows the true \
                       state of every message. The webhook has its own listener.",
    ),
    paths(
        report,
        push_event,
        crate::api::channels::add,
        crate::api::channels::list,
        crate::api::channels::show,
        crate::api::channels::change,
        crate::api::channels::remove,
        crate::api::channels::test::test,
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
        crate::api::statistics::show,
        crate::api::channels::reconciliation::show,
        crate::api::channels::reconciliation::put,
        crate::api::channels::reconciliation::remove,
        crate::api::troubles::list,
        crate::api::troubles::snooze,
        crate::api::troubles::end_snooze,
        crate::api::troubles::events,
        crate::api::troubles::settings::show,
        crate::api::troubles::settings::put,
        crate::api::troubles::settings::show_of_channel,
        crate::api::troubles::settings::put_of_channel,
        crate::api::troubles::settings::remove_of_channel,
        crate::api::tokens::add,
        crate::api::tokens::list,
        crate::api::tokens::revoke,
        crate::api::audit::list,
        crate::health::alive,
        crate::health::ready,
        crate::metrics::handler::show,
    ),
    components(schemas(Problem)),
    modifiers(&SecuritySchemes, &EventWebhook, &Answers),
    servers((url = "/", description = "The operator's listener")),
    tags(
        (name = "webhook", description = "The path for integrators, on the public listener"),
        (name = "channels", description = "Channels and the credentials of their callers"),
        (name = "messages", description = "Messages and their reports"),
        (name = "rejections", description = "Rejected reports"),
        (name = "statistics", description = "Counts by channel and interval"),
        (name = "erasures", description = "Erased recipients"),
        (name = "events", description = "Events of messages: pulled, streamed, pushed"),
        (name = "cursors", description = "Positions in the log, stored for clients that pull events"),
        (name = "subscriptions", description = "Webhook subscriptions and their deliveries"),
        (name = "troubles", description = "Conditions that need an operator, and the rules that find them"),
        (name = "access", description = "Tokens of operators, and the audit log"),
        (name = "operating", description = "Health and metrics"),
    ),
)]
struct Api;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
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

/// Moves the webhook of subscribers from the paths of this service to the webhooks.
struct EventWebhook;

impl Modify for EventWebhook {
    fn modify(&self, document: &mut Document) {
        if let Some(item) = document.paths.paths.remove(EVENT_WEBHOOK) {
            let mut webhooks = Paths::new();
            webhooks.paths.insert(EVENT_WEBHOOK.to_owned(), item);
            document.webhooks = Some(webhooks);
        }
    }
}

/// Returns the document of a service with these integrators, which they reach at `public_url`.
#[must_use]
pub fn document(public_url: &PublicUrl, integrators: &[&str]) -> Value {
    let mut document = Api::openapi();
    let paths = &mut document.paths.paths;
    if let Some(report) = paths
        .get_mut(REPORT_PATH)
        .and_then(|item| item.post.as_mut())
    {
        let mut public = Server::new(public_url.without_credentials());
        public.description = Some("The public listener".to_owned());
        report.servers = Some(vec![public]);
    }
    // Serializing structs, texts and numbers cannot fail.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    constraints::add(&mut document, integrators);
    document
}

/// Answers with the document.
pub(crate) async fn show(operator: Data<Operator>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    shared_body(
        response.content_type("application/json"),
        operator.document.clone(),
    )
}

/// The known fields of a report. Twilio sends about twenty more, and adds new ones without notice.
/// All are stored.
#[derive(Serialize, ToSchema)]
#[expect(non_snake_case, reason = "Twilio's names")]
struct TwilioReport {
    /// The message.
    #[schema(example = "SM0123456789abcdef0123456789abcdef")]
    MessageSid: String,
    /// The reported status; unknown ones are accepted too.
    #[schema(example = "delivered")]
    MessageStatus: String,
    /// The recipient.
    #[schema(example = "whatsapp:+15550100001")]
    To: String,
    /// The sender.
    #[schema(example = "whatsapp:+15550109999")]
    From: String,
    /// Why it failed.
    #[schema(example = "63016")]
    ErrorCode: Option<String>,
    /// The error in words.
    ErrorMessage: Option<String>,
}

/// Report on a message sent through Twilio
#[utoipa::path(
    post, path = REPORT_PATH,
    operation_id = "report_message",
    tag = "webhook",
    params(
        ("channel" = String, Path, description = "The channel id"),
        ("X-Twilio-Signature" = Option<String>, Header, description = "Required on channels that have a signing token"),
    ),
    request_body(content = TwilioReport, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 204, description = "The report is durable; also if it is a duplicate, late, or has an unknown status"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A field is missing or invalid"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The webhook user and password are missing or wrong"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Wrong signature, disabled channel, or sender not allowed"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "The path does not exist"),
        (status = 408, body = Problem, content_type = "application/problem+json", description = "The request did not arrive in time"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "More than 64 KiB"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "Not a form, or compressed"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The store cannot record the report; do not send it again"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Send the report again"),
    ),
    security(("webhook" = [])),
)]
#[expect(
    dead_code,
    reason = "documents the webhook, which serves all integrators"
)]
fn report() {}

/// An event, sent to the URL of a subscription
///
/// Signed by the Standard Webhooks convention and sent again, with the same `id`, until it is
/// delivered: ignore ids you have seen to process every event once. The events of one message are
/// sent in the order of their `revision`. A test of a subscription sends an event of type
/// `receiptd.test` with a different `data`, and so have operator events (`receiptd.trouble.opened`,
/// `receiptd.trouble.resolved`).
#[utoipa::path(
    post, path = "message",
    operation_id = "push_event",
    tag = "events",
    params(
        ("webhook-id" = String, Header, description = "The `id` of the event", example = "evt_4b0c0301be13f9d2ea214ab5b0910b19"),
        ("webhook-timestamp" = i64, Header, description = "When it was sent, in seconds since 1970", example = 1_795_370_779),
        ("webhook-signature" = String, Header, description = "`v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`; during a rotation of secrets two of them, separated by a space"),
    ),
    request_body(content = CloudEventSchema, content_type = "application/cloudevents+json"),
    responses(
        (status = "2XX", description = "Delivered, if answered within 15 seconds"),
        (status = 410, description = "The subscription ends; no more events are sent"),
        (status = "3XX", description = "Redirects are not followed; sent again later"),
        (status = "4XX", description = "Sent again later", headers(("Retry-After" = Option<String>, description = "The earliest time of the next attempt: seconds, or a date"))),
        (status = "5XX", description = "Sent again later", headers(("Retry-After" = Option<String>, description = "The earliest time of the next attempt: seconds, or a date"))),
    ),
    security(()),
)]
#[expect(dead_code, reason = "documents what subscribers serve")]
fn push_event() {}
