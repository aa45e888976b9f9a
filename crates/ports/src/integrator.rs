//! The interface to the companies that send reports: how a caller authenticates, and how its
//! requests become reports. Pure functions; each integrator is a folder in `adapter-integrators`.
//!
//! A request passes [`Integrator::authenticate`] with its head alone, so that a caller without
//! credentials costs little; then, with the body, [`Integrator::verify_signature`] and
//! [`Integrator::parse`]. A body may hold many reports: each is judged alone, and an invalid one
//! never costs its neighbours.
//!
//! An integrator that sends no credentials signs the body instead: then
//! [`Integrator::authenticate`] checks that the head has a signature, and
//! [`Integrator::body_is_signed`] authenticates the caller.

use std::fmt;

use domain::crypto::{CredentialHash, ServerSecret, SigningTokens};
use domain::rejection::MaskedFields;
use domain::{Address, ChannelId, CredentialId, IntegratorName, MessageSid, PublicUrl};

pub use endpoint::{AnswerPolicy, Endpoint, EndpointScope, endpoint, endpoint_path, report_path};
pub use parsed::{
    CallbackFailure, InvalidElement, MAX_INVALID_ELEMENTS, ParseError, ParsedBody, ParsedReport,
    ValidationError, ValidationErrorKind,
};

mod endpoint;
mod parsed;

/// The header lines of a request.
pub trait Headers {
    /// Returns the value of the first line of this name, ignoring case.
    fn get(&self, name: &str) -> Option<&[u8]>;

    /// Returns the value of the only line of this name; `None` if there is none, or several. This
    /// implementation is for headers in which no name is repeated.
    fn get_only(&self, name: &str) -> Option<&[u8]> {
        self.get(name)
    }
}

/// What a caller is authenticated against.
#[derive(Clone, Copy, Debug)]
pub struct AuthContext<'a> {
    /// The channel id of the request.
    pub channel: &'a ChannelId,
    /// The live credentials of the channel; empty if there is no such channel with this integrator.
    /// Authentication must take the same time then.
    pub credentials: &'a [(CredentialId, CredentialHash)],
    /// Computes the hash to compare.
    pub secret: &'a ServerSecret,
}

/// The user and password that a caller presented. The user contains no colon; the password may
/// contain any character.
#[derive(Clone, PartialEq, Eq)]
pub struct UserAndPassword {
    pair: String,
    colon: usize,
}

impl UserAndPassword {
    /// Splits a text at its first colon; `None` if it has none.
    #[must_use]
    pub fn new(pair: String) -> Option<Self> {
        let colon = pair.find(':')?;
        Some(Self { pair, colon })
    }

    /// Returns the part before the first colon.
    #[must_use]
    pub fn user(&self) -> &str {
        self.pair.get(..self.colon).unwrap_or_default()
    }

    /// Returns the part after the first colon. Never log it.
    #[must_use]
    pub fn password(&self) -> &str {
        self.pair.get(self.colon + 1..).unwrap_or_default()
    }
}

impl fmt::Debug for UserAndPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserAndPassword(***)")
    }
}

/// The result of authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthResult {
    /// The caller sent this credential.
    Authenticated {
        /// The credential.
        credential: CredentialId,
        /// What the caller presented, if the integrator's signatures need it.
        presented: Option<UserAndPassword>,
    },
    /// The caller sent no credentials and should be challenged. Half of all valid requests begin
    /// like this; it is no attack.
    Challenge,
    /// The caller sent no credentials, and never sends them later: the integrator is configured
    /// without them. Answered like [`Denied`](Self::Denied).
    Missing,
    /// The head has a signature of the body, which authenticates the caller:
    /// [`Integrator::body_is_signed`] verifies it.
    SignedBody,
    /// The caller sent wrong credentials.
    Denied,
}

/// A request with which an integrator verified that the callback URL leads to this service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedUrl {
    /// The credential that it sent.
    pub credential: CredentialId,
    /// The text of the answer, printable ASCII without markup.
    pub answer: String,
}

/// What the credential of a channel consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialShape {
    /// A user and a password.
    UserAndPassword,
    /// A password alone, sent in a header. The user of the credential is a name for operators.
    Key,
}

impl CredentialShape {
    /// Returns the user that the hash of a credential is made with.
    #[must_use]
    pub const fn hashed_user(self, user: &str) -> &str {
        match self {
            Self::UserAndPassword => user,
            Self::Key => "",
        }
    }
}

/// What a signature is verified against.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The URL of the channel as configured by an operator: a base, or the whole callback URL.
    pub public_url: &'a PublicUrl,
    /// The path of the endpoint, like `/social/on/whatsapp/twilio/report/1`.
    pub path: &'a str,
    /// The query of the request, without its question mark.
    pub query: Option<&'a str>,
    /// The signing tokens in the clear.
    pub tokens: &'a SigningTokens,
}

