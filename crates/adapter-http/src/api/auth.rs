//! Authenticates requests by the tokens of operators.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use domain::access::Operator;
use ports::StoreError;

use crate::api::error::ApiError;
use crate::monitoring::Monitoring;
use crate::problem::Problem;
use crate::transport;

/// Passes requests with a valid token on, with its [`Operator`] as an extension, and answers others
/// with 401. Answers contain personal data and secrets, so no cache may store them.
pub(crate) async fn require_token(
    monitoring: Data<Monitoring>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = match check_token(&monitoring, request.headers()).await {
        Ok(PresentedToken::Valid(operator)) => {
            transport::mark_authenticated(request.request());
            request.extensions_mut().insert(operator);
            next.call(request).await?.map_into_boxed_body()
        }
        Ok(PresentedToken::Wrong) => request.into_response(invalid_token()),
        Ok(PresentedToken::None) => request.into_response(unauthorized(
            "send a token: Authorization: Bearer TOKEN",
            r#"Bearer realm="receiptd""#,
        )),
        Err(error) => request.error_response(ApiError::Store(error)),
    };
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// The token of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PresentedToken {
    Valid(Operator),
    Wrong,
    None,
}

/// Authenticates the token of a request. A wrong one is reported with a delay.
pub(crate) async fn check_token(
    monitoring: &Monitoring,
    headers: &HeaderMap,
) -> Result<PresentedToken, StoreError> {
    let token = headers.get(header::AUTHORIZATION);
    let Some(token) = token.and_then(|value| bearer_token(value.as_bytes())) else {
        return Ok(PresentedToken::None);
    };
    let operator = monitoring.run(monitoring.state.authenticate.run(token));
    if let Some(operator) = operator.await? {
        return Ok(PresentedToken::Valid(operator));
    }
    monitoring.auth_failures.wait().await;
    Ok(PresentedToken::Wrong)
}

fn bearer_token(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"Bearer ".len())?;
    let token = scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii());
    token.filter(|token| !token.is_empty())
}

/// The answer to a request whose token is not valid.
pub(crate) fn invalid_token() -> HttpResponse {
    unauthorized(
        "the token is unknown, expired or revoked",
        r#"Bearer realm="receiptd", error="invalid_token""#,
    )
}

fn unauthorized(detail: &'static str, challenge: &'static str) -> HttpResponse {
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).response();
    let challenge = HeaderValue::from_static(challenge);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_scheme_is_compared_without_case() {
        assert_eq!(bearer_token(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer_token(b"bearer  abc "), Some(&b"abc"[..]));
        assert_eq!(bearer_token(b"Basic abc"), None);
        assert_eq!(bearer_token(b"Bearer"), None);
        assert_eq!(bearer_token(b"Bearer  "), None);
    }
}
