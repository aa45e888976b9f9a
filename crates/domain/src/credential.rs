//! What a caller shows to prove that it is the integrator of a channel.

use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    ChannelId, Timestamp,
    secret::{CredentialHash, KeyId},
};

/// How many credentials of one channel may be live at a time: the one in use
/// and the one that replaces it, so that a rotation loses no report.
pub const LIVE_CREDENTIALS_MAX: usize = 2;

/// The id of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(pub Uuid);

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The user name set on a channel's configuration page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUser(String);

/// The text is no webhook user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook user is 1 to 255 characters without a colon and without control characters")]
pub struct InvalidWebhookUser;

impl WebhookUser {
    /// Takes a user name. A colon would end it in the Basic header.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookUser> {
        if crate::text::is_plain_line(text, 255) && !text.contains(':') {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidWebhookUser)
        }
    }

    /// The name as it was given.
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

/// A webhook password in the clear. It is shown once and kept nowhere; memory
/// that held it is wiped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// The text is no webhook password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook password is UTF-8, has at least 8 characters and at most 1024 bytes")]
pub struct InvalidPassword;

impl Password {
    /// Takes a password that somebody chose.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
        if text.chars().nth(7).is_some() && text.len() <= 1024 {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(InvalidPassword)
        }
    }

    /// A password made of 32 random bytes, as 43 letters, digits, `-` and `_`
    /// that need no escaping in a URL.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The password itself. Never write it into a log line.
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

/// A credential as it is kept: never the password, only its keyed hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Names it in the log of reports and when it is removed.
    pub id: CredentialId,
    /// The only channel it proves a caller for.
    pub channel: ChannelId,
    /// The user name the caller presents.
    pub user: WebhookUser,
    /// The keyed hash of channel, user and password.
    pub hash: CredentialHash,
    /// The server key it was hashed under.
    pub key_id: KeyId,
    /// What people call it, such as `2026 rotation`.
    pub label: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it proves nobody; `None` lasts until it is removed.
    pub expires_at: Option<Timestamp>,
    /// When it last proved a caller, to within a few seconds.
    pub last_used_at: Option<Timestamp>,
}

impl Credential {
    /// Whether it proves callers at `now`.
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
