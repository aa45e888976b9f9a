//! Twilio: Basic authentication, an optional signature, and a form with one report.
//!
//! Twilio sends every report twice: first without credentials, and again with credentials after
//! a 401 with a challenge. [`form`] parses a report; [`callback_url`](crate::callback_url) builds
//! the URL that Twilio is configured with.
//!
//! Two further endpoints are optional: [`event_streams`] is a second way in for reports, and
//! [`debugger`] says which reports could not be delivered.

mod debugger;
mod event_streams;
pub mod form;
pub mod redacted_fields;
pub mod signature;
mod test_request;

use domain::rejection::MaskedFields;
use domain::{ChannelId, IntegratorName, PublicUrl};
use ports::integrator::{
    AnswerPolicy, AuthContext, AuthResult, CredentialShape, Endpoint, EndpointScope, Headers,
    Integrator, ParseError, ParsedBody, SignatureMismatch, Signatures, SignedRequest, TestReport,
    TestRequest, UserAndPassword, report_path,
};

use crate::callback_url::CallbackUrl;
use crate::credentials::authenticate_by_pair;
use crate::json;
use signature::Signer;

/// The URL fragment that configures Twilio's retries and is not sent: five retries after a failed
/// connection, a read timeout or a 5xx. By default there is one retry, after a failed connection
/// only.
const RETRY_OVERRIDES: &str = "#rc=5&rp=ct,rt,5xx";

/// The media type of reports.
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// Where Twilio sends status callbacks.
const REPORTS: Endpoint = Endpoint {
    path_word: "report",
    methods: &["POST"],
    media_types: &[MEDIA_TYPE],
    body_max: 65_536,
    answers: AnswerPolicy {
        success: 204,
        redelivers: false,
    },
    scope: EndpointScope::Channel,
};

/// Where Event Streams sends batches of events of an account. It repeats them for four hours.
const EVENTS: Endpoint = Endpoint {
    path_word: "events",
    media_types: &["application/json", "application/cloudevents-batch+json"],
    body_max: 4 * 1_048_576,
    answers: AnswerPolicy {
        success: 204,
        redelivers: true,
    },
    scope: EndpointScope::Account,
    ..REPORTS
};

/// Where the Debugger reports errors of an account. A request contains the call that failed.
const DEBUGGER: Endpoint = Endpoint {
    path_word: "debugger",
    body_max: 1_048_576,
    scope: EndpointScope::Account,
    ..REPORTS
};

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

    fn report_endpoint(&self) -> &Endpoint {
        &REPORTS
    }

    fn other_endpoints(&self) -> &[Endpoint] {
        &[EVENTS, DEBUGGER]
    }

    fn credential_shape(&self) -> CredentialShape {
        CredentialShape::UserAndPassword
    }

    fn challenge(&self) -> &'static str {
        r#"Basic realm="receiptd", charset="UTF-8""#
    }

    fn authenticate(&self, headers: &dyn Headers, context: AuthContext<'_>) -> AuthResult {
        authenticate_by_pair(headers, context)
    }

    fn verify_signature(
        &self,
        headers: &dyn Headers,
        body: &[u8],
        request: SignedRequest<'_>,
        presented: Option<&UserAndPassword>,
    ) -> Result<(), SignatureMismatch> {
        let signature = headers
            .get(signature::HEADER)
            .filter(|value| !value.trim_ascii().is_empty());
        let signer = Signer::of(headers);
        match (signature, signer) {
            (Some(signature), Some(signer))
                if signature::verify(signature, &signer, body, request, presented) =>
            {
                Ok(())
            }
            (signature, _) => Err(SignatureMismatch {
                signed: signature.is_some(),
                expected_url: CallbackUrl::new(request.public_url, request.path)
                    .with_query_of_request(request.query)
                    .without_credentials(),
            }),
        }
    }

    fn signatures(&self) -> Signatures {
        Signatures::Optional
    }

    fn parse(
        &self,
        endpoint: &Endpoint,
        headers: &dyn Headers,
        body: &[u8],
    ) -> Result<ParsedBody, ParseError> {
        if *endpoint == EVENTS {
            event_streams::parse(&json::body(body)?)
        } else if *endpoint == DEBUGGER {
            debugger::parse(body)
        } else {
            form::parse(body, idempotency_token(headers))
        }
    }

    fn redacted_fields(
        &self,
        endpoint: &Endpoint,
        body: &[u8],
        element: Option<usize>,
    ) -> MaskedFields {
        if *endpoint != EVENTS {
            return redacted_fields::masked(body);
        }
        let Ok(events) = json::body(body) else {
            return MaskedFields::default();
        };
        let event = element.and_then(|index| events.get(index));
        json::redacted(event.unwrap_or(&events))
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
        test_request::build(report, credentials, signed)
    }

    fn setup_steps(&self) -> &'static [&'static str] {
        &[
            "Set the callback URL, which contains user and password, as the status callback: of \
             the WhatsApp sender or messaging service in Twilio's console, or as `StatusCallback` \
             of every message that is sent.",
            "Keep the fragment `#rc=5&rp=ct,rt,5xx` of the URL: with it Twilio repeats a report \
             that could not be delivered.",
            "Optional: create an Event Streams sink of the type webhook with the same URL, but \
             with `/events/` in place of `/report/` and without the fragment, and subscribe it to \
             the events of messages. Twilio repeats these for four hours.",
            "Optional: set the same URL with `/debugger/` in place of `/report/` as the webhook of \
             the Debugger. A report that could not be delivered is then looked up within \
             seconds, if the channel has an account for reconciliation.",
        ]
    }
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
