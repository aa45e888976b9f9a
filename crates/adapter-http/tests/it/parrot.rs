//! An integrator of nobody's, unlike Twilio in all that may differ: its word in
//! the path, its media type, its proof and its body.

use domain::rejection::MaskedFields;
use domain::report::ReportFields;
use domain::{Address, ChannelId, IntegratorName, MessageSid, PublicUrl, ReportedStatus};
use ports::integrator::{
    AuthContext, AuthResult, Headers, Integrator, ParseResult, ParsedReport, SignatureMismatch,
    SignedRequest, report_path,
};

/// Shows its password bare and sends `<sid> <status>`.
pub struct Parrot(IntegratorName);

impl Parrot {
    pub fn new() -> Self {
        Self(IntegratorName::parse("parrot").unwrap())
    }
}

impl Integrator for Parrot {
    fn name(&self) -> &IntegratorName {
        &self.0
    }

    fn path_word(&self) -> &'static str {
        "squawk"
    }

    fn media_type(&self) -> &'static str {
        "text/parrot"
    }

    fn challenge(&self) -> &'static str {
        "Parrot"
    }

    fn authenticate(&self, headers: &dyn Headers, door: AuthContext<'_>) -> AuthResult {
        let Some(password) = headers.get("authorization") else {
            return AuthResult::Challenge;
        };
        let hash = door
            .secret
            .credential_hash(door.channel, b"webhook", password);
        let mut known = door.credentials.iter();
        known
            .find(|(_, kept)| *kept == hash)
            .map_or(AuthResult::Denied, |(id, _)| AuthResult::Authenticated(*id))
    }

    fn verify_signature(
        &self,
        _: &dyn Headers,
        _: &[u8],
        _: SignedRequest<'_>,
    ) -> Result<(), SignatureMismatch> {
        Ok(())
    }

    fn read(&self, _: &dyn Headers, body: &[u8]) -> ParseResult {
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
}
