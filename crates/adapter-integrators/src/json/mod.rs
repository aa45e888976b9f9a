//! Reading JSON bodies: numbers may come as texts and texts as numbers, `null` is absence, and one
//! unusable element costs no other.

mod flatten;
mod repair;

use std::fmt::Display;

use domain::rejection::MaskedFields;
use domain::report::ReportFields;
use domain::{Address, ErrorCode, MessageSid, Timestamp};
use ports::integrator::{ParseError, ValidationError, ValidationErrorKind};
use serde_json::Value;

use crate::redaction::{is_word, length, masked_address, masked_name};
use flatten::{FlatField, flattened};

/// Fields that hold an address.
const ADDRESSES: [&str; 10] = [
    "destination",
    "display_phone_number",
    "from",
    "phone",
    "phoneNumber",
    "recipient_id",
    "sender",
    "to",
    "user_number",
    "wa_id",
];

/// Fields that hold a word of the integrator's.
const WORDS: [&str; 6] = ["event", "field", "groupName", "object", "status", "type"];

/// Parses a body. A byte order mark is skipped, and broken values are replaced.
pub(crate) fn body(body: &[u8]) -> Result<Value, ParseError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    value(body).ok_or_else(|| ParseError::Invalid(not_an_object("body")))
}

/// Parses a value. If it is not valid JSON, its broken parts are replaced, see [`repair`]; `None`
/// if it is cut off, or no JSON at all.
pub(crate) fn value(bytes: &[u8]) -> Option<Value> {
    let valid = serde_json::from_slice(bytes).ok();
    valid.or_else(|| serde_json::from_str(&repair::repaired(bytes)?).ok())
}

/// Returns the error of something that has to be a JSON object.
pub(crate) fn not_an_object(field: &'static str) -> ValidationError {
    ValidationError {
        field,
        kind: ValidationErrorKind::Invalid,
        expected: "a JSON object in UTF-8".to_owned(),
    }
}

/// Returns the error of something that has to be a JSON array.
pub(crate) fn not_an_array(field: &'static str) -> ValidationError {
    ValidationError {
        field,
        kind: ValidationErrorKind::Invalid,
        expected: "a JSON array of reports".to_owned(),
    }
}

/// Returns the value at a path of names; `None` if it is absent or null.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let found = path
        .iter()
        .try_fold(value, |value, name| value.as_object()?.get(*name));
    found.filter(|value| !value.is_null())
}

/// Returns a text or a whole number as text, without blanks around it; `None` if it is absent,
/// blank, or something else.
pub(crate) fn text(value: &Value, path: &[&str]) -> Option<String> {
    let text = match at(value, path)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) if !number.is_f64() => number.to_string(),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return None;
        }
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Returns whether a field has a value that is not a blank text.
pub(crate) fn is_present(value: &Value, name: &str) -> bool {
    match at(value, &[name]) {
        Some(Value::String(text)) => !text.trim().is_empty(),
        value => value.is_some(),
    }
}

/// Returns the first of these fields that is present.
pub(crate) fn first_present<'a>(value: &Value, names: &[&'a str]) -> Option<&'a str> {
    let mut names = names.iter().copied();
    names.find(|name| is_present(value, name))
}

/// Parses a field that a report needs; `name` is its name in error messages.
pub(crate) fn required<T, E: Display>(
    value: &Value,
    path: &[&str],
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, ValidationError> {
    let error = |kind, expected| ValidationError {
        field: name,
        kind,
        expected,
    };
    let Some(text) = text(value, path) else {
        return Err(match at(value, path) {
            None | Some(Value::String(_)) => {
                error(ValidationErrorKind::Missing, format!("{name} is missing"))
            }
            Some(_) => error(
                ValidationErrorKind::Invalid,
                format!("{name} is a text or a whole number"),
            ),
        });
    };
    parse(&text).map_err(|wrong| error(ValidationErrorKind::Invalid, wrong.to_string()))
}

/// Parses a message id that a report needs.
pub(crate) fn message_id(
    value: &Value,
    path: &[&str],
    name: &'static str,
) -> Result<MessageSid, ValidationError> {
    required(value, path, name, MessageSid::parse)
}

/// Parses an error code; `None` if it is absent or says that there was no error.
pub(crate) fn error_code(value: &Value, path: &[&str]) -> Option<ErrorCode> {
    text(value, path).and_then(|text| error_code_of(&text))
}

/// Parses the text of an error code. Zero, `null` and blanks mean that there was no error.
pub(crate) fn error_code_of(text: &str) -> Option<ErrorCode> {
    let code = text.trim();
    let is_none = code == "0" || code.eq_ignore_ascii_case("null");
    ErrorCode::parse(code).ok().filter(|_| !is_none)
}

/// Parses an address; `None` if it is absent or not one.
pub(crate) fn address(value: &Value, path: &[&str]) -> Option<Address> {
    text(value, path).and_then(|text| Address::parse(&text).ok())
}

/// Parses a Unix time in seconds or, from 100,000,000,000 on, in milliseconds.
pub(crate) fn unix_time(value: &Value, path: &[&str]) -> Option<Timestamp> {
    const FIRST_MILLISECONDS: i64 = 100_000_000_000;
    let number: i64 = text(value, path)?.parse().ok().filter(|time| *time > 0)?;
    let unit = if number < FIRST_MILLISECONDS {
        1_000_000
    } else {
        1_000
    };
    Timestamp::from_unix_micros(number.checked_mul(unit)?).ok()
}

/// Parses an ISO 8601 time; the offset may lack its colon.
pub(crate) fn iso_time(value: &Value, path: &[&str]) -> Option<Timestamp> {
    let mut text = text(value, path)?;
    let offset = text.len().checked_sub(5)?;
    let lacks_colon = text.get(offset..).is_some_and(|offset| {
        offset.starts_with(['+', '-']) && offset.bytes().skip(1).all(|byte| byte.is_ascii_digit())
    });
    if lacks_colon {
        text.insert(offset + 3, ':');
    }
    Timestamp::parse(&text).ok()
}

/// Returns all fields but those of `read`, which were interpreted: names joined by dots, values as
/// texts. The text of a message is left out, and so is what exceeds the limits of [`flatten`].
pub(crate) fn fields(value: &Value, read: &[&str]) -> ReportFields {
    let fields = flattened(value, read);
    let kept: Vec<_> = fields
        .iter()
        .map(|field| (field.name.as_str(), field.clipped()))
        .collect();
    ReportFields::new(&kept)
}

/// Returns the fields with every value that may be personal masked.
pub(crate) fn redacted(value: &Value) -> MaskedFields {
    MaskedFields::new(
        flattened(value, &[])
            .into_iter()
            .map(|FlatField { name, value }| {
                let last = name.rsplit('.').next().unwrap_or_default();
                let is_number = value.len() < 7 && value.bytes().all(|byte| byte.is_ascii_digit());
                let shown = if ADDRESSES.contains(&last) {
                    masked_address(&value)
                } else if is_number || (WORDS.contains(&last) && is_word(&value)) {
                    value.into_owned()
                } else {
                    length(value.as_bytes())
                };
                (masked_name(name.as_bytes()), shown)
            }),
    )
}

#[cfg(test)]
mod tests;
