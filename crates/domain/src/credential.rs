//! Credentials of callers.

use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    ChannelId, Timestamp,
    crypto::{CredentialHash, KeyId},
};

/// The maximum number of live credentials of a channel: the one in use and its replacement, so that
/// a rotation loses no report.
pub const LIVE_CREDENTIALS_MAX: usize = 2;

/// The maximum number of live test credentials of a channel: one test runs at a time.
pub const LIVE_TEST_CREDENTIALS_MAX: usize = 1;

/// The id of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(pub Uuid);

impl CredentialId {
    /// The credential of reports that no caller sent: reconciliation derived them from the
    /// integrator's own records. No caller can have it.
    pub const RECONCILIATION: Self =
        Self(Uuid::from_u128(0x7265_636f_6e63_8000_8000_0000_0000_0001));
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The user name set on a channel's configuration page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUser(String);

/// The text is not a webhook user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook user is 1 to 255 characters without a colon and without control characters")]
pub struct InvalidWebhookUser;

impl WebhookUser {
    /// Parses a user name. A colon would end it in the Basic header.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookUser> {
        if crate::text::is_plain_line(text, 255) && !text.contains(':') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidWebhookUser)
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebhookUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A plain-text webhook password. It is shown once and never stored; its memory is zeroed.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// The text is not a webhook password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook password is UTF-8, has at least 8 characters and at most 1024 bytes")]
pub struct InvalidPassword;

impl Password {
    /// Parses a chosen password.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        if text.chars().nth(7).is_some() && text.len() <= 1024 {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(InvalidPassword)
        }
    }

    /// Creates a password from 32 random bytes: 43 letters, digits, `-` and `_` that need no
    /// escaping in a URL.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns the password. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// A stored credential: only the keyed hash of its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Identifies it in the log of reports.
    pub id: CredentialId,
    /// The only channel it is valid for.
    pub channel: ChannelId,
    /// The user name.
    pub user: WebhookUser,
    /// The keyed hash of channel, user and password.
    pub hash: CredentialHash,
    /// The key of the hash.
    pub key_id: KeyId,
    /// A label for people, such as `2026 rotation`.
    pub label: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to within a few seconds.
    pub last_used_at: Option<Timestamp>,
    /// Whether it was made for a test of the channel. It authenticates the report of one test
    /// message, [`MessageSid::of_test`](crate::MessageSid::of_test).
    pub is_test: bool,
}

impl Credential {
    /// Returns how many live credentials of its kind a channel may have.
    #[must_use]
    pub const fn live_max(&self) -> usize {
        if self.is_test {
            LIVE_TEST_CREDENTIALS_MAX
        } else {
            LIVE_CREDENTIALS_MAX
        }
    }

    /// Returns whether it is valid at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_shows_in_debug() {
        let password = Password::parse("correct horse").unwrap();
        assert!(!format!("{password:?}").contains("horse"));
    }

    #[test]
    fn a_password_may_be_long_and_hold_anything_but_must_have_eight_characters() {
        assert!(Password::parse(&"pä:ss wörd ".repeat(20)).is_ok());
        assert_eq!(Password::parse("1234567").unwrap_err(), InvalidPassword);
    }

    #[test]
    fn a_user_has_no_colon() {
        assert_eq!(WebhookUser::parse("a:b"), Err(InvalidWebhookUser));
        assert!(WebhookUser::parse("Ärger mit Leerzeichen").is_ok());
    }
}
