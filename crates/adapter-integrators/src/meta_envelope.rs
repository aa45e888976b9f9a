//! The envelope of Meta's Cloud API, which several integrators pass on: entries, changes, statuses.

use domain::report::ReportError;
use domain::status::InvalidStatus;
use domain::{Address, Alias, DeliveryStatus, ErrorCode, ErrorText, MessageSid, ReportedStatus};
use ports::integrator::{ParseError, ParsedBody, ParsedReport, TestReport, ValidationError};
use serde_json::{Value, json};

use crate::json;

/// The object whose changes have reports.
const OBJECT: &str = "whatsapp_business_account";

/// The other objects of a Meta app whose webhooks may come to the same URL.
const OTHER_OBJECTS: [&str; 6] = [
    "ad_account",
    "application",
    "instagram",
    "page",
    "permissions",
    "user",
];

/// The other fields of a `WhatsApp` business account; names of new ones are not counted apart.
const OTHER_FIELDS: [&str; 20] = [
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "business_capability_update",
    "business_status_update",
    "flows",
    "history",
    "message_echoes",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "smb_message_echoes",
    "template_category_update",
    "template_correct_category_detection",
    "user_preferences",
];

/// Parses an envelope. The id of a message is the first of `ids` that its status has; the others
/// are aliases.
pub(crate) fn parse(body: &Value, ids: &[&'static str]) -> Result<ParsedBody, ParseError> {
    let mut parsed = ParsedBody::default();
    if let Some(object) = json::text(body, &["object"]).filter(|object| object != OBJECT) {
        let known = OTHER_OBJECTS.iter().find(|known| **known == object);
        parsed.ignored.push(known.unwrap_or(&"other_object"));
        return Ok(parsed);
    }
    let Some(Value::Array(entries)) = json::at(body, &["entry"]) else {
        return Err(json::not_an_array("entry"));
    };
    let changes = entries.iter().flat_map(|entry| array(entry, &["changes"]));
    let mut index = 0;
    for change in changes {
        if let Some(field) = json::text(change, &["field"]).filter(|field| field != "messages") {
            let known = OTHER_FIELDS.iter().find(|known| **known == field);
            parsed.ignored.push(known.unwrap_or(&"other_field"));
            continue;
        }
        let value = json::at(change, &["value"]).unwrap_or(&Value::Null);
        for kind in ["messages", "errors"] {
            if json::at(value, &[kind]).is_some() {
                parsed.ignored.push(kind);
            }
        }
        let sender = json::address(value, &["metadata", "display_phone_number"]);
        for status in array(value, &["statuses"]) {
            if json::text(status, &["type"]).as_deref() == Some("set-callback") {
                parsed.ignored.push("set-callback");
                index += 1;
                continue;
            }
            match report(status, index, ids, sender.clone()) {
                Ok(report) => parsed.reports.push(report),
                Err(error) => parsed.add_invalid(index, error),
            }
            index += 1;
        }
    }
    Ok(parsed)
}

/// Parses the body of an integrator that passes the envelope on unchanged.
pub(crate) fn parse_unchanged(body: &Value) -> Result<ParsedBody, ParseError> {
    if !body.is_object() {
        return Err(ParseError::Invalid(json::not_an_object("body")));
    }
    parse(body, &["id"])
}

/// Builds the body that reports a message as delivered.
pub(crate) fn test_body(report: TestReport<'_>) -> Value {
    json!({ "object": OBJECT, "entry": [{ "changes": [{
        "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": report.sender.reveal() },
            "statuses": [{
                "id": report.sid.as_str(),
                "status": "delivered",
                "recipient_id": report.recipient.reveal(),
            }],
        },
    }]}]})
}

/// Returns a status of an envelope by its index.
pub(crate) fn element(body: &Value, index: usize) -> Option<&Value> {
    let mut left = index;
    for entry in array(body, &["entry"]) {
        for change in array(entry, &["changes"]) {
            if json::text(change, &["field"]).is_some_and(|field| field != "messages") {
                continue;
            }
            let statuses = array(change, &["value", "statuses"]);
            match statuses.get(left) {
                Some(status) => return Some(status),
                None => left -= statuses.len(),
            }
        }
    }
    None
}

/// Returns the elements of an array; none if it is absent or something else.
fn array<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    let array = json::at(value, path).and_then(Value::as_array);
    array.map(Vec::as_slice).unwrap_or_default()
}

fn report(
    status: &Value,
    index: usize,
    ids: &[&'static str],
    sender: Option<Address>,
) -> Result<ParsedReport, ValidationError> {
    if !status.is_object() {
        return Err(json::not_an_object("statuses"));
    }
    let id = ids.iter().find(|id| json::at(status, &[**id]).is_some());
    let id = *id.unwrap_or(&"id");
    let sid = json::message_id(status, &[id], id)?;
    let recipient = match json::at(status, &["recipient_id"]) {
        Some(_) => "recipient_id",
        None => "recipient_user_id",
    };
    let reported = json::required(status, &["status"], "status", reported_status)?;
    Ok(ParsedReport {
        index,
        alias: alias(status, id, ids, &sid),
        sid,
        error: error(status, &reported),
        status: reported,
        recipient: json::required(status, &[recipient], "recipient_id", Address::parse)?,
        sender,
        happened_at: json::unix_time(status, &["timestamp"]),
        fields: json::fields(status, &[id, recipient, "status", "timestamp"]),
        idempotency_token: None,
    })
}

/// Returns the alias of a status whose message is known by its id of this name.
fn alias(status: &Value, id: &str, ids: &[&'static str], sid: &MessageSid) -> Alias {
    let [first, others @ ..] = ids else {
        return Alias::None;
    };
    if others.is_empty() {
        return Alias::None;
    }
    if id != *first {
        return Alias::Unknown;
    }
    let other = others
        .iter()
        .find_map(|other| json::message_id(status, &[*other], other).ok());
    match other {
        Some(other) if other != *sid => Alias::Known(other),
        _ => Alias::None,
    }
}

fn reported_status(word: &str) -> Result<ReportedStatus, InvalidStatus> {
    match word {
        // Gupshup's, before WhatsApp has it.
        "enqueued" => Ok(DeliveryStatus::Queued.into()),
        // A voice message that was listened to.
        "played" => Ok(DeliveryStatus::Read.into()),
        word => ReportedStatus::parse(word),
    }
}

/// Returns the error of a failure: the first of Meta's list, or Gupshup's code beside it.
fn error(status: &Value, reported: &ReportedStatus) -> Option<ReportError> {
    if !reported.delivery().is_some_and(DeliveryStatus::is_failure) {
        return None;
    }
    let listed = json::at(status, &["errors"]).and_then(|errors| errors.get(0));
    let (code, text) = match listed {
        Some(error) => {
            let details = json::text(error, &["error_data", "details"]);
            let text = details.or_else(|| json::text(error, &["title"]));
            (json::text(error, &["code"])?, text)
        }
        None => (
            json::text(status, &["code"])?,
            json::text(status, &["reason"]),
        ),
    };
    Some(ReportError {
        code: ErrorCode::parse(&code).ok()?,
        text: ErrorText::new(&text.unwrap_or_default()),
    })
}
