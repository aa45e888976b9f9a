//! Rows of few values as one JSON text, the form in which one statement takes many of them.

use domain::MessageKey;
use serde::Serialize;

/// Returns a JSON array.
pub(crate) fn array<T: Serialize>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<T> = values.into_iter().collect();
    serde_json::to_string(&values).expect("numbers, texts and tuples of them can be serialized")
}

/// Returns the keys of messages: an array of channel and sid for each.
pub(crate) fn keys<'a>(keys: impl IntoIterator<Item = &'a MessageKey>) -> String {
    array(
        keys.into_iter()
            .map(|key| (key.channel.as_str(), hex(&key.sid.to_compact()))),
    )
}

/// Returns bytes as hex digits, for `unhex`: JSON has no bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_an_array_of_arrays() {
        assert_eq!(array::<i64>([]), "[]");
        let rows = [(i64::MIN, "a\"\n", hex(&[0, 0xaf]))];
        assert_eq!(array(rows), format!(r#"[[{},"a\"\n","00af"]]"#, i64::MIN));
    }
}
