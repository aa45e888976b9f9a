//! The answers to requests whose report was not received.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use ports::integrator::{ValidationError, ValidationErrorKind};
use usecases::ReceiveError;
use usecases::forwarding::ForwardError;
use usecases::ingest::queue::IngestError;

use crate::outcome::Outcome;
use crate::problem::{MEDIA_TYPE, Problem, not_found};
use crate::request_body::{BodyError, closing};

/// Why the report of a request was not received.
pub(crate) enum WebhookError {
    /// The path is not a report path.
    NotFound,
    /// No integrator has the name in the path.
    UnknownIntegrator,
    /// The method is not one of these.
    MethodNotAllowed(&'static [&'static str]),
    /// The request has no valid credentials.
    Unauthenticated {
        /// The value of `WWW-Authenticate`.
        challenge: HeaderValue,
        /// Whether it had credentials, which were wrong.
        denied: bool,
    },
    /// The body is compressed.
    UnsupportedEncoding,
    /// The media type is not one of these.
    UnsupportedMediaType(&'static [&'static str]),
    /// The body could not be read.
    Body(BodyError),
    /// The use case refused the report.
    Receive(ReceiveError),
}

/// The body of every 401 to integrators that answer a challenge of Basic authentication. It does
/// not say what was wrong.
const SEND_CREDENTIALS: &str = concat!(
    r#"{"type":"about:blank","title":"Unauthorized","status":401,"#,
    r#""detail":"send the webhook user and password of the channel","code":"unauthorized"}"#
);

/// The body of every 401 to other integrators: those that send credentials or signatures unasked.
const INVALID_CREDENTIALS: &str = concat!(
    r#"{"type":"about:blank","title":"Unauthorized","status":401,"#,
    r#""detail":"the credentials or the signature of the request are missing or not valid","#,
    r#""code":"unauthorized"}"#
);

impl WebhookError {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::NotFound | Self::UnknownIntegrator => Outcome::NotFound,
            Self::MethodNotAllowed(_) => Outcome::MethodNotAllowed,
            Self::Unauthenticated { denied: false, .. } => Outcome::Challenge,
            Self::Unauthenticated { denied: true, .. } => Outcome::Refused,
            Self::UnsupportedEncoding | Self::UnsupportedMediaType(_) => Outcome::Unsupported,
            Self::Body(BodyError::TooLarge(_)) => Outcome::TooLarge,
            Self::Body(BodyError::TooSlow) => Outcome::Timeout,
            Self::Body(BodyError::Broken) => Outcome::Invalid,
            Self::Receive(error) => match error {
                ReceiveError::ChannelDisabled => Outcome::Disabled,
                ReceiveError::SignatureMismatch => Outcome::SignatureMismatch,
                ReceiveError::Invalid(_) | ReceiveError::TooLarge(_) => Outcome::Invalid,
                ReceiveError::SenderNotAllowed { .. } => Outcome::SenderNotAllowed,
                ReceiveError::NotRecorded(IngestError::Refused(_)) => Outcome::RefusedByStore,
                ReceiveError::NotRecorded(IngestError::Overloaded)
                | ReceiveError::NotForwarded(ForwardError::Full) => Outcome::Overloaded,
                ReceiveError::NotRecorded(IngestError::Unavailable(_))
                | ReceiveError::NotForwarded(ForwardError::Unavailable(_)) => Outcome::Unavailable,
            },
        }
    }

    pub(crate) fn response(self) -> HttpResponse {
        let problem = |status, code, detail: &'static str| Problem::new(status, code, detail);
        let unsupported = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        match self {
            Self::NotFound => not_found(),
            Self::UnknownIntegrator => problem(
                StatusCode::NOT_FOUND,
                "unknown_integrator",
                "there is no integrator of this name",
            ),
            Self::MethodNotAllowed(methods) => {
                let not_allowed = problem(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    "send reports with POST",
                );
                return with_header(&not_allowed, header::ALLOW, &methods.join(", "));
            }
            Self::Unauthenticated { challenge, .. } => {
                let is_basic = challenge.as_bytes().starts_with(b"Basic ");
                let body = if is_basic {
                    SEND_CREDENTIALS
                } else {
                    INVALID_CREDENTIALS
                };
                return HttpResponse::Unauthorized()
                    .insert_header((header::WWW_AUTHENTICATE, challenge))
                    .insert_header((header::CONTENT_TYPE, MEDIA_TYPE))
                    .body(body);
            }
            Self::UnsupportedEncoding => problem(
                unsupported,
                "unsupported_encoding",
                "send reports uncompressed",
            ),
            Self::UnsupportedMediaType(expected) => Problem::new(
                unsupported,
                "unsupported_media_type",
                format!("send reports as {}", expected.join(" or ")),
            ),
            Self::Body(error) => return closing(Problem::from(error).response()),
            Self::Receive(error) => return receive_error(error),
        }
        .response()
    }
}

fn receive_error(error: ReceiveError) -> HttpResponse {
    let forbidden = |code, detail: &'static str| Problem::new(StatusCode::FORBIDDEN, code, detail);
    let retry = |code, detail: &'static str| {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        with_header(&problem, header::RETRY_AFTER, "1")
    };
    match error {
        ReceiveError::ChannelDisabled => forbidden("channel_disabled", "the channel is disabled"),
        ReceiveError::SignatureMismatch => forbidden(
            "signature_mismatch",
            "the signature is missing, or does not match the configured URL and token",
        ),
        ReceiveError::SenderNotAllowed { .. } => forbidden(
            "sender_not_allowed",
            "the sender is not on the channel's list",
        ),
        ReceiveError::Invalid(error) => invalid_report(error),
        ReceiveError::TooLarge(limit) => {
            let problem = Problem::new(StatusCode::BAD_REQUEST, "too_many_fields", limit);
            return closing(problem.response());
        }
        ReceiveError::NotRecorded(IngestError::Refused(_)) => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "report_refused",
            "the store cannot record this report; do not send it again",
        ),
        ReceiveError::NotRecorded(IngestError::Overloaded) => {
            return retry(
                "overloaded",
                "the ingest queue is full; send the report again",
            );
        }
        ReceiveError::NotForwarded(ForwardError::Full) => {
            return retry(
                "forwarding_full",
                "too many requests of the channel wait to be forwarded; send the request again",
            );
        }
        ReceiveError::NotForwarded(ForwardError::Unavailable(_)) => {
            return retry(
                "store_unavailable",
                "the store is unavailable; send the request again",
            );
        }
        ReceiveError::NotRecorded(IngestError::Unavailable(_)) => {
            return retry(
                "store_unavailable",
                "the store is unavailable; send the report again",
            );
        }
    }
    .response()
}

fn invalid_report(error: ValidationError) -> Problem {
    let (status, code) = match error.kind {
        ValidationErrorKind::Missing
        | ValidationErrorKind::Invalid
        | ValidationErrorKind::Conflicting => (StatusCode::BAD_REQUEST, "invalid_report"),
        ValidationErrorKind::TooLong => (StatusCode::UNPROCESSABLE_ENTITY, "report_refused"),
    };
    Problem::new(status, code, error.expected).of(error.field)
}

/// Returns the answer with a header, whose value is made of constants.
fn with_header(problem: &Problem, name: HeaderName, value: &str) -> HttpResponse {
    let mut response = problem.response();
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
