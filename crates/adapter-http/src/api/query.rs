//! Parameters and fields that several handlers share.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use domain::page::PageSize;
use serde::{Deserialize, Deserializer};

use super::error::{ApiError, valid};

/// The header in which a client of the event stream sends the last event id it received.
pub(crate) const LAST_EVENT_ID: &str = "Last-Event-ID";

/// Reads the size of a page.
pub(crate) fn limit(text: Option<&str>) -> Result<PageSize, ApiError> {
    let Some(text) = text else {
        return Ok(PageSize::default());
    };
    // A number too great for its type is not a page size either.
    valid("limit", PageSize::new(text.parse().unwrap_or_default()))
}

/// Reads where a page begins, after the `cursor` of the previous page, and its size.
pub(crate) fn page<T>(
    cursor: Option<&str>,
    size: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<(Option<T>, PageSize), ApiError> {
    let after = cursor.map(|text| from_cursor(text, read)).transpose()?;
    Ok((after, limit(size)?))
}

/// Restores a plus that was sent unescaped and arrived as a space.
pub(crate) fn with_plus(text: &str) -> String {
    text.replace(' ', "+")
}

/// Reads an optional time.
pub(crate) fn time(field: &'static str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    let time = text.map(|text| Timestamp::parse(&with_plus(text)));
    valid(field, time.transpose())
}

/// Reads the distinct values of a list.
pub(crate) fn set<'a, T: Ord, E: std::fmt::Display>(
    field: &'static str,
    texts: impl Iterator<Item = &'a str>,
    parse: impl Fn(&'a str) -> Result<T, E>,
) -> Result<BTreeSet<T>, ApiError> {
    valid(field, texts.map(parse).collect())
}

/// Encodes a cursor, which is opaque to clients.
pub(crate) fn encode_cursor(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Reads the parameter `cursor`, which [`encode_cursor`] made.
pub(crate) fn from_cursor<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, ApiError> {
    parameter_cursor("cursor", text, read)
}

/// Reads a cursor from a parameter of this name.
pub(crate) fn parameter_cursor<T>(
    name: &'static str,
    text: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, ApiError> {
    let plain = URL_SAFE_NO_PAD.decode(text).ok();
    let plain = plain.and_then(|bytes| String::from_utf8(bytes).ok());
    let source = match name {
        LAST_EVENT_ID => "`id` of the last event",
        _ => "`next` of the previous page",
    };
    let expected = || format!("{name} is not valid: pass the {source} unchanged");
    let value = plain.and_then(|text| read(&text));
    valid(name, value.ok_or_else(expected))
}

/// Tells `null`, which becomes `Some(None)`, from a field that is left out.
#[expect(
    clippy::option_option,
    reason = "left out, null and a value are three things"
)]
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}
