//! `X-Twilio-Signature`: an HMAC over the callback URL and the fields. Its key is the account's
//! auth token, or the shared key that `X-Twilio-Webhooks-Signature-Settings` names.
//!
//! A body that is no form is not signed itself: its hash is in the query of the URL.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::crypto::SigningTokens;
use hmac::{Hmac, KeyInit, Mac};
use ports::integrator::{Headers, SignedRequest, UserAndPassword};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::form;
use crate::callback_url::CallbackUrl;

/// The header with the signature.
pub(super) const HEADER: &str = "X-Twilio-Signature";

/// The header that names the shared key and the algorithm, as `key=ID,algorithm=NAME`.
const SETTINGS_HEADER: &str = "X-Twilio-Webhooks-Signature-Settings";

/// What a request is signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    key_id: Option<String>,
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Sha256,
}

impl Signer {
    /// The account's auth token, with HMAC-SHA1.
    pub const AUTH_TOKEN: Self = Self {
        key_id: None,
        algorithm: Algorithm::Sha1,
    };

    /// Returns what the head of a request names; `None` if that is malformed, repeated, or an
    /// algorithm that Twilio does not use.
    #[must_use]
    pub fn of(headers: &dyn Headers) -> Option<Self> {
        if headers.get(SETTINGS_HEADER).is_none() {
            return Some(Self::AUTH_TOKEN);
        }
        Self::parse(headers.get_only(SETTINGS_HEADER)?)
    }

    /// Parses the value of the settings header: both settings, each once, in any order.
    fn parse(settings: &[u8]) -> Option<Self> {
        let (mut key_id, mut algorithm) = (None, None);
        for setting in std::str::from_utf8(settings).ok()?.split(',') {
            let (name, value) = setting.trim().split_once('=')?;
            let slot = match name {
                "key" => &mut key_id,
                "algorithm" => &mut algorithm,
                _ => return None,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        Some(Self {
            key_id: Some(key_id.filter(|id| !id.is_empty())?.to_owned()),
            algorithm: match algorithm? {
                "HMAC_SHA256" => Algorithm::Sha256,
                "HMAC_SHA1" => Algorithm::Sha1,
                _ => return None,
            },
        })
    }

    fn secrets<'a>(&'a self, tokens: &'a SigningTokens) -> impl Iterator<Item = &'a str> {
        tokens.of_key(self.key_id.as_deref())
    }
}

/// Checks `signature` against the channel's tokens, the body and every form of the channel's URL.
/// `presented` are the caller's credentials: Twilio may have signed a URL that contains them.
#[must_use]
pub fn verify(
    signature: &[u8],
    signer: &Signer,
    body: &[u8],
    request: SignedRequest<'_>,
    presented: Option<&UserAndPassword>,
) -> bool {
    let Ok(signature) = STANDARD.decode(signature.trim_ascii()) else {
        return false;
    };
    let url = CallbackUrl::new(request.public_url, request.path);
    let (url, fields) = match body_hash(request.query) {
        Some(hash) if !is_hash_of(hash, body) => return false,
        Some(_) => (url.with_query(request.query), Vec::new()),
        None => (
            url.with_query_of_request(request.query),
            signed_fields(body),
        ),
    };
    let urls = url.variants(presented);
    signer
        .secrets(request.tokens)
        .any(|secret| match signer.algorithm {
            Algorithm::Sha1 => any_matches::<Hmac<Sha1>>(secret, &urls, &fields, &signature),
            Algorithm::Sha256 => any_matches::<Hmac<Sha256>>(secret, &urls, &fields, &signature),
        })
}

/// Returns the header lines with the signature of a request for the channel's URL without
/// credentials, made with the channel's first token; none without a token.
#[must_use]
pub fn sign(body: &[u8], request: SignedRequest<'_>) -> Vec<(&'static str, String)> {
    let url = CallbackUrl::new(request.public_url, request.path)
        .with_query_of_request(request.query)
        .without_credentials();
    let fields = signed_fields(body);
    match request.tokens.iter().next() {
        None => Vec::new(),
        Some((None, token)) => {
            vec![(HEADER, encoded::<Hmac<Sha1>>(token, &url, &fields))]
        }
        Some((Some(key_id), key)) => {
            let settings = format!("key={key_id},algorithm=HMAC_SHA256");
            vec![
                (HEADER, encoded::<Hmac<Sha256>>(key, &url, &fields)),
                (SETTINGS_HEADER, settings),
            ]
        }
    }
}

/// Returns the hash of the body that the query names, and which is therefore signed.
fn body_hash(query: Option<&str>) -> Option<&str> {
    let mut parameters = query?.split('&');
    parameters.find_map(|parameter| parameter.strip_prefix("bodySHA256="))
}

fn is_hash_of(hash: &str, body: &[u8]) -> bool {
    let computed = Sha256::digest(body);
    let mut computed = computed.iter().map(|byte| format!("{byte:02x}"));
    let mut digits = hash.as_bytes().chunks(2);
    let is_equal = digits.all(|two| {
        computed
            .next()
            .is_some_and(|byte| two.eq_ignore_ascii_case(byte.as_bytes()))
    });
    is_equal && computed.next().is_none()
}

/// Concatenates names and values, sorted by name. A repeated name occurs once per distinct value.
fn signed_fields(body: &[u8]) -> Vec<u8> {
    let mut fields: Vec<_> = form::fields(body).collect();
    fields.sort();
    fields.dedup();
    let names_and_values = fields.iter().flat_map(|(name, value)| [name, value]);
    names_and_values
        .flat_map(|text| text.iter().copied())
        .collect()
}

fn any_matches<M: Mac + KeyInit + Clone>(
    secret: &str,
    urls: &[String],
    fields: &[u8],
    signature: &[u8],
) -> bool {
    let keyed = keyed::<M>(secret);
    urls.iter().any(|url| {
        let mac = keyed.clone().chain_update(url).chain_update(fields);
        // Compares in constant time.
        mac.verify_slice(signature).is_ok()
    })
}

fn encoded<M: Mac + KeyInit>(secret: &str, url: &str, fields: &[u8]) -> String {
    let mac = keyed::<M>(secret).chain_update(url).chain_update(fields);
    STANDARD.encode(mac.finalize().into_bytes())
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn keyed<M: Mac + KeyInit>(secret: &str) -> M {
    <M as KeyInit>::new_from_slice(secret.as_bytes()).expect("any bytes are a key")
}
