//! [`JsonIntegrator`]: the common part of integrators that send JSON and credentials without a
//! challenge.

use domain::rejection::MaskedFields;
use domain::{ChannelId, IntegratorName, PublicUrl};
use ports::integrator::{
    AnswerPolicy, AuthContext, AuthResult, CredentialShape, Endpoint, EndpointScope, Headers,
    Integrator, ParseError, ParsedBody, SignatureMismatch, Signatures, SignedRequest, TestReport,
    TestRequest, UserAndPassword, report_path,
};
use serde_json::Value;

use crate::callback_url::CallbackUrl;
use crate::credentials::{authenticate_by_key, authenticate_by_pair, basic_value};
use crate::json;

/// The path of reports that are one JSON object each.
pub(crate) const SINGLE_REPORTS: Endpoint = Endpoint {
    path_word: "report",
    methods: &["POST"],
    media_types: &["application/json"],
    body_max: 65_536,
    answers: AnswerPolicy {
        success: 204,
        redelivers: false,
    },
    scope: EndpointScope::Channel,
};

/// The path of JSON with many reports, which is sent again until it is answered with success.
pub(crate) const BATCHES: Endpoint = Endpoint {
    body_max: 4 * 1_048_576,
    answers: AnswerPolicy {
        success: 200,
        redelivers: true,
    },
    ..SINGLE_REPORTS
};

/// Where the credentials of a channel are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SentCredentials {
    /// The password is the whole value of this header.
    Key(&'static str),
    /// User and password, in `Authorization`.
    Basic,
}

/// An integrator that sends the credentials of a channel unasked, and JSON without a signature.
#[derive(Debug)]
pub struct JsonIntegrator {
    pub(crate) name: IntegratorName,
    /// The path of reports.
    pub(crate) endpoint: Endpoint,
    pub(crate) credentials: SentCredentials,
    /// Parses a body.
    pub(crate) parse: fn(&Value) -> Result<ParsedBody, ParseError>,
    /// Returns an element of a body by its index.
    pub(crate) element: fn(&Value, usize) -> Option<&Value>,
    /// Builds the body that reports a message as delivered.
    pub(crate) test_body: fn(TestReport<'_>) -> Value,
    /// The header lines of requests that hold something else than reports; see
    /// [`Integrator::forwarded_headers`].
    pub(crate) forwarded_headers: Option<&'static [&'static str]>,
    pub(crate) setup_steps: &'static [&'static str],
}

impl Integrator for JsonIntegrator {
    fn name(&self) -> &IntegratorName {
        &self.name
    }

    fn report_endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn credential_shape(&self) -> CredentialShape {
        match self.credentials {
            SentCredentials::Key(_) => CredentialShape::Key,
            SentCredentials::Basic => CredentialShape::UserAndPassword,
        }
    }

    fn challenge(&self) -> &'static str {
        r#"Key realm="receiptd""#
    }

    fn authenticate(&self, headers: &dyn Headers, context: AuthContext<'_>) -> AuthResult {
        match self.credentials {
            SentCredentials::Key(header) => authenticate_by_key(headers, header, context),
            SentCredentials::Basic => match authenticate_by_pair(headers, context) {
                AuthResult::Challenge => AuthResult::Missing,
                result => result,
            },
        }
    }

    fn signatures(&self) -> Signatures {
        Signatures::Never
    }

    fn verify_signature(
        &self,
        _: &dyn Headers,
        _: &[u8],
        request: SignedRequest<'_>,
        _: Option<&UserAndPassword>,
    ) -> Result<(), SignatureMismatch> {
        Err(SignatureMismatch {
            signed: false,
            expected_url: CallbackUrl::new(request.public_url, request.path).without_credentials(),
        })
    }

    fn parse(&self, _: &Endpoint, _: &dyn Headers, body: &[u8]) -> Result<ParsedBody, ParseError> {
        (self.parse)(&json::body(body)?)
    }

    fn redacted_fields(&self, _: &Endpoint, body: &[u8], element: Option<usize>) -> MaskedFields {
        let Ok(body) = json::body(body) else {
            return MaskedFields::default();
        };
        let element = element.and_then(|index| (self.element)(&body, index));
        json::redacted(element.unwrap_or(&body))
    }

    fn callback_url(
        &self,
        base: &PublicUrl,
        channel: &ChannelId,
        _: Option<(&str, &str)>,
    ) -> String {
        CallbackUrl::new(base, &report_path(self, channel)).without_credentials()
    }

    fn test_request(
        &self,
        report: TestReport<'_>,
        (user, password): (&str, &str),
        _: Option<SignedRequest<'_>>,
    ) -> TestRequest {
        let authorization = match self.credentials {
            SentCredentials::Key(header) => (header, password.to_owned()),
            SentCredentials::Basic => ("Authorization", basic_value(user, password)),
        };
        TestRequest {
            authorization: vec![authorization],
            headers: vec![("Content-Type", "application/json; charset=UTF-8".to_owned())],
            body: (self.test_body)(report).to_string().into_bytes(),
        }
    }

    fn forwarded_headers(&self) -> Option<&'static [&'static str]> {
        self.forwarded_headers
    }

    fn setup_steps(&self) -> &'static [&'static str] {
        self.setup_steps
    }
}
