//! Delivery reports: what an integrator reports about one message at one time.

use serde_json::{Map, Value};

use crate::{
    Address, Alias, CredentialId, Effect, ErrorCode, ErrorText, MessageKey, ReportedStatus,
    Timestamp,
};

/// One validated report of an authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The message.
    pub key: MessageKey,
    /// What it says about other ids of the message.
    pub alias: Alias,
    /// The reported status.
    pub status: ReportedStatus,
    /// The reported error.
    pub error: Option<ReportError>,
    /// The recipient of the message.
    pub recipient: Address,
    /// The sender of the message; many integrators leave it out.
    pub sender: Option<Address>,
    /// When it arrived: the time that state and order are derived from.
    pub arrived_at: Timestamp,
    /// When it happened, by the integrator's own clock; evidence only.
    pub happened_at: Option<Timestamp>,
    /// The credential of the caller.
    pub credential: CredentialId,
    /// The integrator's token for this request; stored for diagnosis and not used as a key.
    pub idempotency_token: Option<String>,
    /// All other fields of the report.
    pub fields: ReportFields,
}

/// Where a report comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// The integrator sent it.
    Callback,
    /// Reconciliation read it from the integrator's records: the callback did not arrive.
    Reconciled,
}

impl Provenance {
    /// Returns the name used in events, the API and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Reconciled => "reconciled",
        }
    }
}

impl Report {
    /// Returns where the report comes from.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        if self.credential == CredentialId::RECONCILIATION {
            Provenance::Reconciled
        } else {
            Provenance::Callback
        }
    }

    /// Erases the recipient and everything that may identify it: the other fields and the text of
    /// the error.
    pub fn erase(&mut self) {
        self.recipient = Address::erased();
        if let Some(error) = &mut self.error {
            error.text = ErrorText::new("");
        }
        self.fields = ReportFields::default();
    }

    /// Returns the report, erased.
    #[must_use]
    pub fn erased(&self) -> Self {
        let mut erased = self.clone();
        erased.erase();
        erased
    }
}

/// A reported error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportError {
    /// The integrator's code.
    pub code: ErrorCode,
    /// The integrator's error text, empty if it sent none.
    pub text: ErrorText,
}

/// The fields of a report that this program does not use, in the order they were sent, grouped by
/// name. Values may be personal data, so `Debug` shows the names only.
///
/// They are stored as a JSON object, in which the value of a repeated name is an array: every
/// report has fields, and few are ever read.
#[derive(Clone, PartialEq, Eq)]
pub struct ReportFields(String);

/// The maximum size of the fields of a report as JSON, where escaping takes up to six times the
/// original size. The constraint `reports_fields_size_check` refuses more.
pub const FIELDS_LENGTH_MAX: usize = 262_144;

impl ReportFields {
    /// Stores fields. NUL, which PostgreSQL cannot store, becomes U+FFFD.
    #[must_use]
    pub fn new<T: AsRef<str>>(fields: &[(T, T)]) -> Self {
        let length: usize = fields
            .iter()
            .map(|(name, value)| name.as_ref().len() + value.as_ref().len() + 6)
            .sum();
        let mut json = Vec::with_capacity(length + 2);
        json.push(b'{');
        for (place, (name, value)) in fields.iter().enumerate() {
            let name = name.as_ref();
            let same = |(other, _): &&(T, T)| other.as_ref() == name;
            let (before, after) = fields.split_at(place);
            if before.iter().any(|field| same(&field)) {
                continue;
            }
            if json.len() > 1 {
                json.push(b',');
            }
            push_string(&mut json, name);
            json.push(b':');
            let mut others = after.iter().skip(1).filter(same).peekable();
            if others.peek().is_none() {
                push_string(&mut json, value.as_ref());
                continue;
            }
            json.push(b'[');
            push_string(&mut json, value.as_ref());
            for (_, value) in others {
                json.push(b',');
                push_string(&mut json, value.as_ref());
            }
            json.push(b']');
        }
        json.push(b'}');
        Self(String::from_utf8(json).unwrap_or_default())
    }

