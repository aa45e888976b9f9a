//! Twilio: Basic authentication, an optional signature, and a form with one report.
//!
//! Twilio sends every report twice: first without credentials, and again with credentials after
//! a 401 with a challenge. [`form`] parses a report; [`callback_url`] builds the URL that Twilio
//! is configured with.

pub mod basic;
pub mod callback_url;
pub mod form;
pub mod redacted_fields;
pub mod signature;
mod test_request;

use domain::credential::LIVE_CREDENTIALS_MAX;
use domain::crypto::CredentialHash;
use domain::rejection::MaskedFields;
use domain::{ChannelId, CredentialId, IntegratorName, PublicUrl};
use ports::integrator::{
    AuthContext, AuthResult, Headers, Integrator, ParseResult, SignatureMismatch, SignedRequest,
    TestReport, TestRequest, UserAndPassword, report_path,
};

use basic::Authorization;
use callback_url::CallbackUrl;

/// The URL fragment that configures Twilio's retries and is not sent: five retries after a failed
/// connection, a read timeout or a 5xx. By default there is one retry, after a failed connection
/// only.
const RETRY_OVERRIDES: &str = "#rc=5&rp=ct,rt,5xx";

/// The Twilio integrator.
#[derive(Debug)]
pub struct Twilio {
    name: IntegratorName,
}

impl Twilio {
    /// Creates the integrator; all settings belong to the channels.
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

    fn authenticate(&self, headers: &dyn Headers, context: AuthContext<'_>) -> AuthResult {
        match basic::parse(headers.get("Authorization")) {
            Authorization::Absent => AuthResult::Challenge,
            Authorization::Malformed => AuthResult::Denied,
            Authorization::Basic(presented) => {
                let (user, password) =
                    (presented.user().as_bytes(), presented.password().as_bytes());
                let hash = context
                    .secret
                    .credential_hash(context.channel, user, password);
                match matching(hash, context.credentials) {
                    Some(credential) => AuthResult::Authenticated {
                        credential,
                        presented: Some(presented),
                    },
                    None => AuthResult::Denied,
                }
            }
        }
    }

    fn verify_signature(
        &self,
        headers: &dyn Headers,
        body: &[u8],
        request: SignedRequest<'_>,
        presented: Option<&UserAndPassword>,
    ) -> Result<(), SignatureMismatch> {
        let signature = headers
            .get("X-Twilio-Signature")
            .filter(|value| !value.trim_ascii().is_empty());
        match signature {
            Some(signature) if signature::verify(signature, body, request, presented) => Ok(()),
            signature => Err(SignatureMismatch {
                signed: signature.is_some(),
                expected_url: CallbackUrl::new(request.public_url, request.path)
                    .with_query_of_request(request.query)
                    .without_credentials(),
            }),
        }
    }

    fn parse(&self, headers: &dyn Headers, body: &[u8]) -> ParseResult {
        form::parse(body, idempotency_token(headers))
    }

    fn redacted_fields(&self, body: &[u8]) -> MaskedFields {
        redacted_fields::masked(body)
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
        url + RETRY_OVERRIDES
    }

    fn test_request(
        &self,
        report: TestReport<'_>,
        credentials: (&str, &str),
        signed: Option<SignedRequest<'_>>,
    ) -> TestRequest {
        test_request::build(self.media_type(), report, credentials, signed)
    }
}

/// Returns the credential with this hash. The number of comparisons is the same for an unknown
/// channel as for one with the maximum number of credentials, so timing reveals neither.
fn matching(
    hash: CredentialHash,
    credentials: &[(CredentialId, CredentialHash)],
) -> Option<CredentialId> {
    let padding = (None, CredentialHash([0; 32]));
    let known = credentials.iter().map(|(id, known)| (Some(*id), *known));
    let slots = credentials.len().max(LIVE_CREDENTIALS_MAX);
    let mut matching = None;
    for (id, candidate) in known.chain(std::iter::repeat(padding)).take(slots) {
        if hash == candidate {
            matching = matching.or(id);
        }
    }
    matching
}

/// Returns the idempotency token, shortened to 128 characters and without control characters,
/// which the stores cannot hold.
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
