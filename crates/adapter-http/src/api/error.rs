//! What the API answers when it does not do what it was asked.

use std::borrow::Cow;
use std::fmt;

use actix_web::error::{JsonPayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use ports::StoreError;
use usecases::channels::manage::ManageError;
use usecases::erasure::EraseError;
use usecases::events::cursors::CursorError;
use usecases::ingest::group_commit::chain;
use usecases::messages::show::ShowError;
use usecases::subscriptions::SubscriptionError;

use super::events::cursors::NO_SUCH_CURSOR;
use crate::problem::Problem;

/// The code of a path that names no message.
pub(crate) const NO_SUCH_MESSAGE: &str = "no_such_message";

/// Why a request to the API was not done.
#[derive(Debug)]
pub enum ApiError {
    /// A field or parameter has a value it cannot have.
    Invalid {
        /// Its name.
        field: &'static str,
        /// What would be right.
        expected: String,
    },
    /// The request is no request of this API.
    Problem(Problem),
    /// A message is not shown.
    Show(ShowError),
    /// A change was not made.
    Manage(ManageError),
    /// Something about a subscription was not done.
    Subscription(SubscriptionError),
    /// Something about a cursor was not done.
    Cursor(CursorError),
    /// The store failed.
    Store(StoreError),
}

impl From<ManageError> for ApiError {
    fn from(error: ManageError) -> Self {
        match error {
            ManageError::Store(error) => Self::Store(error),
            error => Self::Manage(error),
        }
    }
}

impl From<ShowError> for ApiError {
    fn from(error: ShowError) -> Self {
        match error {
            ShowError::Store(error) => Self::Store(error),
            error => Self::Show(error),
        }
    }
}

impl From<EraseError> for ApiError {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::ReasonNamesRecipient => Self::Invalid {
                field: "reason",
                expected: error.to_string(),
            },
            EraseError::Store(error) => Self::Store(error),
        }
    }
}

impl From<SubscriptionError> for ApiError {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Store(error) => Self::Store(error),
            error => Self::Subscription(error),
        }
    }
}

impl From<CursorError> for ApiError {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::Store(error) => Self::Store(error),
            error => Self::Cursor(error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem().fmt(f)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.problem().status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.problem().response();
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let again = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, again);
        }
        if let Self::Store(error) = self {
            match error {
                StoreError::Unavailable(_) | StoreError::Locked(_) => {
                    tracing::warn!(error = %chain(error), "a request was not done");
                }
                StoreError::Rejected { .. } => {
                    tracing::info!(error = %chain(error), "a request was not done");
                }
                StoreError::Corrupt { .. } | StoreError::Unsupported(_) => {
                    tracing::error!(error = %chain(error), "a request was not done");
                }
            }
        }
        response
    }
}

impl ApiError {
    fn problem(&self) -> Problem {
        match self {
            Self::Invalid { field, expected } => {
                Problem::new(StatusCode::BAD_REQUEST, "invalid_value", expected.clone()).of(*field)
            }
            Self::Problem(problem) => problem.clone(),
            Self::Show(error) => of_show(error),
            Self::Manage(error) => {
                let (status, code) = of_manage(error);
                let problem = Problem::new(status, code, error.to_string());
                match error {
                    ManageError::OtherReportPath(_) => problem.of("public_url"),
                    _ => problem,
                }
            }
            Self::Subscription(error) => of_subscription(error),
            Self::Cursor(error) => of_cursor(error),
            Self::Store(error) => of_store(error),
        }
    }
}

fn of_show(error: &ShowError) -> Problem {
    match error {
        ShowError::NoSuchChannel(_) | ShowError::NoSuchMessage(_) => {
            Problem::new(StatusCode::NOT_FOUND, NO_SUCH_MESSAGE, error.to_string())
        }
        ShowError::Store(error) => of_store(error),
    }
}

fn of_manage(error: &ManageError) -> (StatusCode, &'static str) {
    match error {
        ManageError::ChannelExists(_) => (StatusCode::CONFLICT, "channel_exists"),
        ManageError::NoSuchChannel(_) => (StatusCode::NOT_FOUND, "no_such_channel"),
        ManageError::NoSuchCredential(_) => (StatusCode::NOT_FOUND, "no_such_credential"),
        ManageError::UnknownIntegrator { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "unknown_integrator")
        }
        ManageError::TooManyCredentials => (StatusCode::CONFLICT, "too_many_credentials"),
        ManageError::OtherReportPath(_) => (StatusCode::BAD_REQUEST, "invalid_value"),
        ManageError::ExpiryInThePast => (StatusCode::UNPROCESSABLE_ENTITY, "expiry_in_the_past"),
        ManageError::Outdated => (StatusCode::CONFLICT, "outdated"),
        ManageError::Store(error) => {
            let problem = of_store(error);
            (problem.status_code(), problem.code())
        }
    }
}

fn of_subscription(error: &SubscriptionError) -> Problem {
    let (status, code) = match error {
        SubscriptionError::NoSuchSubscription(_) => (StatusCode::NOT_FOUND, "no_such_subscription"),
        SubscriptionError::NoSuchDelivery(_) => (StatusCode::NOT_FOUND, "no_such_delivery"),
        SubscriptionError::NoSuchMessage(_) => (StatusCode::NOT_FOUND, NO_SUCH_MESSAGE),
        SubscriptionError::PrivateTarget(_) => {
            let private = StatusCode::UNPROCESSABLE_ENTITY;
            return Problem::new(private, "private_target", error.to_string()).of("url");
        }
        SubscriptionError::Outdated => (StatusCode::CONFLICT, "outdated"),
        SubscriptionError::BeyondTheEnd => return beyond_the_end("after"),
        SubscriptionError::NotRetriable => (StatusCode::CONFLICT, "not_retriable"),
        SubscriptionError::PreviousSecretSigns(_) => {
            (StatusCode::CONFLICT, "previous_secret_signs")
        }
        SubscriptionError::Unsealable => (StatusCode::CONFLICT, "unsealable_secret"),
        SubscriptionError::Store(error) => return of_store(error),
    };
    Problem::new(status, code, error.to_string())
}

