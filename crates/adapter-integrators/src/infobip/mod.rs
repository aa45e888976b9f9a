//! Infobip: the password in `AccountKey`, and batches of up to 2,000 reports, repeated for days
//! until they are answered with success. [`status`] maps its status groups.

mod status;

use domain::report::ReportError;
use domain::{Address, Alias, DeliveryStatus, ErrorCode, ErrorText, ReportedStatus};
use ports::integrator::{
    ParseError, ParsedBody, ParsedReport, ValidationError, ValidationErrorKind,
};
use serde_json::{Value, json};

use crate::json;
use crate::json_integrator::{BATCHES, JsonIntegrator, SentCredentials};
use status::Outcome;

/// The event of a seen report of the Messages API.
const SEEN: &str = "SEEN";

/// Returns the integrator; all settings belong to the channels.
#[must_use]
pub fn infobip() -> JsonIntegrator {
    JsonIntegrator {
        name: crate::name("infobip"),
        endpoint: BATCHES,
        credentials: SentCredentials::Key("AccountKey"),
        parse,
        test_body: |report| {
            json!({ "results": [{
                "messageId": report.sid.as_str(),
                "to": report.recipient.reveal(),
                "from": report.sender.reveal(),
                "status": { "groupId": 3, "groupName": "DELIVERED", "id": 5 },
            }]})
        },
        element: |body, index| json::at(body, &["results"])?.get(index),
        forwarded_headers: Some(&["X-Hub-Signature"]),
        setup_steps: &[
            "Create a subscription for delivery and seen reports of the WhatsApp channel at \
             Infobip, with the callback URL as its notification URL.",
            "Add the custom header AccountKey to its notification profile, with the password as \
             its value.",
            "Send incoming messages to another URL, or set the forward URL of the channel to it: \
             without one they are dropped here.",
        ],
    }
}

fn parse(body: &Value) -> Result<ParsedBody, ParseError> {
    if !body.is_object() {
        return Err(ParseError::Invalid(json::not_an_object("body")));
    }
    let Some(Value::Array(results)) = json::at(body, &["results"]) else {
        return Err(ParseError::Invalid(json::not_an_array("results")));
    };
    let mut parsed = ParsedBody::default();
    for (index, element) in results.iter().enumerate() {
        if let Some(kind) = ignored(element) {
            parsed.ignored.push(kind);
            continue;
        }
        match report(element, index) {
            Ok(report) => parsed.reports.push(report),
            Err(error) => parsed.add_invalid(index, error),
        }
    }
    Ok(parsed)
}

/// Returns the kind of an element that is no report: Infobip advises one URL for all kinds.
fn ignored(element: &Value) -> Option<&'static str> {
    let reports = ["status", "seenAt", "deletedAt"];
    let event = json::text(element, &["event"]);
    if json::first_present(element, &reports).is_some() || event.as_deref() == Some(SEEN) {
        return None;
    }
    let of_messages = ["message", "content", "receivedAt"];
    if json::first_present(element, &of_messages).is_some() {
        return Some("message");
    }
    // `DELIVERY` without a status does not say whether the message was delivered.
    event.map(|_| "event")
}

fn report(element: &Value, index: usize) -> Result<ParsedReport, ValidationError> {
    if !element.is_object() {
        return Err(json::not_an_object("results"));
    }
    let sid = json::message_id(element, &["messageId"], "messageId")?;
    // The Messages API names the recipient `destination`, and the sender `sender`.
    let to = json::first_present(element, &["destination", "to"]);
    let from = json::first_present(element, &["sender", "from"]).unwrap_or("from");
    let contact = json::at(element, &["contact"]).unwrap_or(&Value::Null);
    let contact_field = json::first_present(contact, &["phoneNumber", "userId"]);
    let recipient = match (to, contact_field) {
        (Some(to), _) => json::required(element, &[to], to, Address::parse)?,
        (None, Some(field)) => json::required(contact, &[field], "to", Address::parse)?,
        (None, None) => Address::unknown(),
    };
    let (status, time) = status(element)?;
    Ok(ParsedReport {
        index,
        sid,
        error: error(element, &status),
        status,
        recipient,
        sender: json::address(element, &[from]),
        alias: Alias::None,
        happened_at: json::iso_time(element, &[time]),
        fields: json::fields(element, &["messageId", to.unwrap_or("to"), from]),
        idempotency_token: None,
    })
}

/// Returns the status, and the field that holds its time.
fn status(element: &Value) -> Result<(ReportedStatus, &'static str), ValidationError> {
    let event = json::text(element, &["event"]);
    if json::is_present(element, "seenAt") || event.as_deref() == Some(SEEN) {
        return Ok((DeliveryStatus::Read.into(), "seenAt"));
    }
    if json::is_present(element, "deletedAt") {
        return Ok((word("deleted", "deletedAt")?, "deletedAt"));
    }
    let status = json::at(element, &["status"]).ok_or_else(|| ValidationError {
        field: "status",
        kind: ValidationErrorKind::Missing,
        expected: "status is missing".to_owned(),
    })?;
    let group = json::text(status, &["groupName"]);
    let group_id = json::text(status, &["groupId"]);
    let id = json::text(status, &["id"]);
    match status::outcome(group.as_deref(), group_id.as_deref(), id.as_deref()) {
        Outcome::Known(status) => Ok((status.into(), "doneAt")),
        Outcome::Unknown(group) => Ok((word(group, "status.groupName")?, "doneAt")),
        Outcome::Missing => Err(ValidationError {
            field: "status.groupName",
            kind: ValidationErrorKind::Missing,
            expected: "status.groupName is missing".to_owned(),
        }),
    }
}

fn word(word: &str, field: &'static str) -> Result<ReportedStatus, ValidationError> {
    ReportedStatus::parse(word).map_err(|error| ValidationError {
        field,
        kind: ValidationErrorKind::Invalid,
        expected: error.to_string(),
    })
}

/// Returns the error. A failure whose error says "OK" has its reason in the id of its status, which
/// becomes `status-<id>`.
fn error(element: &Value, status: &ReportedStatus) -> Option<ReportError> {
    let description = |of| json::text(element, &[of, "description"]);
    let (code, text) = if let Some(code) = json::error_code(element, &["error", "id"]) {
        (code, description("error").or_else(|| description("status")))
    } else {
        let failed = status.delivery().is_some_and(DeliveryStatus::is_failure);
        let id = json::error_code(element, &["status", "id"]).filter(|_| failed)?;
        let code = ErrorCode::parse(&format!("status-{id}")).ok()?;
        (code, description("status"))
    };
    Some(ReportError {
        code,
        text: ErrorText::new(&text.unwrap_or_default()),
    })
}
