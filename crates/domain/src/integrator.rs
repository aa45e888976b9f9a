//! The companies that send messages and report on them.

use std::fmt;
use std::sync::Arc;

/// The name of an integrator in the report path: lower-case letters and digits, like `twilio`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntegratorName(Arc<str>);

/// The text is not an integrator name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an integrator's name is 1 to 32 lower-case letters and digits, like twilio")]
pub struct InvalidIntegratorName;

impl IntegratorName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, InvalidIntegratorName> {
        let fits = (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIntegratorName)
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as the integrator itself writes it, for people; the name if it is not
    /// known.
    #[must_use]
    pub fn title(&self) -> &str {
        match self.as_str() {
            "twilio" => "Twilio",
            "infobip" => "Infobip",
            "gupshup" => "Gupshup",
            "koomessage" => "KooMessage",
            "meta" => "Meta",
            other => other,
        }
    }
}

impl fmt::Display for IntegratorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
