//! Meta's Cloud API: a signature of the body with the app secret instead of credentials, a GET
//! request that verifies the URL, and the envelope that [`meta_envelope`] parses, repeated for days
//! until it is answered with success.

mod signature;
#[cfg(test)]
mod tests;

use domain::crypto::SigningTokens;
use domain::rejection::MaskedFields;
use domain::{ChannelId, IntegratorName, PublicUrl};
use ports::integrator::{
    AuthContext, AuthResult, CredentialShape, Endpoint, Headers, Integrator, ParseError,
    ParsedBody, SignatureMismatch, Signatures, SignedRequest, TestReport, TestRequest,
    UserAndPassword, VerifiedUrl,
};

use crate::credentials::{authenticate_by_key, matching};
use crate::json_integrator::{BATCHES, JsonIntegrator, SentCredentials};
use crate::meta_envelope;
use crate::twilio::form;

/// The header with the credential of a test of a channel, besides the signature.
const TEST_HEADER: &str = "X-Receiptd-Test";

/// How long a challenge may be; real ones are numbers of ten digits.
const MAX_CHALLENGE: usize = 128;

/// Meta as an integrator.
#[derive(Debug)]
pub struct Meta {
    /// What does not differ from the other integrators that send JSON.
    json: JsonIntegrator,
}

impl Meta {
    /// Creates the integrator; all settings belong to the channels.
    #[must_use]
    pub fn new() -> Self {
        Self {
            json: JsonIntegrator {
                name: crate::name("meta"),
                endpoint: Endpoint {
                    methods: &["GET", "HEAD", "POST"],
                    ..BATCHES
                },
                credentials: SentCredentials::Key(TEST_HEADER),
                parse: meta_envelope::parse_unchanged,
                element: meta_envelope::element,
                test_body: meta_envelope::test_body,
                forwarded_headers: Some(&[signature::HEADER, "X-Hub-Signature"]),
                setup_steps: &[
                    "Set the app secret of the Meta app (App settings, Basic) as the signing \
                     token of the channel. While it is replaced, set the old and the new one, \
                     separated by a space.",
                    "In the app, under WhatsApp, Configuration, set the callback URL, and the \
                     password as the verify token; Verify and save succeeds at once.",
                    "Subscribe to the field messages, which contains the statuses.",
                    "A Meta app has one callback URL, for incoming messages too. Set the forward URL \
                     of the channel to the URL that needs them: it receives such requests as \
                     they are, with Meta's signature. Without one they are acknowledged and \
                     dropped.",
                ],
            },
        }
    }
}

impl Default for Meta {
    fn default() -> Self {
        Self::new()
    }
}

impl Integrator for Meta {
    fn name(&self) -> &IntegratorName {
        self.json.name()
    }

    fn report_endpoint(&self) -> &Endpoint {
        self.json.report_endpoint()
    }

    fn credential_shape(&self) -> CredentialShape {
        CredentialShape::Key
    }

    fn challenge(&self) -> &'static str {
        self.json.challenge()
    }

    fn authenticate(&self, headers: &dyn Headers, context: AuthContext<'_>) -> AuthResult {
        if headers.get(TEST_HEADER).is_some() {
            return authenticate_by_key(headers, TEST_HEADER, context);
        }
        match headers.get(signature::HEADER) {
            None => AuthResult::Missing,
            Some(_) if signature::of(headers).is_some() => AuthResult::SignedBody,
            Some(_) => AuthResult::Denied,
        }
    }

    fn signatures(&self) -> Signatures {
        Signatures::Always
    }

    fn body_is_signed(&self, headers: &dyn Headers, body: &[u8], tokens: &SigningTokens) -> bool {
        signature::of(headers).is_some_and(|signature| signature::verify(&signature, body, tokens))
    }

    fn verify_url(&self, query: &str, context: AuthContext<'_>) -> Option<VerifiedUrl> {
        let token = parameter(query, "hub.verify_token").unwrap_or_default();
        let hash = context
            .secret
            .credential_hash(context.channel, b"", token.as_bytes());
        let credential = matching(hash, context.credentials)?;
        let is_subscription = parameter(query, "hub.mode")? == "subscribe";
        let challenge = parameter(query, "hub.challenge")?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=MAX_CHALLENGE).contains(&challenge.len());
        let is_answered = is_subscription && fits && challenge.bytes().all(is_plain);
        is_answered.then_some(VerifiedUrl {
            credential,
            answer: challenge,
        })
    }

    fn verify_signature(
        &self,
        headers: &dyn Headers,
        body: &[u8],
        request: SignedRequest<'_>,
        presented: Option<&UserAndPassword>,
    ) -> Result<(), SignatureMismatch> {
        if self.body_is_signed(headers, body, request.tokens) {
            return Ok(());
        }
        let signed = headers.get(signature::HEADER).is_some();
        let mismatch = self
            .json
            .verify_signature(headers, body, request, presented);
        mismatch.map_err(|mismatch| SignatureMismatch { signed, ..mismatch })
    }

    fn parse(
        &self,
        endpoint: &Endpoint,
        headers: &dyn Headers,
        body: &[u8],
    ) -> Result<ParsedBody, ParseError> {
        self.json.parse(endpoint, headers, body)
    }

    fn redacted_fields(
        &self,
        endpoint: &Endpoint,
        body: &[u8],
        element: Option<usize>,
    ) -> MaskedFields {
        self.json.redacted_fields(endpoint, body, element)
    }

    fn callback_url(
        &self,
        base: &PublicUrl,
        channel: &ChannelId,
        credentials: Option<(&str, &str)>,
    ) -> String {
        self.json.callback_url(base, channel, credentials)
    }

    fn test_request(
        &self,
        report: TestReport<'_>,
        credentials: (&str, &str),
        signed: Option<SignedRequest<'_>>,
    ) -> TestRequest {
        let mut request = self.json.test_request(report, credentials, None);
        let signature = signed.and_then(|signed| signature::sign(&request.body, signed.tokens));
        let line = signature.map(|signature| (signature::HEADER, signature));
        request.authorization.extend(line);
        request
    }

    fn forwarded_headers(&self) -> Option<&'static [&'static str]> {
        self.json.forwarded_headers()
    }

    fn setup_steps(&self) -> &'static [&'static str] {
        self.json.setup_steps()
    }
}

/// Returns the only parameter of this name; `None` if there is none, several, or no UTF-8.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut values = form::fields(query.as_bytes()).filter(|(each, _)| **each == *name.as_bytes());
    let (_, value) = values.next()?;
    let is_only = values.next().is_none();
    String::from_utf8(value.into_owned())
        .ok()
        .filter(|_| is_only)
}
