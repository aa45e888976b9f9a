//! Signatures of events.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Timestamp;
use crate::webhook::WebhookId;

/// The prefix of every secret, by which people and scanners recognise it.
const PREFIX: &str = "whsec_";

/// The secret shared with a subscriber. It signs events, so it is stored sealed and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

/// The text is not a signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is `whsec_` and then 24 to 64 bytes in padded base64")]
pub struct InvalidSigningSecret;

impl SigningSecret {
    /// Parses a secret.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSigningSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSigningSecret)?;
        let bytes = Zeroizing::new(bytes);
        if (24..=64).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(InvalidSigningSecret)
        }
    }

    /// Creates a secret from 32 random bytes.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Returns the secret for its subscriber. Never log it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(STANDARD.encode(self.0.as_slice()));
        Zeroizing::new([PREFIX, &encoded].concat())
    }

    /// Returns one signature: `v1,` and the HMAC-SHA-256 of id, time and body in base64.
    #[must_use]
    pub fn sign(&self, id: &WebhookId, at: Timestamp, body: &[u8]) -> String {
        let head = format!("{id}.{}.", at.unix_seconds());
        format!("v1,{}", STANDARD.encode(self.mac(&[head.as_bytes(), body])))
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any bytes are a key");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Display for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}***")
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

/// The live secrets of one subscription. During a rotation events are signed with both, so that the
/// subscriber can switch at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningSecrets {
    /// The new secret.
    pub current: SigningSecret,
    /// The previous secret, while it is live.
    pub previous: Option<SigningSecret>,
}

impl SigningSecrets {
    /// Returns the value of the header `webhook-signature`: one signature per live secret,
    /// separated by spaces.
    #[must_use]
    pub fn sign(&self, id: &WebhookId, at: Timestamp, body: &[u8]) -> String {
        let current = self.current.sign(id, at, body);
        match &self.previous {
            Some(previous) => format!("{current} {}", previous.sign(id, at, body)),
            None => current,
        }
    }
}

impl From<SigningSecret> for SigningSecrets {
    fn from(current: SigningSecret) -> Self {
        Self {
            current,
            previous: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    /// Returns the example of the Standard Webhooks specification.
    fn example() -> (WebhookId, Timestamp, &'static [u8]) {
        (
            WebhookId::parse("msg_p5jXN8AQM9LWM0D4loKWxJek").unwrap(),
            Timestamp::from_unix_micros(1_614_265_330_999_999).unwrap(),
            br#"{"test": 2432232314}"#,
        )
    }

    #[test]
    fn the_example_of_the_convention_is_signed_as_it_says() {
        let (id, at, body) = example();
        let secret = SigningSecret::parse(SECRET).unwrap();
        assert_eq!(secret.sign(&id, at, body), SIGNATURE);
    }

    #[test]
    fn two_live_secrets_sign_both() {
        let (id, at, body) = example();
        let new = SigningSecret::from_random(&[7; 32]);
        let secrets = SigningSecrets {
            current: new.clone(),
            previous: Some(SigningSecret::parse(SECRET).unwrap()),
        };
        let both = format!("{} {SIGNATURE}", new.sign(&id, at, body));
        assert_eq!(secrets.sign(&id, at, body), both);
        let one = SigningSecrets::from(new.clone());
        assert_eq!(one.sign(&id, at, body), new.sign(&id, at, body));
    }

    #[test]
    fn a_secret_reads_back_as_it_is_written() {
        for secret in [
            SigningSecret::from_random(&[255; 32]),
            SigningSecret::parse(SECRET).unwrap(),
        ] {
            assert_eq!(SigningSecret::parse(&secret.reveal()), Ok(secret));
        }
    }

    #[test]
    fn debug_output_hides_the_signing_secret() {
        let secret = SigningSecret::parse(SECRET).unwrap();
        assert_eq!(secret.to_string(), "whsec_***");
        let shown = format!("{:?}", SigningSecrets::from(secret));
        assert!(!shown.contains("MfKQ"), "{shown}");
    }

    #[rstest]
    #[case("")]
    #[case("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    #[case("whsec_")]
    #[case("whsec_not base64 at all, and long enough")]
    #[case(&format!("whsec_{}", STANDARD.encode([1; 23])))]
    #[case(&format!("whsec_{}", STANDARD.encode([1; 65])))]
    #[case("whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ")]
    #[case("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")]
    fn invalid_signing_secrets_are_refused(#[case] text: &str) {
        assert_eq!(SigningSecret::parse(text), Err(InvalidSigningSecret));
    }
}
