//! Masking of addresses and other values.

use domain::Address;

use super::error::{ApiError, valid};

/// Reads `true` or `false`.
pub(crate) fn flag(name: &'static str, text: &str) -> Result<bool, ApiError> {
    valid(name, text.parse().map_err(|_| "true or false"))
}

/// Reads the parameter `reveal`: whether values are shown unmasked.
pub(crate) fn reveal(text: Option<&str>) -> Result<bool, ApiError> {
    text.map_or(Ok(false), |text| flag("reveal", text))
}

/// Returns the text of an address, masked unless `reveal`.
pub(crate) fn shown(address: &Address, reveal: bool) -> String {
    if reveal {
        address.reveal().to_owned()
    } else {
        address.to_string()
    }
}
