//! Gupshup: the password alone in `Authorization`, and one event per request, in two versions; all
//! kinds of events come to one URL, and are repeated until they are answered with success.
//!
//! A message is known by Gupshup's own id. WhatsApp's id stands beside it, and stands alone a week
//! after sending.

use domain::report::ReportError;
use domain::{Address, Alias, DeliveryStatus, ErrorText, MessageSid};
use ports::integrator::{
    Endpoint, ParseError, ParsedBody, ParsedReport, ValidationError, ValidationErrorKind,
};
use serde_json::{Value, json};

use crate::json_integrator::{BATCHES, JsonIntegrator, SentCredentials};
use crate::{json, meta_envelope};

/// Returns the integrator; all settings belong to the channels.
#[must_use]
pub fn gupshup() -> JsonIntegrator {
    JsonIntegrator {
        name: crate::name("gupshup"),
        endpoint: Endpoint {
            path_word: "message",
            ..BATCHES
        },
        credentials: SentCredentials::Key("Authorization"),
        parse,
        element,
        test_body: |report| {
            json!({
                "version": 2,
                "type": "message-event",
                "phone": report.sender.reveal(),
                "payload": {
                    "gsId": report.sid.as_str(),
                    "type": "delivered",
                    "destination": report.recipient.reveal(),
                },
            })
        },
        forwarded_headers: Some(&[]),
        setup_steps: &[
            "Create a subscription of its own for reports at Gupshup, with the callback URL and \
             the modes SENT, DELIVERED, READ, FAILED and ENQUEUED. Requests of other modes, like \
             incoming messages, are dropped, or sent on to the forward URL of the channel.",
            "Set its meta to {\"headers\":{\"Authorization\":\"PASSWORD\"}}, with the password \
             in place of PASSWORD.",
            "If Gupshup cannot verify the URL, set doCheck to false: its check may lack the \
             header.",
        ],
    }
}

fn parse(body: &Value) -> Result<ParsedBody, ParseError> {
    if !body.is_object() {
        return Err(ParseError::Invalid(json::not_an_object("body")));
    }
    if json::is_present(body, "entry") {
        return meta_envelope::parse(body, &["gs_id", "id"]);
    }
    let Some(kind) = json::text(body, &["type"]) else {
        return Err(ParseError::Invalid(missing("type")));
    };
    if !["message-event", "message-report"].contains(&kind.as_str()) {
        return Ok(ignored(&kind));
    }
    let word = json::text(body, &["payload", "type"]);
    let Some(word) = word else {
        return Ok(invalid(missing("payload.type")));
    };
    let Some(status) = status(&word) else {
        return Ok(ignored(&word));
    };
    Ok(report(body, status).map_or_else(invalid, Into::into))
}

fn element(body: &Value, index: usize) -> Option<&Value> {
    if json::is_present(body, "entry") {
        meta_envelope::element(body, index)
    } else {
        Some(body)
    }
}

fn invalid(error: ValidationError) -> ParsedBody {
    let mut parsed = ParsedBody::default();
    parsed.add_invalid(0, error);
    parsed
}

fn missing(field: &'static str) -> ValidationError {
    ValidationError {
        field,
        kind: ValidationErrorKind::Missing,
        expected: format!("{field} is missing"),
    }
}

/// Returns a body that is no report.
fn ignored(kind: &str) -> ParsedBody {
    const KNOWN: [&str; 11] = [
        "account-event",
        "billing-event",
        "deleted",
        "message",
        "mismatch",
        "onboarding-event",
        "preference-event",
        "referral",
        "template-event",
        "user-event",
        "other",
    ];
    let kind = KNOWN.into_iter().find(|known| *known == kind);
    ParsedBody {
        ignored: vec![kind.unwrap_or("other")],
        ..ParsedBody::default()
    }
}

/// Returns the status of a type of event; `None` for one that does not concern a sent message.
fn status(word: &str) -> Option<DeliveryStatus> {
    Some(match word {
        "enqueued" => DeliveryStatus::Queued,
        "sent" => DeliveryStatus::Sent,
        "delivered" => DeliveryStatus::Delivered,
        "read" => DeliveryStatus::Read,
        "failed" => DeliveryStatus::Failed,
        _ => return None,
    })
}

fn report(body: &Value, status: DeliveryStatus) -> Result<ParsedReport, ValidationError> {
    const PAYLOAD: &str = "payload";
    let payload = json::at(body, &[PAYLOAD]).unwrap_or(&Value::Null);
    // Both ids may look alike: only the name of the field tells them apart.
    let id = json::first_present(payload, &["gsId", "id"]).unwrap_or("id");
    let recipient = json::first_present(payload, &["destination", "userId"]);
    let recipient = recipient.unwrap_or("destination");
    let happened_at = json::unix_time(body, &[PAYLOAD, PAYLOAD, "ts"])
        .or_else(|| json::unix_time(body, &[PAYLOAD, "ts"]))
        .or_else(|| json::unix_time(body, &["timestamp"]));
    let sid = json::message_id(body, &[PAYLOAD, id], "payload.gsId")?;
    Ok(ParsedReport {
        index: 0,
        alias: alias(body, status, id, &sid),
        sid,
        status: status.into(),
        error: error(body, status),
        recipient: json::required(
            body,
            &[PAYLOAD, recipient],
            "payload.destination",
            Address::parse,
        )?,
        sender: json::address(body, &["phone"]),
        happened_at,
        fields: json::fields(
            body,
            &[
                "phone",
                "type",
                "payload.type",
                &format!("payload.{id}"),
                &format!("payload.{recipient}"),
            ],
        ),
        idempotency_token: None,
    })
}

/// Returns the alias in an event whose message is known by its id of this name.
///
/// With `gsId`, the id beside it is `WhatsApp`'s. Without it the id is Gupshup's own before the
/// message has reached `WhatsApp`, which `enqueued` reports together with `WhatsApp`'s, and
/// `WhatsApp`'s later.
fn alias(body: &Value, status: DeliveryStatus, id: &str, sid: &MessageSid) -> Alias {
    let payload = ["payload", "payload", "whatsappMessageId"];
    let (path, without) = match (id, status) {
        ("gsId", _) => (&["payload", "id"][..], Alias::None),
        (_, DeliveryStatus::Queued) => (&payload[..], Alias::None),
        _ => return Alias::Unknown,
    };
    match json::message_id(body, path, "payload.id") {
        Ok(other) if other != *sid => Alias::Known(other),
        _ => without,
    }
}

fn error(body: &Value, status: DeliveryStatus) -> Option<ReportError> {
    if !status.is_failure() {
        return None;
    }
    let code = json::error_code(body, &["payload", "payload", "code"])?;
    let reason = json::text(body, &["payload", "payload", "reason"]);
    Some(ReportError {
        code,
        text: ErrorText::new(&reason.unwrap_or_default()),
    })
}
