//! Sealed texts: encrypted with the server secret, and readable with it only.

use std::fmt;

/// A sealed text: nonce, then ciphertext.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub Vec<u8>);

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(***)")
    }
}

/// The sealed text was made with another key, for another context, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed secret does not open with this server secret")]
pub struct Unsealable;
