//! Event Streams: an account's events in batches, as a JSON list of `CloudEvents`. Those of
//! WhatsApp messages are reports; the others are ignored.
//!
//! An event and the status callback of the same step are two reports of one status. The message
//! state absorbs the second one, so both ways in can be used together.

use domain::report::ReportError;
use domain::{Address, Alias, ErrorText, ReportedStatus};
use ports::integrator::{
    ParseError, ParsedBody, ParsedReport, ValidationError, ValidationErrorKind,
};
use serde_json::Value;

use super::debugger;
use crate::json;

/// What the types of events of messages begin with. The last word is the status.
const MESSAGE: &str = "com.twilio.messaging.message.";

/// The type of an entry of the Debugger.
const ERROR_LOGGED: &str = "com.twilio.error-logs.error.logged";

/// The type of the event that checks a sink.
const TEST_EVENT: &str = "com.twilio.eventstreams.test-event";

pub(super) fn parse(events: &Value) -> Result<ParsedBody, ParseError> {
    let Value::Array(events) = events else {
        return Err(ParseError::Invalid(json::not_an_array("body")));
    };
    let mut parsed = ParsedBody::default();
    for (index, event) in events.iter().enumerate() {
        match json::text(event, &["type"]).as_deref() {
            Some(ERROR_LOGGED) => match debugger::callback_failure(data(event)) {
                Some(failure) => parsed.callback_failures.push(failure),
                None => parsed.ignored.push(ERROR_LOGGED),
            },
            Some(TEST_EVENT) => parsed.ignored.push(TEST_EVENT),
            Some(kind) if kind.starts_with(MESSAGE) => match report(data(event), index) {
                Ok(Some(report)) => parsed.reports.push(report),
                Ok(None) => parsed.ignored.push("not-whatsapp"),
                Err(error) => parsed.add_invalid(index, error),
            },
            Some(_) => parsed.ignored.push("other"),
            None => {
                let error = ValidationError {
                    field: "type",
                    kind: ValidationErrorKind::Missing,
                    expected: "type is missing".to_owned(),
                };
                parsed.add_invalid(index, error);
            }
        }
    }
    Ok(parsed)
}

fn data(event: &Value) -> &Value {
    json::at(event, &["data"]).unwrap_or(&Value::Null)
}

/// Returns the report in the data of an event; `None` if the message is not one of `WhatsApp`.
fn report(data: &Value, index: usize) -> Result<Option<ParsedReport>, ValidationError> {
    let sender = json::required(data, &["from"], "from", Address::parse)?;
    let recipient = json::required(data, &["to"], "to", Address::parse)?;
    if !sender.is_whatsapp() {
        return Ok(None);
    }
    let status = json::required(data, &["messageStatus"], "messageStatus", |word| {
        ReportedStatus::parse(&word.to_ascii_lowercase())
    })?;
    let time = json::iso_time(data, &["timestamp"]);
    Ok(Some(ParsedReport {
        index,
        sid: json::message_id(data, &["messageSid"], "messageSid")?,
        alias: Alias::None,
        error: error(data),
        status,
        recipient,
        sender: Some(sender),
        happened_at: time.or_else(|| json::iso_time(data, &["dateUpdated"])),
        fields: json::fields(
            data,
            &[
                "messageSid",
                "messageStatus",
                "from",
                "to",
                "errorCode",
                "errorMessage",
            ],
        ),
        idempotency_token: None,
    }))
}

fn error(data: &Value) -> Option<ReportError> {
    let code = json::error_code(data, &["errorCode"])?;
    let text = json::text(data, &["errorMessage"]);
    Some(ReportError {
        code,
        text: ErrorText::new(&text.unwrap_or_default()),
    })
}
