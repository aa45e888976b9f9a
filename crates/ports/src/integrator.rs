//! The interface to the companies that send reports: how a caller authenticates, and how its
//! requests become reports. Pure functions; each integrator is a folder in `adapter-integrators`.
//!
//! A request passes [`Integrator::authenticate`] with its head alone, so that a caller without
//! credentials costs little; then, with the body, [`Integrator::verify_signature`] and
//! [`Integrator::parse`].

use std::fmt;

use domain::crypto::{CredentialHash, ServerSecret};
use domain::rejection::MaskedFields;
use domain::report::{ReportError, ReportFields};
use domain::{
    Address, ChannelId, CredentialId, IntegratorName, MessageSid, PublicUrl, ReportedStatus,
};

/// The header lines of a request.
pub trait Headers {
    /// Returns the value of the first line of this name, ignoring case.
    fn get(&self, name: &str) -> Option<&[u8]>;
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
    /// The caller sent wrong credentials.
    Denied,
}

/// What a signature is verified against.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The URL of the channel as configured by an operator: a base, or the whole callback URL.
    pub public_url: &'a PublicUrl,
    /// The path of the report URL, like `/social/on/whatsapp/twilio/report/1`.
    pub path: &'a str,
    /// The query of the request, without its question mark.
    pub query: Option<&'a str>,
    /// The signing token in the clear.
    pub token: &'a str,
}

/// The request has no signature, or one made with another token or for another URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureMismatch {
    /// Whether there was a signature.
    pub signed: bool,
    /// The URL that was expected, credentials removed; for the log only.
    pub expected_url: String,
}

/// One report as parsed from a body. The use case adds channel, credential and time of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedReport {
    /// The id of the message.
    pub sid: MessageSid,
    /// The reported status.
    pub status: ReportedStatus,
    /// The reported error.
    pub error: Option<ReportError>,
    /// The recipient of the message.
    pub recipient: Address,
    /// The sender of the message.
    pub sender: Address,
    /// All other fields.
    pub fields: ReportFields,
    /// The integrator's token for this request, the same on every retry.
    pub idempotency_token: Option<String>,
}

/// The result of parsing a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseResult {
    /// At least one report.
    Reports(Vec<ParsedReport>),
    /// No report; to be acknowledged without effect. Contains the reason.
    Ignored(&'static str),
    /// A field is missing or invalid.
    Invalid(ValidationError),
    /// The body has more fields than any report.
    TooManyFields,
}

/// Why a report is invalid. It never contains the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    /// The name of the field.
    pub field: &'static str,
    /// The kind of error.
    pub kind: ValidationErrorKind,
    /// What would be valid.
    pub expected: String,
}

/// How a field can be invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationErrorKind {
    /// It is absent or blank.
    Missing,
    /// It occurs more than once with different values.
    Conflicting,
    /// It is longer than a store accepts.
    TooLong,
    /// Its value is not valid.
    Invalid,
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
    /// The header line with the credentials, which is sent after a challenge.
    pub authorization: (&'static str, String),
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

    /// Returns the word between its name and the channel id in the report path, usually `report`.
    fn path_word(&self) -> &'static str;

    /// Returns the media type of its reports, in lower case, without parameters.
    fn media_type(&self) -> &'static str;

    /// Returns the value of `WWW-Authenticate` for every 401.
    fn challenge(&self) -> &'static str;

    /// Authenticates a caller by the head of its request. Takes the same time whether the channel,
    /// the user or the password is wrong.
    fn authenticate(&self, headers: &dyn Headers, context: AuthContext<'_>) -> AuthResult;

    /// Verifies the signature of a request of an authenticated caller, which presented these
    /// credentials. Called only for channels that require one.
    fn verify_signature(
        &self,
        headers: &dyn Headers,
        body: &[u8],
        request: SignedRequest<'_>,
        presented: Option<&UserAndPassword>,
    ) -> Result<(), SignatureMismatch>;

    /// Parses a body.
    fn parse(&self, headers: &dyn Headers, body: &[u8]) -> ParseResult;

    /// Returns the fields of a refused body, with personal data masked.
    fn redacted_fields(&self, body: &[u8]) -> MaskedFields;

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
}

/// Returns the path at which an integrator reports on a channel.
#[must_use]
pub fn report_path(integrator: &dyn Integrator, channel: &ChannelId) -> String {
    format!(
        "/social/on/whatsapp/{}/{}/{channel}",
        integrator.name(),
        integrator.path_word()
    )
}