fn of_cursor(error: &CursorError) -> Problem {
    let detail = error.to_string();
    match error {
        CursorError::NoSuchCursor(_) => Problem::new(StatusCode::NOT_FOUND, NO_SUCH_CURSOR, detail),
        CursorError::Outdated => Problem::new(StatusCode::CONFLICT, "outdated", detail).of("from"),
        CursorError::BeyondTheEnd => beyond_the_end("position"),
        CursorError::Store(error) => of_store(error),
    }
}

/// A position that the log has not come to: what is recorded up to it would be
/// missed.
pub(crate) fn beyond_the_end(field: &'static str) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "beyond_the_end",
        "the log has not come to this position yet",
    )
    .of(field)
}

fn of_store(error: &StoreError) -> Problem {
    match error {
        StoreError::Unavailable(_) | StoreError::Locked(_) | StoreError::Unsupported(_) => {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "the store is away, overloaded or too slow; try again",
            )
        }
        StoreError::Rejected { .. } => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "refused_by_store",
            "the store will never take these values",
        ),
        StoreError::Corrupt { .. } => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "corrupt_store",
            "the store holds what was never written; the log says where",
        ),
    }
}

/// A value of a field or parameter, or what would be right.
pub(crate) fn valid<T, E: fmt::Display>(
    field: &'static str,
    parsed: Result<T, E>,
) -> Result<T, ApiError> {
    parsed.map_err(|error| ApiError::Invalid {
        field,
        expected: error.to_string(),
    })
}

/// A path that names nothing.
pub(crate) fn missing(code: &'static str, detail: &'static str) -> ApiError {
    ApiError::Problem(Problem::new(StatusCode::NOT_FOUND, code, detail))
}

/// A body that is not the JSON it should be.
pub(crate) fn of_json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let bad = |code, detail: String| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    let problem = match error {
        JsonPayloadError::Deserialize(error) if error.is_data() => {
            of_serde(&error.to_string(), "field")
        }
        JsonPayloadError::Deserialize(error) => bad(
            "invalid_json",
            format!(
                "the body is no JSON from line {} column {} on",
                error.line(),
                error.column()
            ),
        ),
        JsonPayloadError::ContentType => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "the body is sent as application/json",
        ),
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                "the body is too long",
            )
        }
        _ => bad("broken_body", "the body cannot be read".to_owned()),
    };
    problem.into()
}

/// A query with parameters that are none, or twice the same.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape of the server's error handlers"
)]
pub(crate) fn of_query(error: QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    of_serde(&error.to_string(), "parameter").into()
}

/// serde says in words what does not fit. The name in its words becomes the
/// field; a value in them is left out, since it may be a secret.
fn of_serde(words: &str, what: &'static str) -> Problem {
    let named = |kind: &str| {
        let name = words.split_once(kind)?.1.split('`').nth(1)?;
        Some(name.chars().take(100).collect::<String>())
    };
    let problem =
        |code, detail: Cow<'static, str>| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    if let Some(name) = named("unknown field") {
        let detail = match words.split_once("expected ") {
            Some((_, expected)) => format!(
                "there is no {what} {name}; there is {}",
                expected.replace('`', "")
            ),
            None => format!("there is no {what} {name}"),
        };
        return problem("unknown_field", detail.into()).of(name);
    }
    if let Some(name) = named("missing field") {
        return problem(
            "missing_field",
            format!("the {what} {name} is required").into(),
        )
        .of(name);
    }
    if let Some(name) = named("duplicate field") {
        return problem(
            "duplicate_field",
            format!("the {what} {name} stands there twice").into(),
        )
        .of(name);
    }
    let detail = match words.rsplit_once("expected ") {
        Some((_, expected)) => {
            format!(
                "a value has the wrong type; expected {}",
                json_type(expected)
            )
        }
        None => "a value has the wrong type".to_owned(),
    };
    problem("wrong_type", detail.into())
}

/// What serde expects, and at which place, in JSON's words instead of Rust's.
fn json_type(expected: &str) -> String {
    let (name, place) = match expected.find(" at line ") {
        Some(at) => expected.split_at(at),
        None => (expected, ""),
    };
    let name = match name {
        "a sequence" => "an array",
        known => known,
    };
    format!("{name}{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_says_becomes_a_problem_without_the_value() {
        let problem = of_serde(
            "invalid type: string \"secret, expected `x`\", expected a boolean at line 1 column 9",
            "field",
        );
        assert_eq!(
            problem.to_string(),
            "wrong_type: a value has the wrong type; expected a boolean at line 1 column 9"
        );
        let problem = of_serde(
            "invalid type: string \"x\", expected a sequence at line 1 column 9",
            "field",
        );
        assert_eq!(
            problem.to_string(),
            "wrong_type: a value has the wrong type; expected an array at line 1 column 9"
        );
        let problem = of_serde("unknown field `x`, expected `a` or `b`", "parameter");
        assert_eq!(
            problem.to_string(),
            "unknown_field: there is no parameter x; there is a or b"
        );
    }
}
