//! How errors look on the wire: `application/problem+json` of RFC 9457.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of a problem.
pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What went wrong, for programs (`code`) and for people (`detail`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` says more.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The words of the HTTP status.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong and what would be right.
    #[schema(value_type = String)]
    detail: Cow<'static, str>,
    /// A word that stays the same.
    #[schema(example = "no_such_channel")]
    code: &'static str,
    /// The field or parameter that is wrong, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    field: Option<Cow<'static, str>>,
    /// Where to go on, if the place asked for is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    resume_after: Option<Box<str>>,
}

impl Problem {
    /// A problem without a field.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            field: None,
            resume_after: None,
        }
    }

    /// The same, of a field or parameter.
    #[must_use]
    pub fn of(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: Some(field.into()),
            ..self
        }
    }

    /// The same, with a place to go on from.
    #[must_use]
    pub fn resuming_after(self, place: String) -> Self {
        Self {
            resume_after: Some(place.into()),
            ..self
        }
    }

    /// The stable word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The answer that carries it.
    #[must_use]
    pub fn response(&self) -> HttpResponse {
        // A struct of texts and numbers always becomes JSON.
        let body = serde_json::to_vec(self).unwrap_or_default();
        HttpResponse::build(self.status_code())
            .insert_header((header::CONTENT_TYPE, MEDIA_TYPE))
            .body(body)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}

/// What is said of a path that leads nowhere.
pub(crate) fn not_found() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this path",
    )
}
