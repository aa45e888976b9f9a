//! How secrets are stored: passwords as keyed hashes, tokens that must be readable again sealed,
//! both with keys derived from one server secret.
//!
//! Webhook passwords are machine credentials that are checked with every report, so a fast keyed
//! hash is used; a slow password hash would let callers with wrong passwords exhaust the
//! processors.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::sealed::{SealedSecret, Unsealable};
use crate::{ChannelId, Recipient};

type HmacSha256 = Hmac<Sha256>;

/// The secret that replicas share (`RECEIPTD_SECRET_KEY`), and the keys derived from it.
#[derive(Clone)]
pub struct ServerSecret {
    hash_key: Zeroizing<[u8; 32]>,
    seal_key: Zeroizing<[u8; 32]>,
    recipient_key: Zeroizing<[u8; 32]>,
    body_key: Zeroizing<[u8; 32]>,
    key_id: KeyId,
}

/// The server secret is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server secret has at least 32 characters")]
pub struct ShortServerSecret;

/// Identifies a key without revealing it. A credential hashed with another key can never match, and
/// operators are told why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub u32);

impl ServerSecret {
    /// Derives the keys from the configured text.
    pub fn parse(text: &str) -> Result<Self, ShortServerSecret> {
        if text.chars().nth(31).is_none() {
            return Err(ShortServerSecret);
        }
        let root = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(text.as_bytes())));
        let [a, b, c, d, ..] = mac(&root, &[b"receiptd key id"]);
        Ok(Self {
            hash_key: Zeroizing::new(mac(&root, &[b"receiptd credential hash"])),
            seal_key: Zeroizing::new(mac(&root, &[b"receiptd seal"])),
            recipient_key: Zeroizing::new(mac(&root, &[b"receiptd recipient hash"])),
            body_key: Zeroizing::new(mac(&root, &[b"receiptd body hash"])),
            key_id: KeyId(u32::from_be_bytes([a, b, c, d])),
        })
    }

    /// Returns the id of the key.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Returns the hash of a credential. It is bound to the channel, so that a row copied to
    /// another channel is not valid there.
    #[must_use]
    pub fn credential_hash(
        &self,
        channel: &ChannelId,
        user: &[u8],
        password: &[u8],
    ) -> CredentialHash {
        CredentialHash(mac(
            &self.hash_key,
            &[channel.as_str().as_bytes(), user, password],
        ))
    }

    /// Returns the hash of a recipient, the same for all forms of its address.
    #[must_use]
    pub fn recipient_hash(&self, recipient: &Recipient) -> RecipientHash {
        let key = recipient.key();
        let (kind, name): (&[u8], _) = match &key {
            Some(key) => (b"key", key.as_str()),
            None => (b"address", recipient.exactly().unwrap_or_default()),
        };
        let hash = mac(&self.recipient_key, &[kind, name.as_bytes()]);
        RecipientHash(i64::from_be_bytes(
            hash.first_chunk().copied().unwrap_or_default(),
        ))
    }

    /// Returns the hash of the body of a request of a channel. It is keyed, so that it does not
    /// confirm a guess of what the body contains.
    #[must_use]
    pub fn body_hash(&self, channel: &ChannelId, body: &[u8]) -> [u8; 32] {
        mac(&self.body_key, &[channel.as_str().as_bytes(), body])
    }

    /// Seals a text that must be readable again. It opens with the same `context` only. `nonce`
    /// must be random.
    #[must_use]
    pub fn seal(&self, text: &str, context: &str, nonce: [u8; 24]) -> SealedSecret {
        self.seal_bytes(text.as_bytes(), context, nonce)
    }

    /// Seals bytes that must be readable again, like [`ServerSecret::seal`].
    #[must_use]
    pub fn seal_bytes(&self, bytes: &[u8], context: &str, nonce: [u8; 24]) -> SealedSecret {
        let cipher = XChaCha20Poly1305::new((&*self.seal_key).into());
        let payload = Payload {
            msg: bytes,
            aad: &self.bound_to(context),
        };
        // Fails only for more than 256 GiB; the stored value then never opens.
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .unwrap_or_default();
        SealedSecret([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`ServerSecret::seal`] sealed.
    pub fn open(
        &self,
        sealed: &SealedSecret,
        context: &str,
    ) -> Result<Zeroizing<String>, Unsealable> {
        let mut opened = self.open_bytes(sealed, context)?;
        String::from_utf8(std::mem::take(&mut *opened))
            .map(Zeroizing::new)
            .map_err(|_| Unsealable)
    }

    /// Opens what [`ServerSecret::seal_bytes`] sealed.
    pub fn open_bytes(
        &self,
        sealed: &SealedSecret,
        context: &str,
    ) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let (nonce, sealed) = sealed.0.split_first_chunk::<24>().ok_or(Unsealable)?;
        let cipher = XChaCha20Poly1305::new((&*self.seal_key).into());
        let payload = Payload {
            msg: sealed,
            aad: &self.bound_to(context),
        };
        let opened = cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| Unsealable)?;
        Ok(Zeroizing::new(opened))
    }

    fn bound_to(&self, context: &str) -> Vec<u8> {
        [&self.key_id.0.to_be_bytes(), context.as_bytes()].concat()
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerSecret({:08x})", self.key_id.0)
    }
}

