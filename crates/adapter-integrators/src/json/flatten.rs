//! The fields of an element as pairs of texts. Names, values and their total are bounded, because
//! an element may be as large as a body.

use std::borrow::Cow;
use std::fmt::Write as _;

use domain::report::FIELDS_LENGTH_MAX;
use serde_json::Value;

/// Fields of an element that are kept; real ones have about twenty.
pub(super) const MAX_FIELDS: usize = 100;

/// Levels of nesting whose fields are kept; real elements have four.
const MAX_DEPTH: usize = 8;

/// The longest joined name of a field that is kept; those of real elements have about 40 bytes.
pub(super) const MAX_NAME_BYTES: usize = 256;

/// Characters of a value that are kept.
pub(super) const MAX_VALUE_CHARS: usize = 1_000;

/// Bytes of all names and values that are kept. Stored as JSON, a byte takes at most six, and a
/// field six more for its punctuation: stores accept any element.
pub(super) const MAX_BYTES: usize = 40 * 1_024;

const _: () = assert!(6 * (MAX_BYTES + MAX_FIELDS) + 2 <= FIELDS_LENGTH_MAX);

/// Fields that hold the text of a message. They are never kept.
const MESSAGE_TEXT: [&str; 5] = ["body", "caption", "content", "message", "text"];

/// A field of an element.
pub(super) struct FlatField<'a> {
    /// The names of the nested values, joined by dots.
    pub(super) name: String,
    /// The whole value.
    pub(super) value: Cow<'a, str>,
}

impl FlatField<'_> {
    /// Returns the part of the value that is kept.
    pub(super) fn clipped(&self) -> &str {
        clipped(&self.value)
    }
}

/// Returns the fields of an element but those of `skipped`, in order, up to the limits.
pub(super) fn flattened<'a>(value: &'a Value, skipped: &[&str]) -> Vec<FlatField<'a>> {
    let mut flattening = Flattening {
        skipped,
        name: String::new(),
        fields: Vec::new(),
        bytes_left: MAX_BYTES,
        is_full: false,
    };
    flattening.visit(value, 0);
    flattening.fields
}

struct Flattening<'a, 'b> {
    skipped: &'b [&'b str],
    /// The joined name of the current value. One buffer for all values: a copy for each child
    /// would multiply a long name by the number of its children.
    name: String,
    fields: Vec<FlatField<'a>>,
    bytes_left: usize,
    is_full: bool,
}

impl<'a> Flattening<'a, '_> {
    fn visit(&mut self, value: &'a Value, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match value {
            Value::Object(object) => {
                let parts = object.iter().map(|(part, value)| (part.as_str(), value));
                let parts = parts.filter(|(part, _)| !MESSAGE_TEXT.contains(part));
                self.visit_all(parts, depth);
            }
            Value::Array(values) => self.visit_all(values.iter().enumerate(), depth),
            Value::Null => {}
            Value::String(text) => self.push(text.into()),
            Value::Bool(_) | Value::Number(_) => self.push(value.to_string().into()),
        }
    }

    /// Visits the parts of a value until the limits are reached.
    fn visit_all<P: Part>(&mut self, parts: impl Iterator<Item = (P, &'a Value)>, depth: usize) {
        let length = self.name.len();
        for (part, value) in parts {
            if self.is_full {
                return;
            }
            if length + 1 + part.max_bytes() > MAX_NAME_BYTES {
                continue;
            }
            if length > 0 {
                self.name.push('.');
            }
            // Writing into a `String` cannot fail.
            let _ = write!(self.name, "{part}");
            self.visit(value, depth + 1);
            self.name.truncate(length);
        }
    }

    fn push(&mut self, value: Cow<'a, str>) {
        if self.skipped.contains(&self.name.as_str()) {
            return;
        }
        let bytes = self.name.len() + clipped(&value).len();
        let left = self.bytes_left.checked_sub(bytes);
        self.is_full = left.is_none() || self.fields.len() + 1 >= MAX_FIELDS;
        if let Some(left) = left {
            self.bytes_left = left;
            let name = self.name.clone();
            self.fields.push(FlatField { name, value });
        }
    }
}

/// A part of a joined name.
trait Part: std::fmt::Display {
    /// Returns its length, or more.
    fn max_bytes(&self) -> usize;
}

impl Part for &str {
    fn max_bytes(&self) -> usize {
        self.len()
    }
}

impl Part for usize {
    fn max_bytes(&self) -> usize {
        20
    }
}

/// Returns the first [`MAX_VALUE_CHARS`] characters.
fn clipped(value: &str) -> &str {
    let end = value.char_indices().nth(MAX_VALUE_CHARS);
    end.and_then(|(end, _)| value.get(..end)).unwrap_or(value)
}