    /// Returns whether they exceed [`FIELDS_LENGTH_MAX`], so that no store accepts them.
    #[must_use]
    pub const fn are_too_long(&self) -> bool {
        self.0.len() > FIELDS_LENGTH_MAX
    }

    /// Returns all names and values.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<(String, String)> {
        // Cannot fail: the text was made or checked by this type.
        pairs(&self.0).unwrap_or_default()
    }

    /// Returns the JSON object; the value of a repeated name is an array.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Parses the result of [`ReportFields::as_json`].
    pub fn from_json(text: &str) -> Result<Self, InvalidFields> {
        Ok(Self::new(&pairs(text)?))
    }
}

impl Default for ReportFields {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

/// Returns the fields of a JSON object, a repeated name once for each of its values.
fn pairs(json: &str) -> Result<Vec<(String, String)>, InvalidFields> {
    let object: Map<String, Value> = serde_json::from_str(json).map_err(|_| InvalidFields)?;
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
    Ok(fields)
}

fn push_string(json: &mut Vec<u8>, text: &str) {
    // Few texts contain a character to escape. A scan without early return is vectorised and
    // faster.
    let escaped = text
        .bytes()
        .map(|byte| u8::from(matches!(byte, ..b' ' | b'"' | b'\\')))
        .fold(0, std::ops::BitOr::bitor);
    if escaped == 0 {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
    } else {
        // Writing into a `String` cannot fail.
        let _ = serde_json::to_writer(json, &text.replace('\0', "\u{fffd}"));
    }
}

impl std::fmt::Debug for ReportFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.to_pairs().iter().map(|(name, _)| name))
            .finish()
    }
}

/// The text is not a JSON object of strings and arrays of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("fields are a JSON object of strings and arrays of strings")]
pub struct InvalidFields;

/// A report in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedReport {
    /// Its id in the log. Ids follow the order of arrival only roughly, since several receivers
    /// write; revisions order the reports of a message.
    pub id: i64,
    /// The number of its change of the message, from 1.
    pub revision: i64,
    /// Its effect on the message.
    pub effect: Effect,
    /// The report.
    pub report: Report,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_repeated_name_becomes_an_array() {
        let fields = ReportFields::new(&[("a", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!(fields.as_json(), r#"{"a":["1","3"],"b":"2"}"#);
    }

    #[test]
    fn json_is_escaped_and_nul_is_replaced() {
        let fields = ReportFields::new(&[("a\"\\\n\u{1}", "\0é\u{7f}")]);
        assert_eq!(
            fields.as_json(),
            "{\"a\\\"\\\\\\n\\u0001\":\"\u{fffd}é\u{7f}\"}"
        );
    }

    #[test]
    fn values_do_not_show_in_debug() {
        let fields = ReportFields::new(&[("Body", "private")]);
        assert_eq!(format!("{fields:?}"), r#"["Body"]"#);
    }

    #[test]
    fn no_fields_are_an_empty_object() {
        assert_eq!(ReportFields::default(), ReportFields::new::<&str>(&[]));
        assert_eq!(ReportFields::default().as_json(), "{}");
    }

    proptest! {
        #[test]
        fn fields_come_back_from_their_json_the_same_text(pairs: Vec<(String, String)>) {
            let fields = ReportFields::new(&pairs);
            prop_assert_eq!(ReportFields::from_json(fields.as_json()), Ok(fields));
        }

        #[test]
        fn fields_survive_in_their_order(
            names in proptest::collection::hash_set("[^\0]*", 0..8),
            value in "[^\0]*",
        ) {
            let pairs: Vec<_> = names.into_iter().map(|name| (name, value.clone())).collect();
            prop_assert_eq!(ReportFields::new(&pairs).to_pairs(), pairs);
        }

        #[test]
        fn their_json_is_that_of_a_json_library(name: String, value: String) {
            let clean = |text: &str| text.replace('\0', "\u{fffd}");
            let object = Map::from_iter([(clean(&name), Value::from(clean(&value)))]);
            let fields = ReportFields::new(&[(name, value)]);
            prop_assert_eq!(fields.as_json(), Value::Object(object).to_string());
        }
    }
}
