//! The seam between the companies that report: how one proves itself, and how
//! its bytes become reports. Pure functions; an implementation is a folder in
//! `adapter-integrators`.
//!
//! A request passes in this order: [`Integrator::authenticate`] from its head alone,
//! so that a caller who proves nothing costs nothing; then, with the body,
//! [`Integrator::verify_signature`] and [`Integrator::read`].

use domain::rejection::MaskedFields;
use domain::report::{ReportError, ReportFields};
use domain::secret::{CredentialHash, ServerSecret};
use domain::{
    Address, ChannelId, CredentialId, IntegratorName, MessageSid, PublicUrl, ReportedStatus,
};

/// The header lines of a request.
pub trait Headers {
    /// The value of the first line of this name, compared without case; `None`
    /// if there is none.
    fn get(&self, name: &str) -> Option<&[u8]>;
}

/// What stands at a channel id: its credentials, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct AuthContext<'a> {
    /// The channel id of the request.
    pub channel: &'a ChannelId,
    /// The live credentials of the channel; empty if there is no such channel
    /// with this integrator. Proving must take the same time then.
    pub credentials: &'a [(CredentialId, CredentialHash)],
    /// Makes the hashes to compare with.
    pub secret: &'a ServerSecret,
}

/// What the head of a request proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthResult {
    /// The caller knows this credential.
    Authenticated(CredentialId),
    /// The caller has shown nothing yet and should be asked. Half of all good
    /// requests begin so; it is no attack.
    Challenge,
    /// The caller has shown something, and it is wrong.
    Denied,
}

/// What a signed request is checked against.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// Where the integrator reaches the channel, as an operator configured it:
    /// a base, or the whole callback URL.
    pub public_url: &'a PublicUrl,
    /// The path of the report URL, like `/social/on/whatsapp/twilio/report/1`.
    pub path: &'a str,
    /// The query of the request, without its question mark.
    pub query: Option<&'a str>,
    /// The signing token in the clear.
    pub token: &'a str,
}

/// The request is not signed, or signed with another token or for another URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureMismatch {
    /// Whether there was a signature at all.
    pub signed: bool,
    /// The URL that was expected, credentials removed; for the log only.
    pub expected_url: String,
}

/// One report as its bytes tell it; who, when and where is added by the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedReport {
    /// Which message it is about.
    pub sid: MessageSid,
    /// What it says.
    pub status: ReportedStatus,
    /// The error it names.
    pub error: Option<ReportError>,
    /// Who the message goes to.
    pub recipient: Address,
    /// Who sent the message.
    pub sender: Address,
    /// All other fields.
    pub fields: ReportFields,
    /// The integrator's token for this call.
    pub idempotency_token: Option<String>,
}

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseResult {
    /// These reports, at least one.
    Reports(Vec<ParsedReport>),
    /// Something that is no report and needs no answer but thanks.
    Ignored(&'static str),
    /// No report: a field is missing or wrong.
    Invalid(ValidationError),
    /// More fields than any report has.
    TooManyFields,
}

/// What is wrong with a report. The value itself is never in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    /// The field.
    pub field: &'static str,
    /// What is wrong, as a stable word.
    pub kind: ValidationErrorKind,
    /// What would be right.
    pub expected: String,
}

/// What can be wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationErrorKind {
    /// It is not there, or blank.
    Missing,
    /// It stands there more than once with different values.
    Conflicting,
    /// It is more than any store keeps.
    TooLong,
    /// It has a value that it cannot have.
    Invalid,
}

/// One company that reports on messages.
pub trait Integrator: Send + Sync {
    /// Its name in the report path.
    fn name(&self) -> &IntegratorName;

    /// The word between its name and the channel id in the report path:
    /// `report` for most.
    fn path_word(&self) -> &'static str;

    /// The media type of its reports, in lower case, without parameters.
    fn media_type(&self) -> &'static str;

    /// The value of `WWW-Authenticate` on every 401.
    fn challenge(&self) -> &'static str;

    /// What the head of a request proves. Takes the same time whether the
    /// channel, the user or the password is wrong.
    fn authenticate(&self, headers: &dyn Headers, door: AuthContext<'_>) -> AuthResult;

    /// Checks the signature over a request whose caller is proven. Only called
    /// for channels that ask for one.
    fn verify_signature(
        &self,
        headers: &dyn Headers,
        body: &[u8],
        request: SignedRequest<'_>,
    ) -> Result<(), SignatureMismatch>;

    /// Reads a body.
    fn read(&self, headers: &dyn Headers, body: &[u8]) -> ParseResult;

    /// The fields of a body that is refused, with everything masked that may be
    /// personal.
    fn redacted_fields(&self, body: &[u8]) -> MaskedFields;

    /// The URL to paste into the integrator's console: `base` (or the callback
    /// URL itself) with the report path of the channel and whatever makes the
    /// integrator try hard, with credentials in it if given. Those are escaped.
    fn callback_url(
        &self,
        base: &PublicUrl,
        channel: &ChannelId,
        credentials: Option<(&str, &str)>,
    ) -> String;
}

/// The path at which an integrator reports on a channel.
#[must_use]
pub fn report_path(integrator: &dyn Integrator, channel: &ChannelId) -> String {
    format!(
        "/social/on/whatsapp/{}/{}/{channel}",
        integrator.name(),
        integrator.path_word()
    )
}