/// The keyed hash of a recipient. Recipients may share one: it narrows a search, and the addresses
/// of what it finds decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipientHash(pub i64);

/// The keyed hash of a credential, compared in constant time.
#[derive(Clone, Copy)]
pub struct CredentialHash(pub [u8; 32]);

impl PartialEq for CredentialHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CredentialHash {}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash(***)")
    }
}

/// HMAC-SHA-256 over the parts, each preceded by its length, so that different lists of parts never
/// have the same input.
fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = HmacSha256::new_from_slice(key).expect("32 bytes are a key");
    for part in parts {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> ServerSecret {
        ServerSecret::parse(&text.repeat(32)).unwrap()
    }

    fn channel(id: &str) -> ChannelId {
        ChannelId::parse(id).unwrap()
    }

    #[test]
    fn a_hash_depends_on_key_channel_user_and_password() {
        let same = secret("a").credential_hash(&channel("1"), b"user", b"password");
        assert_eq!(
            same,
            secret("a").credential_hash(&channel("1"), b"user", b"password")
        );
        assert_ne!(
            same,
            secret("b").credential_hash(&channel("1"), b"user", b"password")
        );
        assert_ne!(
            same,
            secret("a").credential_hash(&channel("2"), b"user", b"password")
        );
        assert_ne!(
            same,
            secret("a").credential_hash(&channel("1"), b"userp", b"assword")
        );
    }

    #[test]
    fn a_sealed_text_opens_with_its_key_and_context_only() {
        let sealed = secret("a").seal("token", "channel/1", [7; 24]);
        assert_eq!(
            secret("a").open(&sealed, "channel/1").unwrap().as_str(),
            "token"
        );
        assert_eq!(secret("a").open(&sealed, "channel/2"), Err(Unsealable));
        assert_eq!(secret("b").open(&sealed, "channel/1"), Err(Unsealable));
        assert_eq!(
            secret("a").open(&SealedSecret(vec![1; 10]), "channel/1"),
            Err(Unsealable)
        );
    }

    #[test]
    fn sealed_bytes_open_and_texts_do_only_if_they_are_utf8() {
        let sealed = secret("a").seal_bytes(&[0xff, 0], "x", [7; 24]);
        assert_eq!(secret("a").open_bytes(&sealed, "x").unwrap()[..], [0xff, 0]);
        assert_eq!(secret("a").open_bytes(&sealed, "y"), Err(Unsealable));
        assert_eq!(secret("a").open(&sealed, "x"), Err(Unsealable));
    }

    #[test]
    fn hash_of_a_body_depends_on_key_and_channel() {
        let hash = secret("a").body_hash(&channel("1"), b"body");
        assert_eq!(hash, secret("a").body_hash(&channel("1"), b"body"));
        assert_ne!(hash, secret("a").body_hash(&channel("1"), b"bodY"));
        assert_ne!(hash, secret("a").body_hash(&channel("2"), b"body"));
        assert_ne!(hash, secret("b").body_hash(&channel("1"), b"body"));
    }

    #[test]
    fn debug_output_hides_secrets() {
        let shown = format!("{:?}", secret("a").seal("token", "x", [7; 24]));
        assert_eq!(shown, "SealedSecret(***)");
        assert_eq!(ServerSecret::parse("short").unwrap_err(), ShortServerSecret);
    }
}