/// The request has no signature, or one made with another token or for another URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureMismatch {
    /// Whether there was a signature.
    pub signed: bool,
    /// The URL that was expected, credentials removed; for the log only.
    pub expected_url: String,
}

/// What a test request reports.
#[derive(Clone, Copy, Debug)]
pub struct TestReport<'a> {
    /// The id of the message.
    pub sid: &'a MessageSid,
    /// The sender, which the channel allows.
    pub sender: &'a Address,
    /// The recipient.
    pub recipient: &'a Address,
}

/// A request as the integrator sends it, without its URL. The method is POST.
#[derive(Clone, PartialEq, Eq)]
pub struct TestRequest {
    /// The header lines without credentials.
    pub headers: Vec<(&'static str, String)>,
    /// The header lines that authenticate the request; they are sent after a challenge.
    pub authorization: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl fmt::Debug for TestRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestRequest(***)")
    }
}

/// A company that sends reports.
pub trait Integrator: Send + Sync {
    /// Returns its name in the report path.
    fn name(&self) -> &IntegratorName;

    /// Returns the endpoint that it is configured with to report on a channel.
    fn report_endpoint(&self) -> &Endpoint;

    /// Returns further endpoints.
    fn other_endpoints(&self) -> &[Endpoint] {
        &[]
    }

    /// Returns what a credential consists of.
    fn credential_shape(&self) -> CredentialShape;

    /// Returns the value of `WWW-Authenticate` for every 401: the challenge that it answers, or a
    /// neutral one if it sends its credentials unasked.
    fn challenge(&self) -> &'static str;

    /// Authenticates a caller by the head of its request. Takes the same time whether the channel,
    /// the user or the password is wrong.
    fn authenticate(&self, headers: &dyn Headers, context: AuthContext<'_>) -> AuthResult;

    /// Verifies the signature of a request of an authenticated caller, which presented these
    /// credentials. Called only for channels that require one; an integrator that signs nothing
    /// has no such channels.
    fn verify_signature(
        &self,
        headers: &dyn Headers,
        body: &[u8],
        request: SignedRequest<'_>,
        presented: Option<&UserAndPassword>,
    ) -> Result<(), SignatureMismatch>;

    /// Returns whether it signs its requests.
    fn signatures(&self) -> Signatures;

    /// Returns whether the head of a request has a signature of these bytes with one of the tokens.
    /// Called after [`AuthResult::SignedBody`]. Takes the same time whether there is a token or
    /// not.
    fn body_is_signed(
        &self,
        _headers: &dyn Headers,
        _body: &[u8],
        _tokens: &SigningTokens,
    ) -> bool {
        false
    }

    /// Answers a GET request with which it verifies the callback URL; `None` refuses it. Takes the
    /// same time whether the channel or the token in the query is wrong.
    fn verify_url(&self, _query: &str, _context: AuthContext<'_>) -> Option<VerifiedUrl> {
        None
    }

    /// Parses a body that was sent to one of its endpoints.
    fn parse(
        &self,
        endpoint: &Endpoint,
        headers: &dyn Headers,
        body: &[u8],
    ) -> Result<ParsedBody, ParseError>;

    /// Returns the fields of a refused element of a body, or of the whole body, with personal data
    /// masked.
    fn redacted_fields(
        &self,
        endpoint: &Endpoint,
        body: &[u8],
        element: Option<usize>,
    ) -> MaskedFields;

    /// Returns the URL to paste into the integrator's console: `base` (or the callback URL itself)
    /// with the report path of the channel, the parameters that enable the integrator's retries,
    /// and the credentials, escaped, if given.
    fn callback_url(
        &self,
        base: &PublicUrl,
        channel: &ChannelId,
        credentials: Option<(&str, &str)>,
    ) -> String;

    /// Returns the request with which the integrator reports that a message was delivered. `signed`
    /// is given if the channel requires a signature.
    fn test_request(
        &self,
        report: TestReport<'_>,
        credentials: (&str, &str),
        signed: Option<SignedRequest<'_>>,
    ) -> TestRequest;

    /// Returns the names of the header lines that are forwarded with a request that holds something
    /// else than reports, besides its media type: signatures, never credentials. `None` if all its
    /// requests are reports.
    fn forwarded_headers(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// Returns what an operator does at the integrator so that its reports arrive, step by step.
    fn setup_steps(&self) -> &'static [&'static str];
}

/// Whether an integrator signs its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatures {
    /// Never.
    Never,
    /// As a second factor, if the channel has a signing token.
    Optional,
    /// Always; a channel needs a signing token.
    Always,
}
