//! Delivery reports: what an integrator says of one message at one moment.

use serde_json::{Map, Value};

use crate::{
    Address, CredentialId, Effect, ErrorCode, ErrorText, MessageKey, ReportedStatus, Timestamp,
};

/// One report, proven and read. Every value in it is a valid one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which message it is about.
    pub key: MessageKey,
    /// What it says.
    pub status: ReportedStatus,
    /// The error it names, if any.
    pub error: Option<ReportError>,
    /// Who the message goes to.
    pub recipient: Address,
    /// Who sent the message.
    pub sender: Address,
    /// When it arrived here, the only time there is.
    pub arrived_at: Timestamp,
    /// The credential that proved the caller.
    pub credential: CredentialId,
    /// The integrator's token for this call. Evidence, no key.
    pub idempotency_token: Option<String>,
    /// Every field of the report that has no place above.
    pub fields: ReportFields,
}

/// The error that a report names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportError {
    /// The integrator's code.
    pub code: ErrorCode,
    /// The integrator's words, empty if it sent none.
    pub text: ErrorText,
}

/// The fields of a report that this software does not read, as they came and
/// in the order they came. Values may be personal data, so `Debug` shows the
/// names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ReportFields(Vec<(String, String)>);

impl ReportFields {
    /// Keeps fields as they came. NUL, which PostgreSQL cannot keep, becomes
    /// U+FFFD.
    #[must_use]
    pub fn new(fields: Vec<(String, String)>) -> Self {
        let clean = |text: String| {
            if text.contains('\0') {
                text.replace('\0', "\u{fffd}")
            } else {
                text
            }
        };
        Self(
            fields
                .into_iter()
                .map(|(name, value)| (clean(name), clean(value)))
                .collect(),
        )
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A JSON object; the value of a repeated name is an array. Written by hand:
    /// every report passes here, and a tree of copies costs several times more.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = vec![b'{'];
        for (place, (name, value)) in self.0.iter().enumerate() {
            let (before, after) = self.0.split_at(place);
            if before.iter().any(|(earlier, _)| earlier == name) {
                continue;
            }
            if text.len() > 1 {
                text.push(b',');
            }
            push_string(&mut text, name);
            text.push(b':');
            let mut others = after
                .iter()
                .skip(1)
                .filter(|(later, _)| later == name)
                .peekable();
            if others.peek().is_none() {
                push_string(&mut text, value);
                continue;
            }
            text.push(b'[');
            push_string(&mut text, value);
            for (_, value) in others {
                text.push(b',');
                push_string(&mut text, value);
            }
            text.push(b']');
        }
        text.push(b'}');
        String::from_utf8(text).unwrap_or_default()
    }

    /// Reads what [`ReportFields::to_json`] wrote. The occurrences of a
    /// repeated name come back side by side.
    pub fn from_json(text: &str) -> Result<Self, InvalidFields> {
        let object: Map<String, Value> = serde_json::from_str(text).map_err(|_| InvalidFields)?;
        let mut fields = Vec::with_capacity(object.len());
        for (name, value) in object {
            match value {
                Value::String(value) => fields.push((name, value)),
                Value::Array(values) => {
                    for value in values {
                        let Value::String(value) = value else {
                            return Err(InvalidFields);
                        };
                        fields.push((name.clone(), value));
                    }
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                    return Err(InvalidFields);
                }
            }
        }
        Ok(Self(fields))
    }
}

fn push_string(json: &mut Vec<u8>, text: &str) {
    // Writing a text into memory cannot fail.
    let _ = serde_json::to_writer(json, text);
}

impl std::fmt::Debug for ReportFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// The text is no JSON object of strings and arrays of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("fields are a JSON object of strings and arrays of strings")]
pub struct InvalidFields;

/// A report as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedReport {
    /// Its place in the log. Later reports have greater ones, but only roughly,
    /// since several receivers write: the order of a message's reports is that
    /// of their revisions.
    pub id: i64,
    /// Which change of its message it was, from 1.
    pub revision: i64,
    /// What it did to its message.
    pub effect: Effect,
    /// What was reported.
    pub report: Report,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repeated_name_becomes_an_array() {
        let fields = [("a", "1"), ("b", "2"), ("a", "3")];
        let fields = ReportFields::new(fields.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec());
        assert_eq!(fields.to_json(), r#"{"a":["1","3"],"b":"2"}"#);
    }

    #[test]
    fn values_do_not_show_in_debug() {
        let fields = ReportFields::new(vec![("Body".to_owned(), "private".to_owned())]);
        assert_eq!(format!("{fields:?}"), r#"["Body"]"#);
    }

    proptest! {
        #[test]
        fn fields_are_json(pairs: Vec<(String, String)>) {
            let text = ReportFields::new(pairs).to_json();
            prop_assert!(ReportFields::from_json(&text).is_ok());
        }

        #[test]
        fn fields_survive_json(names in proptest::collection::hash_set(any::<String>(), 0..8), value: String) {
            let pairs: Vec<_> = names.into_iter().map(|name| (name.replace('\0', ""), value.clone())).collect();
            let fields = ReportFields::new(pairs);
            let text = fields.to_json();
            prop_assert!(fields.iter().all(|(name, value)| !name.contains('\0') && !value.contains('\0')));
            let mut back: Vec<_> = ReportFields::from_json(&text).unwrap().0;
            let mut want = fields.0;
            back.sort();
            want.sort();
            prop_assert_eq!(back, want);
        }
    }
}
