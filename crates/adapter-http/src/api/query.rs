//! Parameters that several lists share.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::page::PageSize;
use serde::{Deserialize, Deserializer};

use super::error::{ApiError, valid};
use super::events::stream::LAST_EVENT_ID;

/// `true` or `false`.
pub(crate) fn flag(name: &'static str, text: &str) -> Result<bool, ApiError> {
    valid(name, text.parse().map_err(|_| "true or false"))
}

/// Whether addresses and values are shown in the clear.
pub(crate) fn reveal(text: Option<&str>) -> Result<bool, ApiError> {
    text.map_or(Ok(false), |text| flag("reveal", text))
}

/// How many items a page has.
pub(crate) fn limit(text: Option<&str>) -> Result<PageSize, ApiError> {
    let Some(text) = text else {
        return Ok(PageSize::default());
    };
    // A number too great for its type is no page size either.
    valid("limit", PageSize::new(text.parse().unwrap_or_default()))
}

/// A plus that was not escaped arrives as a space.
pub(crate) fn with_plus(text: &str) -> String {
    text.replace(' ', "+")
}

/// The different values of a list.
pub(crate) fn set<'a, T: Ord, E: std::fmt::Display>(
    field: &'static str,
    texts: impl Iterator<Item = &'a str>,
    parse: impl Fn(&'a str) -> Result<T, E>,
) -> Result<BTreeSet<T>, ApiError> {
    valid(field, texts.map(parse).collect())
}

/// Hides what a cursor is made of: it is to be given back as it came.
pub(crate) fn cursor(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Reads the `cursor` that [`cursor`] wrote.
pub(crate) fn from_cursor<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, ApiError> {
    parameter_cursor("cursor", text, read)
}

/// The same, of a parameter of another name.
pub(crate) fn parameter_cursor<T>(
    name: &'static str,
    text: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, ApiError> {
    let plain = URL_SAFE_NO_PAD.decode(text).ok();
    let plain = plain.and_then(|bytes| String::from_utf8(bytes).ok());
    let value = plain.and_then(|text| read(&text));
    let source = match name {
        LAST_EVENT_ID => "`id` of the last event",
        _ => "`next` of the previous page",
    };
    let expected = || format!("{name} is not valid: pass the {source} unchanged");
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
