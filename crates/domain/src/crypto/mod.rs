//! Secrets: keyed hashes of passwords, sealed tokens, and signatures of events.

mod sealed;
mod secret;
mod signature;
mod signing_tokens;

pub use sealed::{SealedSecret, Unsealable};
pub use secret::{CredentialHash, KeyId, RecipientHash, ServerSecret, ShortServerSecret};
pub use signature::{InvalidSigningSecret, SigningSecret, SigningSecrets};
pub use signing_tokens::{InvalidSigningTokens, SigningTokens};
