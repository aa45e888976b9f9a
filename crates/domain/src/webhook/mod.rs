//! Webhooks: URLs and responses of endpoints. Signatures ([`crate::crypto`]) follow the Standard
//! Webhooks convention, so that subscribers can verify it with existing libraries.

mod excerpt;
mod network;
mod target;

use std::fmt;

pub use excerpt::AnswerExcerpt;
pub use network::{SpecialNetwork, special_network};
pub use target::{InvalidTargetUrl, TargetUrl};

/// The header `webhook-id`: the same for every attempt, so that a subscriber can detect
/// repetitions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookId(String);

/// The text is not a webhook id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook id is 1 to 128 letters, digits, `_` and `-`")]
pub struct InvalidWebhookId;

impl WebhookId {
    /// Parses an id. It contains no dot, which separates the parts of the signed text.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookId> {
        let fits = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidWebhookId)
        }
    }

    /// Returns the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("evt_0a-B", true)]
    #[case("", false)]
    #[case("a.b", false)]
    #[case("a\r\nx: y", false)]
    #[case(&"a".repeat(128), true)]
    #[case(&"a".repeat(129), false)]
    fn a_webhook_id_fits_a_header_and_the_signed_text(#[case] text: &str, #[case] good: bool) {
        assert_eq!(WebhookId::parse(text).is_ok(), good);
    }
}
