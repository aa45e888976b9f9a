//! Rows of few values as one JSON text, the form in which one statement takes many of them.

use std::fmt::Write as _;

use domain::MessageKey;

/// A JSON array of arrays, one for each row.
#[derive(Debug)]
pub(crate) struct JsonRows(String);

impl JsonRows {
    /// No rows yet, and room for some of `row_bytes` each.
    pub(crate) fn with_capacity(rows: usize, row_bytes: usize) -> Self {
        let mut text = String::with_capacity(rows.saturating_mul(row_bytes).saturating_add(2));
        text.push('[');
        Self(text)
    }

    /// Adds a row; its values are pushed one after the other.
    pub(crate) fn row(&mut self) -> JsonRow<'_> {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('[');
        JsonRow {
            text: &mut self.0,
            first: true,
        }
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        self.0.push(']');
        self.0
    }
}

/// One row; it ends when dropped.
#[derive(Debug)]
pub(crate) struct JsonRow<'a> {
    text: &'a mut String,
    first: bool,
}

impl JsonRow<'_> {
    pub(crate) fn integer(&mut self, value: i64) -> &mut Self {
        self.separate();
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{value}");
        self
    }

    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.separate();
        push_string(self.text, value);
        self
    }

    /// As hex digits, for `unhex`: JSON has no bytes.
    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.separate();
        self.text.push('"');
        for byte in value {
            for digit in [byte >> 4, byte & 15] {
                self.text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
        self.text.push('"');
        self
    }

    fn separate(&mut self) {
        if !self.first {
            self.text.push(',');
        }
        self.first = false;
    }
}

impl Drop for JsonRow<'_> {
    fn drop(&mut self) {
        self.text.push(']');
    }
}

/// The keys of messages: a row of channel and sid for each.
pub(crate) fn keys<'a>(keys: impl IntoIterator<Item = &'a MessageKey>) -> String {
    let keys = keys.into_iter();
    let mut rows = JsonRows::with_capacity(keys.size_hint().0, 64);
    for key in keys {
        rows.row()
            .text(key.channel.as_str())
            .bytes(&key.sid.to_compact());
    }
    rows.finish()
}

/// A list of numbers as JSON text.
pub(crate) fn integers(values: &[i64]) -> String {
    let mut text = String::with_capacity(2 + values.len() * 8);
    text.push('[');
    for (place, value) in values.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{value}");
    }
    text.push(']');
    text
}

/// Pushes a JSON string. NUL becomes U+FFFD: SQLite ends a text from JSON there.
fn push_string(text: &mut String, value: &str) {
    text.push('"');
    let mut rest = value;
    while let Some(place) = rest.find(|it: char| it < ' ' || it == '"' || it == '\\') {
        let (plain, special) = rest.split_at(place);
        text.push_str(plain);
        let mut special = special.chars();
        match special.next() {
            Some('\0') | None => text.push('\u{fffd}'),
            Some(quote @ ('"' | '\\')) => text.extend(['\\', quote]),
            Some(control) => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
        }
        rest = special.as_str();
    }
    text.push_str(rest);
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn rows_are_an_array_of_arrays() {
        assert_eq!(JsonRows::with_capacity(0, 0).finish(), "[]");
        let mut rows = JsonRows::with_capacity(2, 10);
        rows.row().integer(i64::MIN).text("a").bytes(&[0, 0xaf]);
        rows.row().text("b");
        assert_eq!(
            rows.finish(),
            format!(r#"[[{},"a","00af"],["b"]]"#, i64::MIN)
        );
        assert_eq!(integers(&[]), "[]");
        assert_eq!(integers(&[-1, 2]), "[-1,2]");
    }

    #[test]
    fn any_text_comes_back_but_nul() {
        let all: String = (1..0x300).filter_map(char::from_u32).collect();
        for text in [
            "",
            "\"",
            "\\",
            "a\\\"b",
            "👍\u{10ffff}\u{2028}",
            "\\u0000",
            &all,
        ] {
            let mut rows = JsonRows::with_capacity(1, 1);
            rows.row().text(text);
            let read: Value = serde_json::from_str(&rows.finish()).unwrap();
            assert_eq!(read, json!([[text]]));
        }
        let mut rows = JsonRows::with_capacity(1, 1);
        rows.row().text("\0a\0");
        assert_eq!(rows.finish(), "[[\"\u{fffd}a\u{fffd}\"]]");
    }
}
