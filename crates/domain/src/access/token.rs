//! Bearer tokens of operators.

use std::fmt;
use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{Operator, OperatorName, Rights, Role};
use crate::Timestamp;

/// The prefix of every token, by which people and scanners recognise it.
const PREFIX: &str = "rcpt_";

/// The length of a token: the prefix, and 32 bytes in base64.
const LENGTH: usize = PREFIX.len() + 43;

/// The id of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorTokenId(pub Uuid);

impl fmt::Display for OperatorTokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OperatorTokenId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// A token in plain text. It is shown once and never stored; its memory is zeroed.
#[derive(Clone)]
pub struct TokenText(Zeroizing<String>);

impl TokenText {
    /// Creates a token from 32 random bytes.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
        Self(Zeroizing::new([PREFIX, &encoded].concat()))
    }

    /// Returns the token. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the hash to store.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(***)")
    }
}

/// The SHA-256 of a token, compared in constant time. A slow hash would add nothing: tokens are
/// random, and long enough that they cannot be guessed.
#[derive(Clone, Copy)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Hashes a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Returns the id that the bootstrap token with this hash has. Another token has another id,
    /// so sessions end when the bootstrap token is replaced.
    #[must_use]
    pub fn bootstrap_id(&self) -> OperatorTokenId {
        let mut hash = Sha256::new();
        hash.update(b"receiptd bootstrap token");
        hash.update(self.0);
        let hash: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(hash) {
            *to = from;
        }
        OperatorTokenId(uuid::Builder::from_custom_bytes(id).into_uuid())
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

/// Returns whether `text` has the form of a token, so that other texts need no look-up.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    let encoded = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    text.len() == LENGTH
        && text
            .strip_prefix(PREFIX.as_bytes())
            .is_some_and(|rest| rest.iter().all(encoded))
}

/// A stored token: who has it and what it allows. Its hash is stored beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorToken {
    /// Its id.
    pub id: OperatorTokenId,
    /// Its name, which no other valid token has.
    pub name: OperatorName,
    /// The role of its operator.
    pub role: Role,
    /// The rights besides the role.
    pub rights: Rights,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to within a minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Whether a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It is valid.
    Valid,
    /// It has expired.
    Expired,
    /// It was revoked.
    Revoked,
}

impl TokenState {
    /// Returns the name used in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl OperatorToken {
    /// Returns whether it is valid at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> TokenState {
        if self.revoked_at.is_some() {
            TokenState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            TokenState::Expired
        } else {
            TokenState::Valid
        }
    }

    /// Returns its name, role and rights for the audit log: `anna: viewer, reveal`.
    #[must_use]
    pub fn summary(&self) -> String {
        let rights = [
            (self.rights.reveal, ", reveal"),
            (self.rights.audit, ", audit"),
        ];
        let rights = rights.into_iter().filter(|(has, _)| *has);
        let rights: String = rights.map(|(_, right)| right).collect();
        format!("{}: {}{rights}", self.name, self.role)
    }

    /// Returns its operator, if it is valid at `now`.
    #[must_use]
    pub fn operator(&self, now: Timestamp) -> Option<Operator> {
        (self.state(now) == TokenState::Valid).then(|| Operator {
            name: self.name.clone(),
            token: self.id,
            role: self.role,
            rights: self.rights,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_has_a_prefix_and_is_masked_in_debug() {
        let token = TokenText::from_random(&[7; 32]);
        assert!(token.reveal().starts_with("rcpt_"));
        assert!(is_token(token.reveal().as_bytes()));
        assert_eq!(format!("{token:?}"), "TokenText(***)");
        assert_eq!(format!("{:?}", token.hash()), "TokenHash(***)");
        for other in [
            "",
            "rcpt_",
            "the-admin-token-of-tests",
            &format!("{}x", token.reveal()),
            &token.reveal().replace("rcpt_", "rcpt-"),
            &token.reveal().replace("Bw", "B/"),
        ] {
            assert!(!is_token(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn tokens_are_equal_if_their_hashes_are() {
        assert_eq!(TokenHash::of(b"token"), TokenHash::of(b"token"));
        assert_ne!(TokenHash::of(b"token"), TokenHash::of(b"Token"));
    }

    #[test]
    fn another_bootstrap_token_has_another_id() {
        let id = |token: &str| TokenHash::of(token.as_bytes()).bootstrap_id();
        assert_eq!(id("first"), id("first"));
        assert_ne!(id("first"), id("second"));
    }

    #[test]
    fn summary_names_role_and_rights() {
        let mut token = OperatorToken {
            id: OperatorTokenId(Uuid::nil()),
            name: OperatorName::parse("anna").unwrap(),
            role: Role::Operator,
            rights: Rights::default(),
            created_at: Timestamp::EPOCH,
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        assert_eq!(token.summary(), "anna: operator");
        token.rights = Rights::ALL;
        assert_eq!(token.summary(), "anna: operator, reveal, audit");
    }

    #[test]
    fn expired_and_revoked_tokens_have_no_operator() {
        let now = Timestamp::EPOCH.plus_micros(10);
        let token = OperatorToken {
            id: OperatorTokenId(Uuid::nil()),
            name: OperatorName::admin(),
            role: Role::Viewer,
            rights: Rights::default(),
            created_at: Timestamp::EPOCH,
            expires_at: Some(now),
            last_used_at: None,
            revoked_at: None,
        };
        assert!(token.operator(now.plus_micros(-1)).is_some());
        assert_eq!(token.operator(now), None);
        assert_eq!(token.state(now), TokenState::Expired);
        let revoked = OperatorToken {
            expires_at: None,
            revoked_at: Some(now),
            ..token
        };
        assert_eq!(revoked.operator(now), None);
        assert_eq!(revoked.state(now), TokenState::Revoked);
    }
}
