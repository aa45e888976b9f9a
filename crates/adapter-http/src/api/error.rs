//! The errors of the API and their answers.

use std::borrow::Cow;
use std::fmt;

use actix_web::error::{JsonPayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use ports::StoreError;
use ports::error::error_chain;
use usecases::channels::channel_test::TestError;
use usecases::channels::manage::ManageError;
use usecases::erasure::EraseError;
use usecases::events::cursors::CursorError;
use usecases::messages::show::ShowError;
use usecases::reconciliation::AccountError;
use usecases::subscriptions::SubscriptionError;

use crate::problem::Problem;

/// The code of a path that names no message.
pub(crate) const NO_SUCH_MESSAGE: &str = "no_such_message";

/// The code of a name that no cursor has.
pub(crate) const NO_SUCH_CURSOR: &str = "no_such_cursor";

/// Why a request to the API failed.
#[derive(Debug)]
pub enum ApiError {
    /// The request is invalid, or conflicts with what is stored.
    Problem(Problem),
    /// The store failed.
    Store(StoreError),
}

/// The result of a handler of the API.
pub(crate) type ApiResult = Result<HttpResponse, ApiError>;

impl ApiError {
    fn new(status: StatusCode, code: &'static str, error: &impl fmt::Display) -> Self {
        Problem::new(status, code, error.to_string()).into()
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ManageError> for ApiError {
    fn from(error: ManageError) -> Self {
        let (status, code) = match error {
            ManageError::ChannelExists(_) => (StatusCode::CONFLICT, "channel_exists"),
            ManageError::NoSuchChannel(_) => (StatusCode::NOT_FOUND, "no_such_channel"),
            ManageError::NoSuchCredential(_) => (StatusCode::NOT_FOUND, "no_such_credential"),
            ManageError::UnknownIntegrator { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "unknown_integrator")
            }
            ManageError::TooManyCredentials => (StatusCode::CONFLICT, "too_many_credentials"),
            ManageError::NoSignatures(_) | ManageError::SignatureRequired(_) => {
                return invalid("signing_token", error.to_string());
            }
            ManageError::OtherReportPath(_) => return invalid("public_url", error.to_string()),
            ManageError::NothingToForward(_) | ManageError::PrivateForwardUrl(_) => {
                return invalid("forward_url", error.to_string());
            }
            ManageError::RevealRequired => (StatusCode::FORBIDDEN, "forbidden"),
            ManageError::ExpiryInThePast => {
                (StatusCode::UNPROCESSABLE_ENTITY, "expiry_in_the_past")
            }
            ManageError::Outdated => (StatusCode::CONFLICT, "outdated"),
            ManageError::Store(error) => return Self::Store(error),
        };
        Self::new(status, code, &error)
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        let (status, code) = match error {
            AccountError::NoSuchChannel(_) => (StatusCode::NOT_FOUND, "no_such_channel"),
            AccountError::NoAccount(_) => (StatusCode::NOT_FOUND, "no_account"),
            AccountError::NoRecords(_) => (StatusCode::UNPROCESSABLE_ENTITY, "no_records"),
            AccountError::Store(error) => return Self::Store(error),
        };
        Self::new(status, code, &error)
    }
}

impl From<TestError> for ApiError {
    fn from(error: TestError) -> Self {
        let (status, code) = match error {
            TestError::NoSuchChannel(_) => (StatusCode::NOT_FOUND, "no_such_channel"),
            TestError::Disabled => (StatusCode::CONFLICT, "channel_disabled"),
            TestError::Running => (StatusCode::CONFLICT, "test_running"),
            TestError::UnreadableToken => (StatusCode::CONFLICT, "unreadable_token"),
            TestError::UnknownIntegrator => {
                (StatusCode::UNPROCESSABLE_ENTITY, "unknown_integrator")
            }
            TestError::InvalidUrl(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_public_url"),
            TestError::Store(error) => return Self::Store(error),
        };
        Self::new(status, code, &error)
    }
}

impl From<ShowError> for ApiError {
    fn from(error: ShowError) -> Self {
        match error {
            ShowError::NoSuchChannel(_) | ShowError::NoSuchMessage(_) => {
                Self::new(StatusCode::NOT_FOUND, NO_SUCH_MESSAGE, &error)
            }
            ShowError::Store(error) => Self::Store(error),
        }
    }
}

impl From<EraseError> for ApiError {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::ReasonNamesRecipient => invalid("reason", error.to_string()),
            EraseError::Store(error) => Self::Store(error),
        }
    }
}

impl From<SubscriptionError> for ApiError {
    fn from(error: SubscriptionError) -> Self {
        let (status, code) = match error {
            SubscriptionError::NoSuchSubscription(_) => {
                (StatusCode::NOT_FOUND, "no_such_subscription")
            }
            SubscriptionError::NoSuchDelivery(_) => (StatusCode::NOT_FOUND, "no_such_delivery"),
            SubscriptionError::NoSuchMessage(_) => (StatusCode::NOT_FOUND, NO_SUCH_MESSAGE),
            SubscriptionError::PrivateTarget(_) => {
                let private = StatusCode::UNPROCESSABLE_ENTITY;
                let detail =
                    format!("{error}; to allow it, set RECEIPTD_PUSH_PRIVATE_TARGETS=true");
                let problem = Problem::new(private, "private_target", detail);
                return problem.of("url").into();
            }
            SubscriptionError::RevealRequired => (StatusCode::FORBIDDEN, "forbidden"),
            SubscriptionError::Outdated => (StatusCode::CONFLICT, "outdated"),
            SubscriptionError::BeyondEnd => return beyond_the_end("after"),
            SubscriptionError::NotRetriable => (StatusCode::CONFLICT, "not_retriable"),
            SubscriptionError::PreviousSecretSigns(_) => {
                (StatusCode::CONFLICT, "previous_secret_signs")
            }
            SubscriptionError::UnreadableSecret => (StatusCode::CONFLICT, "unsealable_secret"),
            SubscriptionError::Store(error) => return Self::Store(error),
        };
        Self::new(status, code, &error)
    }
}

impl From<CursorError> for ApiError {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::NoSuchCursor(_) => {
                Self::new(StatusCode::NOT_FOUND, NO_SUCH_CURSOR, &error)
            }
            CursorError::Outdated => {
                let problem = Problem::new(StatusCode::CONFLICT, "outdated", error.to_string());
                problem.of("from").into()
            }
            CursorError::BeyondEnd => beyond_the_end("position"),
            CursorError::Store(error) => Self::Store(error),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(problem) => problem.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl ResponseError for ApiError {
    fn error_response(&self) -> HttpResponse {
        let mut response = match self {
            Self::Problem(problem) => problem.response(),
            Self::Store(error) => {
                log(error);
                store_problem(error).response()
            }
        };
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

fn log(error: &StoreError) {
    let chain = error_chain(error);
    match error {
        StoreError::Unavailable(_) | StoreError::Locked(_) => {
            tracing::warn!(error = chain, "a request to the API failed");
        }
        StoreError::Rejected { .. } => {
            tracing::info!(error = chain, "a request to the API failed");
        }
        StoreError::Corrupt { .. } | StoreError::Unsupported(_) => {
            tracing::error!(error = chain, "a request to the API failed");
        }
    }
}

fn store_problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) | StoreError::Locked(_) | StoreError::Unsupported(_) => {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "the store is unavailable, overloaded or too slow; try again",
            )
        }
        StoreError::Rejected { .. } => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "refused_by_store",
            "the store cannot record these values",
        ),
        StoreError::Corrupt { .. } => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "corrupt_store",
            "stored data is corrupt; see the server log",
        ),
    }
}

