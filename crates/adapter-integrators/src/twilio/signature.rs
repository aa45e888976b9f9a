//! `X-Twilio-Signature`: HMAC-SHA1 over the callback URL and the fields.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ports::integrator::{SignedRequest, UserAndPassword};
use sha1::Sha1;

use super::form;
use crate::callback_url::CallbackUrl;

/// Checks `signature` against the channel's token, the body and every form of the channel's URL.
/// `presented` are the caller's credentials: Twilio may have signed a URL that contains them.
#[must_use]
pub fn verify(
    signature: &[u8],
    body: &[u8],
    request: SignedRequest<'_>,
    presented: Option<&UserAndPassword>,
) -> bool {
    let Ok(signature) = STANDARD.decode(signature.trim_ascii()) else {
        return false;
    };
    let signed = SignedContent::new(request.token, body);
    CallbackUrl::new(request.public_url, request.path)
        .with_query_of_request(request.query)
        .variants(presented)
        .iter()
        // `verify_slice` compares in constant time.
        .any(|url| signed.mac_for(url).verify_slice(&signature).is_ok())
}

/// Returns the signature of a request for the channel's URL without credentials.
#[must_use]
pub fn sign(body: &[u8], request: SignedRequest<'_>) -> String {
    let url = CallbackUrl::new(request.public_url, request.path)
        .with_query_of_request(request.query)
        .without_credentials();
    let signed = SignedContent::new(request.token, body);
    STANDARD.encode(signed.mac_for(&url).finalize().into_bytes())
}

/// The signed content except the URL.
struct SignedContent {
    keyed: Hmac<Sha1>,
    fields: Vec<u8>,
}

impl SignedContent {
    /// Concatenates names and values, sorted by name. A repeated name occurs once per distinct
    /// value.
    fn new(token: &str, body: &[u8]) -> Self {
        let mut fields: Vec<_> = form::fields(body).collect();
        fields.sort();
        fields.dedup();
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let keyed = Hmac::new_from_slice(token.as_bytes()).expect("any bytes are a key");
        let names_and_values = fields.iter().flat_map(|(name, value)| [name, value]);
        Self {
            keyed,
            fields: names_and_values
                .flat_map(|text| text.iter().copied())
                .collect(),
        }
    }

    fn mac_for(&self, url: &str) -> Hmac<Sha1> {
        let mut mac = self.keyed.clone();
        mac.update(url.as_bytes());
        mac.update(&self.fields);
        mac
    }
}
