//! What a request is answered that is no report, or none that may be taken.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use ports::integrator::ValidationErrorKind;
use usecases::ReceiveError;
use usecases::ingest::group_commit::IngestError;

use super::body::{BODY_MAX, BodyError, closing};
use crate::metrics::Outcome;
use crate::problem::{MEDIA_TYPE, Problem, not_found};

/// Why a request was not answered with 204.
pub(crate) enum Refusal {
    /// The path is no report path.
    NotFound,
    /// The path names nobody who reports here.
    UnknownIntegrator,
    /// The method is not POST.
    MethodNotAllowed,
    /// The caller has proved nothing.
    Unproven {
        /// What it has to do.
        challenge: HeaderValue,
        /// Whether it tried.
        tried: bool,
    },
    /// The body is compressed.
    UnsupportedEncoding,
    /// The body is of another media type than this one.
    UnsupportedMediaType(&'static str),
    /// The body was not read.
    Unread(BodyError),
    /// The report was not taken.
    NotTaken(ReceiveError),
}

/// The one body of every 401: it says nothing of what was wrong.
const UNAUTHORIZED: &str = concat!(
    r#"{"type":"about:blank","title":"Unauthorized","status":401,"#,
    r#""detail":"show the webhook user and password of the channel","code":"unauthorized"}"#
);

impl Refusal {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::NotFound | Self::UnknownIntegrator => Outcome::NotFound,
            Self::MethodNotAllowed => Outcome::MethodNotAllowed,
            Self::Unproven { tried: false, .. } => Outcome::Challenge,
            Self::Unproven { tried: true, .. } => Outcome::Refused,
            Self::UnsupportedEncoding | Self::UnsupportedMediaType(_) => Outcome::Unsupported,
            Self::Unread(BodyError::TooLarge) => Outcome::TooLarge,
            Self::Unread(BodyError::TooSlow) => Outcome::Timeout,
            Self::Unread(BodyError::Broken) => Outcome::Invalid,
            Self::NotTaken(error) => match error {
                ReceiveError::ChannelDisabled => Outcome::Disabled,
                ReceiveError::SignatureMismatch => Outcome::SignatureMismatch,
                ReceiveError::Defective(_) | ReceiveError::TooManyFields => Outcome::Invalid,
                ReceiveError::SenderNotAllowed => Outcome::SenderNotAllowed,
                ReceiveError::NotRecorded(IngestError::Refused(_)) => Outcome::RefusedByStore,
                ReceiveError::NotRecorded(IngestError::Overloaded) => Outcome::Overloaded,
                ReceiveError::NotRecorded(IngestError::Unavailable(_)) => Outcome::Unavailable,
            },
        }
    }

    pub(crate) fn response(self) -> HttpResponse {
        match self {
            Self::NotFound => not_found().response(),
            Self::UnknownIntegrator => Problem::new(
                StatusCode::NOT_FOUND,
                "unknown_integrator",
                "no integrator of this name reports here",
            )
            .response(),
            Self::MethodNotAllowed => with(
                &Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    "reports are sent with POST",
                ),
                header::ALLOW,
                HeaderValue::from_static("POST"),
            ),
            Self::Unproven { challenge, .. } => HttpResponse::Unauthorized()
                .insert_header((header::WWW_AUTHENTICATE, challenge))
                .insert_header((header::CONTENT_TYPE, MEDIA_TYPE))
                .body(UNAUTHORIZED),
            Self::UnsupportedEncoding => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_encoding",
                "reports are not compressed",
            )
            .response(),
            Self::UnsupportedMediaType(expected) => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                format!("reports are sent as {expected}"),
            )
            .response(),
            Self::Unread(error) => unread(error),
            Self::NotTaken(error) => not_taken(error),
        }
    }
}

fn unread(error: BodyError) -> HttpResponse {
    let problem = match error {
        BodyError::TooLarge => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("a report has at most {BODY_MAX} bytes"),
        ),
        BodyError::TooSlow => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the request did not arrive in time",
        ),
        BodyError::Broken => Problem::new(
            StatusCode::BAD_REQUEST,
            "broken_body",
            "the body breaks off or its chunks make no sense",
        ),
    };
    closing(problem.response())
}

fn not_taken(error: ReceiveError) -> HttpResponse {
    let problem = |status, code, detail| Problem::new(status, code, detail);
    match error {
        ReceiveError::ChannelDisabled => problem(
            StatusCode::FORBIDDEN,
            "channel_disabled",
            "the channel is switched off",
        )
        .response(),
        ReceiveError::SignatureMismatch => problem(
            StatusCode::FORBIDDEN,
            "signature_mismatch",
            "the signature is missing, or not the one for the configured URL and token",
        )
        .response(),
        ReceiveError::Defective(defect) => {
            let (status, code) = match defect.kind {
                ValidationErrorKind::Missing
                | ValidationErrorKind::Invalid
                | ValidationErrorKind::Conflicting => (StatusCode::BAD_REQUEST, "invalid_report"),
                ValidationErrorKind::TooLong => {
                    (StatusCode::UNPROCESSABLE_ENTITY, "report_refused")
                }
            };
            Problem::new(status, code, defect.expected)
                .of(defect.field)
                .response()
        }
        ReceiveError::TooManyFields => closing(
            problem(
                StatusCode::BAD_REQUEST,
                "too_many_fields",
                "a report has at most 500 fields",
            )
            .response(),
        ),
        ReceiveError::SenderNotAllowed => problem(
            StatusCode::FORBIDDEN,
            "sender_not_allowed",
            "the sender is not on the channel's list",
        )
        .response(),
        ReceiveError::NotRecorded(IngestError::Refused(_)) => problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "report_refused",
            "the store will never take this report",
        )
        .response(),
        ReceiveError::NotRecorded(IngestError::Overloaded) => again_later(&problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "too many reports are waiting; send it again",
        )),
        ReceiveError::NotRecorded(IngestError::Unavailable(_)) => again_later(&problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "the store did not take the report; send it again",
        )),
    }
}

fn again_later(problem: &Problem) -> HttpResponse {
    with(problem, header::RETRY_AFTER, HeaderValue::from_static("1"))
}

fn with(problem: &Problem, name: header::HeaderName, value: HeaderValue) -> HttpResponse {
    let mut response = problem.response();
    response.headers_mut().insert(name, value);
    response
}
