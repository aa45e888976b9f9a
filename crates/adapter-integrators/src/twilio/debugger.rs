//! The Debugger: errors and warnings of an account. Those about a status callback that failed name
//! the message whose report could not be delivered; the others are ignored.

use domain::{ErrorCode, MessageSid};
use ports::integrator::{
    CallbackFailure, ParseError, ParsedBody, ValidationError, ValidationErrorKind,
};
use serde_json::Value;

use super::form;
use crate::json;

/// What codes of failed HTTP requests begin with: 11200 to 11299.
const HTTP_FAILURES: &str = "112";

/// The code of a receiver that refused a signature.
const SIGNATURE_REFUSED: &str = "57012";

/// Parses the form that the Debugger sends. Its `Payload` is a JSON object.
pub(super) fn parse(body: &[u8]) -> Result<ParsedBody, ParseError> {
    let mut payloads = form::fields(body)
        .take(form::MAX_FIELDS)
        .filter(|(name, _)| **name == *b"Payload");
    let Some((_, payload)) = payloads.next() else {
        return Err(ParseError::Invalid(ValidationError {
            field: "Payload",
            kind: ValidationErrorKind::Missing,
            expected: "Payload is missing".to_owned(),
        }));
    };
    let payload = json::value(&payload);
    let payload = payload.ok_or_else(|| ParseError::Invalid(json::not_an_object("Payload")))?;
    let mut parsed = ParsedBody::default();
    match callback_failure(&payload) {
        Some(failure) => parsed.callback_failures.push(failure),
        None => parsed.ignored.push("debugger-event"),
    }
    Ok(parsed)
}

/// Returns the callback that failed, from the payload of a Debugger event; `None` if it is about
/// something else.
pub(super) fn callback_failure(payload: &Value) -> Option<CallbackFailure> {
    let code = json::text(payload, &["error_code"])?;
    if !(code.len() == 5 && code.starts_with(HTTP_FAILURES) || code == SIGNATURE_REFUSED) {
        return None;
    }
    let sid = json::text(payload, &["resource_sid"])?;
    let is_message = ["SM", "MM"].iter().any(|kind| sid.starts_with(kind));
    let url = json::text(payload, &["webhook", "request", "url"])
        .or_else(|| json::text(payload, &["more_info", "url"]));
    Some(CallbackFailure {
        sid: MessageSid::parse(&sid).ok().filter(|_| is_message)?,
        code: ErrorCode::parse(&code).ok()?,
        path: url.as_deref().and_then(path),
    })
}

/// Returns the path of a URL, without query and fragment.
fn path(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let path = rest.get(rest.find('/')?..)?;
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.get(..end).map(str::to_owned)
}
