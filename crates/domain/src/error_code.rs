//! What error codes mean, who has to act, and whether a retry helps.
//!
//! The dictionary is `data/error_codes.tsv`, one row per code.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use crate::IntegratorName;
use crate::masking::mask_numbers;

/// An integrator's error code, like `63016`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(String);

/// The text is not an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an error code is 1 to 32 printable ASCII characters without spaces, like 63016")]
pub struct InvalidErrorCode;

impl ErrorCode {
    /// Parses a code.
    pub fn parse(text: &str) -> Result<Self, InvalidErrorCode> {
        if crate::text::is_ascii_token(text, 32) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidErrorCode)
        }
    }

    /// Returns the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An integrator's error text, truncated to 1,000 characters. Empty if it sent none.
///
/// It may contain phone numbers, which `Debug` and `Display` mask; [`ErrorText::reveal`] returns it
/// unmasked.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorText(String);

impl ErrorText {
    /// Creates a text, truncating a long one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(crate::text::clipped(text, 1_000))
    }

    /// Returns the unmasked text. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Shows the text with phone numbers masked.
impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_numbers(&self.0))
    }
}

impl fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorText({self})")
    }
}

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Actor {
    /// The sender of the message.
    Sender,
    /// The recipient of the message.
    Recipient,
    /// The owner of the message template.
    TemplateOwner,
    /// The integrator or its network.
    Integrator,
    /// Nothing has to be done.
    Nobody,
}

impl Actor {
    /// Returns the name used in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Whether sending the message again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Permanence {
    /// It will fail again.
    Permanent,
    /// It may arrive later.
    Temporary,
    /// It will arrive once a setting is corrected.
    Configuration,
    /// It is not known.
    Unknown,
}

impl Permanence {
    /// Returns the name used in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The explanation of an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorExplanation {
    /// A short title.
    pub title: &'static str,
    /// What happened and what to do.
    pub explanation: &'static str,
    /// Who has to act.
    pub actor: Actor,
    /// Whether a retry helps.
    pub permanence: Permanence,
}

/// The explanation of a code that is not in the dictionary.
const UNKNOWN: ErrorExplanation = ErrorExplanation {
    title: "Unknown error",
    explanation: "This code is not in the dictionary. Look it up with the integrator; the \
                  integrator's own words, if it sent any, stand beside it.",
    actor: Actor::Sender,
    permanence: Permanence::Unknown,
};

impl ErrorExplanation {
    /// Returns whether the code is in the dictionary.
    #[must_use]
    pub fn is_known(&self) -> bool {
        *self != UNKNOWN
    }
}

type Dictionary = HashMap<(&'static str, &'static str), ErrorExplanation>;

static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
    rows(include_str!("../data/error_codes.tsv"))
        .flatten()
        .collect()
});

/// Returns the explanation of a code; a generic one for an unknown code. Integrators that pass on
/// the codes of Meta's Cloud API have only their own in the dictionary.
#[must_use]
pub fn explain(integrator: &IntegratorName, code: &ErrorCode) -> ErrorExplanation {
    let find = |integrator| DICTIONARY.get(&(integrator, code.as_str()));
    let passed_on = || match integrator.as_str() {
        "gupshup" | "360dialog" => find("meta"),
        _ => None,
    };
    let found = find(integrator.as_str()).or_else(passed_on);
    found.copied().unwrap_or(UNKNOWN)
}

/// Parses the rows of the data file; `None` for an invalid one.
fn rows(
    file: &'static str,
) -> impl Iterator<Item = Option<((&'static str, &'static str), ErrorExplanation)>> {
    let lines = file.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.map(|line| {
        let mut columns = line.split('\t');
        let key = (columns.next()?, columns.next()?);
        let (actor, permanence) = (columns.next()?, columns.next()?);
        let explanation = ErrorExplanation {
            actor: actor.parse().ok()?,
            permanence: permanence.parse().ok()?,
            title: columns.next()?,
            explanation: columns.next()?,
        };
        columns.next().is_none().then_some((key, explanation))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn twilio(code: &str) -> ErrorExplanation {
        explain(
            &IntegratorName::parse("twilio").unwrap(),
            &ErrorCode::parse(code).unwrap(),
        )
    }

    #[test]
    fn every_dictionary_row_parses_and_codes_are_unique() {
        let rows: Vec<_> = rows(include_str!("../data/error_codes.tsv")).collect();
        assert!(rows.len() >= 60, "{} rows", rows.len());
        for (number, row) in rows.iter().enumerate() {
            let ((_, code), explanation) = row.unwrap_or_else(|| panic!("row {number}"));
            assert!(ErrorCode::parse(code).is_ok(), "{code}");
            assert!((1..=60).contains(&explanation.title.len()), "{code}");
            assert!(explanation.explanation.ends_with('.'), "{code}");
        }
        assert_eq!(DICTIONARY.len(), rows.len());
    }

    #[test]
    fn the_codes_that_occur_most_are_explained() {
        let codes = [
            "63001", "63003", "63005", "63012", "63013", "63016", "63018", "63024", "63032",
            "63049", "30001", "30002", "30003", "30004", "30005", "30006", "30007", "30008",
            "30017", "30022", "30034", "30046", "21211", "21408", "21610", "21612", "21614",
            "21617",
        ];
        for code in codes {
            assert_ne!(twilio(code), UNKNOWN, "{code}");
        }
    }

    #[test]
    fn codes_of_meta_are_explained_where_they_are_passed_on() {
        let title = |integrator: &str, code: &str| {
            let integrator = IntegratorName::parse(integrator).unwrap();
            explain(&integrator, &ErrorCode::parse(code).unwrap()).title
        };
        for integrator in ["meta", "gupshup", "360dialog"] {
            assert_eq!(title(integrator, "131047"), "Outside the 24-hour window");
        }
        assert_eq!(title("infobip", "131047"), UNKNOWN.title);
        assert_eq!(title("infobip", "status-12"), "Not enough credits");
        assert_eq!(title("gupshup", "1002"), "Recipient is not on WhatsApp");
    }

    #[test]
    fn numbers_in_an_error_text_are_masked_unless_revealed() {
        let text = ErrorText::new("'To' number +15550100001 is not valid");
        let masked = "'To' number +***0001 is not valid";
        assert_eq!(text.to_string(), masked);
        assert_eq!(format!("{text:?}"), format!("ErrorText({masked})"));
        assert_eq!(text.reveal(), "'To' number +15550100001 is not valid");
    }

    #[test]
    fn an_unknown_code_is_explained_as_unknown() {
        assert_eq!(twilio("99999"), UNKNOWN);
        assert!(!twilio("99999").is_known() && twilio("63016").is_known());
        assert_eq!(
            explain(
                &IntegratorName::parse("other").unwrap(),
                &ErrorCode::parse("63016").unwrap()
            ),
            UNKNOWN
        );
    }
}
