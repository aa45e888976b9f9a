//! An integrator that differs from Twilio in everything that may differ: path word, media type,
//! authentication and body.

use domain::rejection::MaskedFields;
use domain::report::ReportFields;
use domain::{Address, ChannelId, IntegratorName, MessageSid, PublicUrl, ReportedStatus};
use ports::integrator::{
    AuthContext, AuthResult, Headers, Integrator, ParseResult, ParsedReport, SignatureMismatch,
    SignedRequest, TestReport, TestRequest, UserAndPassword, report_path,
};

/// Sends its password without a scheme and `<sid> <status>` as body.
pub struct OtherIntegrator(IntegratorName);

impl OtherIntegrator {
    pub fn new() -> Self {
        Self(IntegratorName::parse("other").unwrap())
    }
}

impl Integrator for OtherIntegrator {
    fn name(&self) -> &IntegratorName {
        &self.0
    }

    fn path_word(&self) -> &'static str {
        "status"
    }

    fn media_type(&self) -> &'static str {
        "text/plain"
    }

    fn challenge(&self) -> &'static str {
        "Other"
    }

    fn authenticate(&self, headers: &dyn Headers, context: AuthContext<'_>) -> AuthResult {
        let Some(password) = headers.get("authorization") else {
            return AuthResult::Challenge;
        };
        let hash = context
            .secret
            .credential_hash(context.channel, b"webhook", password);
        let mut known = context.credentials.iter();
        known
            .find(|(_, kept)| *kept == hash)
            .map_or(AuthResult::Denied, |(id, _)| AuthResult::Authenticated {
                credential: *id,
                presented: None,
            })
    }

    fn verify_signature(
        &self,
        _: &dyn Headers,
        _: &[u8],
        _: SignedRequest<'_>,
        _: Option<&UserAndPassword>,
    ) -> Result<(), SignatureMismatch> {
        Ok(())
    }

    fn parse(&self, _: &dyn Headers, body: &[u8]) -> ParseResult {
        let text = std::str::from_utf8(body).unwrap();
        let (sid, status) = text.split_once(' ').unwrap();
        ParseResult::Reports(vec![ParsedReport {
            sid: MessageSid::parse(sid).unwrap(),
            status: ReportedStatus::parse(status).unwrap(),
            error: None,
            recipient: Address::parse("1").unwrap(),
            sender: Address::parse("2").unwrap(),
            fields: ReportFields::default(),
            idempotency_token: None,
        }])
    }

    fn redacted_fields(&self, _: &[u8]) -> MaskedFields {
        MaskedFields::default()
    }

    fn callback_url(
        &self,
        base: &PublicUrl,
        channel: &ChannelId,
        _: Option<(&str, &str)>,
    ) -> String {
        format!("{}{}", base.reveal(), report_path(self, channel))
    }

    fn test_request(
        &self,
        report: TestReport<'_>,
        (_, password): (&str, &str),
        _: Option<SignedRequest<'_>>,
    ) -> TestRequest {
        TestRequest {
            headers: vec![("Content-Type", "text/plain".to_owned())],
            authorization: ("Authorization", password.to_owned()),
            body: format!("{} delivered", report.sid).into_bytes(),
        }
    }
}
