//! Twilio: Basic authorization, optionally a signature, a form with one report.
//!
//! Twilio sends every report twice: first without credentials, and again with
//! them once it was answered 401 with a challenge. What a report looks like
//! stands in [`form`], where it is sent to in [`callback_url`].

pub mod basic;
pub mod callback_url;
pub mod evidence;
pub mod form;
pub mod signature;

use domain::credential::LIVE_CREDENTIALS_MAX;
use domain::rejection::MaskedFields;
use domain::secret::CredentialHash;
use domain::{ChannelId, CredentialId, IntegratorName, PublicUrl};
use ports::integrator::{
    AuthContext, AuthResult, Headers, Integrator, ParseResult, SignatureMismatch, SignedRequest,
    report_path,
};

use basic::Authorization;
use callback_url::CallbackUrl;

/// What Twilio reads from the URL and does not send: five retries, on a failed
/// connection, a read time-out and a 5xx. Without it there is one retry, on a
/// failed connection alone.
const TRY_HARD: &str = "#rc=5&rp=ct,rt,5xx";

/// Twilio as an integrator.
#[derive(Debug)]
pub struct Twilio {
    name: IntegratorName,
}

impl Twilio {
    /// Twilio needs no settings: what differs stands on each channel.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the name is a constant, and tested"
    )]
    pub fn new() -> Self {
        let name = IntegratorName::parse("twilio").expect("twilio is an integrator's name");
        Self { name }
    }
}

impl Default for Twilio {
    fn default() -> Self {
        Self::new()
    }
}

impl Integrator for Twilio {
    fn name(&self) -> &IntegratorName {
        &self.name
    }

    fn path_word(&self) -> &'static str {
        "report"
    }

    fn media_type(&self) -> &'static str {
        "application/x-www-form-urlencoded"
    }

    fn challenge(&self) -> &'static str {
        r#"Basic realm="receiptd", charset="UTF-8""#
    }

    fn authenticate(&self, headers: &dyn Headers, door: AuthContext<'_>) -> AuthResult {
        match basic::parse(headers.get("Authorization")) {
            Authorization::Absent => AuthResult::Challenge,
            Authorization::Malformed => AuthResult::Denied,
            Authorization::Basic(shown) => {
                let (user, password) = (shown.user().as_bytes(), shown.password().as_bytes());
                let hash = door.secret.credential_hash(door.channel, user, password);
                matching(hash, door.credentials)
                    .map_or(AuthResult::Denied, AuthResult::Authenticated)
            }
        }
    }

    fn verify_signature(
        &self,
        headers: &dyn Headers,
        body: &[u8],
        request: SignedRequest<'_>,
    ) -> Result<(), SignatureMismatch> {
        let signature = headers
            .get("X-Twilio-Signature")
            .filter(|value| !value.trim_ascii().is_empty());
        let presented = match basic::parse(headers.get("Authorization")) {
            Authorization::Basic(presented) => Some(presented),
            Authorization::Absent | Authorization::Malformed => None,
        };
        match signature {
            Some(signature) if signature::verify(signature, body, request, presented.as_ref()) => {
                Ok(())
            }
            signature => Err(SignatureMismatch {
                signed: signature.is_some(),
                expected_url: CallbackUrl::new(request.public_url, request.path)
                    .with_query_of_request(request.query)
                    .without_credentials(),
            }),
        }
    }

    fn read(&self, headers: &dyn Headers, body: &[u8]) -> ParseResult {
        form::read(body, idempotency_token(headers))
    }

    fn redacted_fields(&self, body: &[u8]) -> MaskedFields {
        evidence::masked(body)
    }

    fn callback_url(
        &self,
        base: &PublicUrl,
        channel: &ChannelId,
        credentials: Option<(&str, &str)>,
    ) -> String {
        let path = report_path(self, channel);
        let url = CallbackUrl::new(base, &path);
        let url = match credentials {
            Some((user, password)) => url.with_credentials(user, password),
            None => url.without_credentials(),
        };
        url + TRY_HARD
    }
}

/// The credential that has this hash. It compares as often for a channel that
/// does not exist as for one with all the credentials it may have.
fn matching(
    hash: CredentialHash,
    credentials: &[(CredentialId, CredentialHash)],
) -> Option<CredentialId> {
    let nobody = (None, CredentialHash([0; 32]));
    let known = credentials.iter().map(|(id, kept)| (Some(*id), *kept));
    let slots = credentials.len().max(LIVE_CREDENTIALS_MAX);
    let mut matching = None;
    for (id, kept) in known.chain(std::iter::repeat(nobody)).take(slots) {
        if hash == kept {
            matching = matching.or(id);
        }
    }
    matching
}

/// Evidence, so kept as it came; but what a store cannot hold is left out.
fn idempotency_token(headers: &dyn Headers) -> Option<String> {
    let token = headers.get("I-Twilio-Idempotency-Token")?;
    let mut token = String::from_utf8_lossy(token).trim().to_owned();
    token.retain(|character| !character.is_control());
    if let Some((end, _)) = token.char_indices().nth(128) {
        token.truncate(end);
    }
    Some(token).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests;
