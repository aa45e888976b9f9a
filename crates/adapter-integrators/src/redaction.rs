//! Redacting the fields of a rejected report: names are kept, values only if they cannot be
//! personal data.

use domain::Address;

/// Returns what stands for a value that may be personal: its length.
pub(crate) fn length(value: &[u8]) -> String {
    match value.len() {
        0 => String::new(),
        1 => "*** (1 byte)".to_owned(),
        bytes => format!("*** ({bytes} bytes)"),
    }
}

/// Returns an address, masked.
pub(crate) fn masked_address(text: &str) -> String {
    Address::parse(text).map_or_else(|_| length(text.as_bytes()), |address| address.to_string())
}

/// Keeps a name only if it looks like one: in a body that is not what the integrator sends,
/// arbitrary content would be parsed as a name.
pub(crate) fn masked_name(name: &[u8]) -> String {
    let is_name = name.len() <= 40
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
        && name.iter().filter(|byte| byte.is_ascii_digit()).count() <= 3;
    if is_name {
        String::from_utf8_lossy(name).into_owned()
    } else {
        "***".to_owned()
    }
}

/// Returns whether a text is a word like those of statuses.
pub(crate) fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || b"_-".contains(&byte))
}
