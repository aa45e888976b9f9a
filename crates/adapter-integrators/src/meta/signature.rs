//! `X-Hub-Signature-256`: HMAC-SHA256 of the exact bytes of the body, with the app secret.

use std::fmt::Write as _;

use domain::crypto::SigningTokens;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ports::integrator::Headers;
use sha2::Sha256;

/// The header with the signature.
pub(super) const HEADER: &str = "X-Hub-Signature-256";

const PREFIX: &[u8] = b"sha256=";

/// The least number of secrets that a signature is compared with, so that the time does not tell
/// whether a channel exists or how many it has.
const MIN_COMPARED: usize = 2;

/// Returns the signature in the head of a request; `None` if there is none, several, or a malformed
/// one.
pub(super) fn of(headers: &dyn Headers) -> Option<[u8; 32]> {
    let digits = headers.get_only(HEADER)?.strip_prefix(PREFIX)?;
    let mut signature = [0; 32];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != signature.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in signature.iter_mut().zip(pairs) {
        *byte = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(signature)
}

/// Returns whether a body was signed with one of the tokens.
pub(super) fn verify(signature: &[u8; 32], body: &[u8], tokens: &SigningTokens) -> bool {
    let secrets = tokens.iter().map(|(_, secret)| (secret, true));
    let compared = tokens.iter().count().max(MIN_COMPARED);
    let mut matches = false;
    for (secret, counts) in secrets.chain(std::iter::repeat(("", false))).take(compared) {
        // `verify_slice` compares in constant time.
        let is_equal = mac(secret, body).verify_slice(signature).is_ok();
        matches |= is_equal && counts;
    }
    matches
}

/// Returns the value of the header for a body, signed with the first token; `None` without one.
pub(super) fn sign(body: &[u8], tokens: &SigningTokens) -> Option<String> {
    let (_, secret) = tokens.iter().next()?;
    let signature = mac(secret, body).finalize().into_bytes();
    let mut value = "sha256=".to_owned();
    for byte in signature {
        // Writing into a `String` cannot fail.
        let _ = write!(value, "{byte:02x}");
    }
    Some(value)
}

fn mac(secret: &str, body: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any bytes are a key");
    mac.chain_update(body)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}