/// An invalid field or parameter. `expected` says what would be valid.
pub(crate) fn invalid(field: &'static str, expected: impl Into<Cow<'static, str>>) -> ApiError {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid_value", expected);
    problem.of(field).into()
}

/// Returns the parsed value of a field or parameter, or the error that it is invalid.
pub(crate) fn valid<T, E: fmt::Display>(
    field: &'static str,
    parsed: Result<T, E>,
) -> Result<T, ApiError> {
    parsed.map_err(|error| invalid(field, error.to_string()))
}

/// A position after the end of the log: a reader there would miss what is recorded until then.
pub(crate) fn beyond_the_end(field: &'static str) -> ApiError {
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "beyond_the_end",
        "this position is after the end of the log",
    );
    problem.of(field).into()
}

/// Converts the error of a body that is not the expected JSON.
pub(crate) fn from_json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let problem = match error {
        JsonPayloadError::Deserialize(error) if error.is_data() => {
            from_serde(&error.to_string(), "field")
        }
        JsonPayloadError::Deserialize(error) => Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_json",
            format!(
                "the body is not valid JSON from line {} column {}",
                error.line(),
                error.column()
            ),
        ),
        JsonPayloadError::ContentType => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send the body as application/json",
        ),
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is too long",
            )
        }
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            "broken_body",
            "the body cannot be read",
        ),
    };
    problem.into()
}

/// Converts the error of a query with unknown or repeated parameters.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature of the server's error handlers"
)]
pub(crate) fn from_query(error: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    from_serde(&error.to_string(), "parameter").into()
}

/// Converts the text of a serde error. The name in it becomes the field; a value in it is left out,
/// since it may be a secret.
fn from_serde(text: &str, what: &'static str) -> Problem {
    let name_after = |kind: &str| {
        let name = text.split_once(kind)?.1.split('`').nth(1)?;
        Some(name.chars().take(100).collect::<String>())
    };
    let problem = |code, detail: String| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    if let Some(name) = name_after("unknown field") {
        let detail = match text.split_once("expected ") {
            Some((_, expected)) => {
                let known = expected.replace('`', "");
                format!("there is no {what} {name}; there is {known}")
            }
            None => format!("there is no {what} {name}"),
        };
        return problem("unknown_field", detail).of(name);
    }
    if let Some(name) = name_after("missing field") {
        let detail = format!("the {what} {name} is required");
        return problem("missing_field", detail).of(name);
    }
    if let Some(name) = name_after("duplicate field") {
        let detail = format!("the {what} {name} is given twice");
        return problem("duplicate_field", detail).of(name);
    }
    let detail = match text.rsplit_once("expected ") {
        Some((_, expected)) => {
            let expected = json_type(expected);
            format!("a value has the wrong type; expected {expected}")
        }
        None => "a value has the wrong type".to_owned(),
    };
    problem("wrong_type", detail)
}

/// Replaces the name of a Rust type that serde expects by that of the JSON type.
fn json_type(expected: &str) -> String {
    match expected.strip_prefix("a sequence") {
        Some(place) => format!("an array{place}"),
        None => expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_error_becomes_a_problem_without_the_value() {
        for (text, what, expected) in [
            (
                "invalid type: string \"secret, expected `x`\", expected a boolean at line 1",
                "field",
                "wrong_type: a value has the wrong type; expected a boolean at line 1",
            ),
            (
                "invalid type: string \"x\", expected a sequence at line 1 column 9",
                "field",
                "wrong_type: a value has the wrong type; expected an array at line 1 column 9",
            ),
            (
                "unknown field `x`, expected `a` or `b`",
                "parameter",
                "unknown_field: there is no parameter x; there is a or b",
            ),
        ] {
            assert_eq!(from_serde(text, what).to_string(), expected);
        }
    }
}
