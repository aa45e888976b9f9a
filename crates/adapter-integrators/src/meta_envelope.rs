//! The envelope of Meta's Cloud API, which several integrators pass on: entries, changes, statuses.

use domain::report::ReportError;
use domain::status::InvalidStatus;
use domain::{Address, Alias, DeliveryStatus, ErrorText, MessageSid, ReportedStatus};
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
        return Err(ParseError::Invalid(json::not_an_array("entry")));
    };
    let mut index = 0;
    visit(entries, &mut |part| {
        let report = match part {
            Part::Ignored(kind) => return parsed.ignored.push(kind),
            Part::Invalid(_, error) => Err(error),
            Part::Status(status, _) if is_url_check(status) => {
                index += 1;
                return parsed.ignored.push("set-callback");
            }
            Part::Status(status, value) => report(status, index, ids, value),
        };
        match report {
            Ok(report) => parsed.reports.push(report),
            Err(error) => parsed.add_invalid(index, error),
        }
        index += 1;
    });
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

/// Returns an element of an envelope by its index: a status, or what stands in its place.
pub(crate) fn element(body: &Value, index: usize) -> Option<&Value> {
    let entries = json::at(body, &["entry"])?.as_array()?;
    let (mut found, mut next) = (None, 0);
    visit(entries, &mut |part| {
        let element = match part {
            Part::Ignored(_) => return,
            Part::Invalid(element, _) | Part::Status(element, _) => element,
        };
        if next == index {
            found = Some(element);
        }
        next += 1;
    });
    found
}

/// A part of an envelope. All but those that are ignored are elements and have an index.
enum Part<'a> {
    /// Something else than statuses, of this kind.
    Ignored(&'static str),
    /// What stands in the place of an entry, a change, or a list of statuses, and is none.
    Invalid(&'a Value, ValidationError),
    /// A status, and the value that contains it.
    Status(&'a Value, &'a Value),
}

/// Visits the parts of all entries, in their order.
fn visit<'a>(entries: &'a [Value], visitor: &mut impl FnMut(Part<'a>)) {
    for entry in entries {
        if !entry.is_object() {
            visitor(Part::Invalid(entry, json::not_an_object("entry")));
            continue;
        }
        match json::at(entry, &["changes"]) {
            Some(Value::Array(changes)) => {
                for change in changes {
                    visit_change(change, visitor);
                }
            }
            other => visitor(Part::Invalid(
                other.unwrap_or(entry),
                json::not_an_array("changes"),
            )),
        }
    }
}

fn visit_change<'a>(change: &'a Value, visitor: &mut impl FnMut(Part<'a>)) {
    if !change.is_object() {
        return visitor(Part::Invalid(change, json::not_an_object("changes")));
    }
    if let Some(field) = json::text(change, &["field"]).filter(|field| field != "messages") {
        let known = OTHER_FIELDS.iter().find(|known| **known == field);
        return visitor(Part::Ignored(known.unwrap_or(&"other_field")));
    }
    let value = match json::at(change, &["value"]) {
        Some(value) if value.is_object() => value,
        other => {
            let element = other.unwrap_or(change);
            return visitor(Part::Invalid(element, json::not_an_object("value")));
        }
    };
    let kinds = ["messages", "errors"];
    let kinds = kinds.map(|kind| json::at(value, &[kind]).map(|_| kind));
    for kind in kinds.iter().flatten() {
        visitor(Part::Ignored(kind));
    }
    match json::at(value, &["statuses"]) {
        Some(Value::Array(statuses)) => {
            for status in statuses {
                visitor(Part::Status(status, value));
            }
        }
        Some(other) => visitor(Part::Invalid(other, json::not_an_array("statuses"))),
        None if kinds == [None, None] => visitor(Part::Ignored("other_value")),
        None => {}
    }
}

/// Returns whether a status is the event with which Gupshup checks a URL.
fn is_url_check(status: &Value) -> bool {
    json::text(status, &["type"]).as_deref() == Some("set-callback")
}

fn report(
    status: &Value,
    index: usize,
    ids: &[&'static str],
    value: &Value,
) -> Result<ParsedReport, ValidationError> {
    if !status.is_object() {
        return Err(json::not_an_object("statuses"));
    }
    let id = json::first_present(status, ids).unwrap_or("id");
    let sid = json::message_id(status, &[id], id)?;
    let recipient = json::first_present(status, &["recipient_id", "recipient_user_id"]);
    let recipient = recipient.unwrap_or("recipient_id");
    let reported = json::required(status, &["status"], "status", reported_status)?;
    Ok(ParsedReport {
        index,
        alias: alias(status, id, ids, &sid),
        sid,
        error: error(status, &reported),
        status: reported,
        recipient: json::required(status, &[recipient], "recipient_id", Address::parse)?,
        sender: json::address(value, &["metadata", "display_phone_number"]),
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

/// Returns the error of a failure: the first with a code in Meta's list, or Gupshup's code beside it.
fn error(status: &Value, reported: &ReportedStatus) -> Option<ReportError> {
    if !reported.delivery().is_some_and(DeliveryStatus::is_failure) {
        return None;
    }
    let listed = json::at(status, &["errors"]).and_then(Value::as_array);
    let listed = listed.map(Vec::as_slice).unwrap_or_default();
    let with_code = |error| Some((json::error_code(error, &["code"])?, error_text(error)));
    let (code, text) = if let Some(error) = listed.iter().find_map(with_code) {
        error
    } else {
        let code = json::error_code(status, &["code"])?;
        let reason = json::text(status, &["reason"]);
        (code, reason.or_else(|| listed.iter().find_map(error_text)))
    };
    Some(ReportError {
        code,
        text: ErrorText::new(&text.unwrap_or_default()),
    })
}

/// Returns the text of an error in Meta's list.
fn error_text(error: &Value) -> Option<String> {
    let details = json::text(error, &["error_data", "details"]);
    details.or_else(|| json::text(error, &["title"]))
}
