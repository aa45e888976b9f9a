//! An integrator that differs from Twilio in everything that may differ: path word, media type,
//! authentication and body.

use domain::rejection::MaskedFields;
use domain::report::ReportFields;
use domain::{Address, Alias, ChannelId, IntegratorName, MessageSid, PublicUrl, ReportedStatus};
use ports::integrator::{
    AnswerPolicy, AuthContext, AuthResult, CredentialShape, Endpoint, EndpointScope, Headers,
    Integrator, ParseError, ParsedBody, ParsedReport, SignatureMismatch, Signatures, SignedRequest,
    TestReport, TestRequest, UserAndPassword, report_path,
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

    fn report_endpoint(&self) -> &Endpoint {
        &Endpoint {
            path_word: "status",
            methods: &["POST"],
            media_types: &["text/plain"],
            body_max: 65_536,
            answers: AnswerPolicy {
                success: 202,
                redelivers: false,
            },
            scope: EndpointScope::Channel,
        }
    }

    fn credential_shape(&self) -> CredentialShape {
        CredentialShape::UserAndPassword
    }

    fn challenge(&self) -> &'static str {
        "Other"
    }

    fn signatures(&self) -> Signatures {
        Signatures::Optional
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

    fn parse(&self, _: &Endpoint, _: &dyn Headers, body: &[u8]) -> Result<ParsedBody, ParseError> {
        let text = std::str::from_utf8(body).unwrap();
        let (sid, status) = text.split_once(' ').unwrap();
        let report = ParsedReport {
            index: 0,
            sid: MessageSid::parse(sid).unwrap(),
            alias: Alias::None,
            status: ReportedStatus::parse(status).unwrap(),
            error: None,
            recipient: Address::parse("1").unwrap(),
            sender: Some(Address::parse("2").unwrap()),
            happened_at: None,
            fields: ReportFields::default(),
            idempotency_token: None,
        };
        Ok(report.into())
    }

    fn redacted_fields(&self, _: &Endpoint, _: &[u8], _: Option<usize>) -> MaskedFields {
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
            authorization: vec![("Authorization", password.to_owned())],
            body: format!("{} delivered", report.sid).into_bytes(),
        }
    }

    fn setup_steps(&self) -> &'static [&'static str] {
        &[]
    }
}
