//! The admin token, which opens the API and the metrics.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The SHA-256 of the token that opens the operator's listener.
#[derive(Clone, Copy)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// Hashes `token`.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self::from_sha256(Sha256::digest(token).into())
    }

    /// Takes the hash of a token.
    #[must_use]
    pub const fn from_sha256(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Compares `token` with this one, in constant time.
    #[must_use]
    pub fn is(&self, token: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.0.ct_eq(&hash).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_compared_by_its_hash() {
        let token = AdminToken::new("token");
        assert!(token.is(b"token"));
        assert!(!token.is(b"Token"));
        assert_eq!(format!("{token:?}"), "AdminToken(***)");
    }
}
