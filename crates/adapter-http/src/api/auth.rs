//! Authenticates requests by the admin token.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use crate::monitoring::Monitoring;
use crate::problem::Problem;
use crate::transport;

/// Passes requests with the admin token on and answers others with 401. Answers contain personal
/// data and secrets, so no cache may store them.
pub(crate) async fn require_token(
    monitoring: Data<Monitoring>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = match check_token(&monitoring, request.headers()).await {
        PresentedToken::Valid => {
            transport::mark_authenticated(request.request());
            next.call(request).await?.map_into_boxed_body()
        }
        PresentedToken::Wrong => request.into_response(unauthorized(
            "this is not the admin token",
            r#"Bearer realm="receiptd", error="invalid_token""#,
        )),
        PresentedToken::None => request.into_response(unauthorized(
            "send the admin token: Authorization: Bearer TOKEN",
            r#"Bearer realm="receiptd""#,
        )),
    };
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

/// The token of a request, compared with the admin token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PresentedToken {
    Valid,
    Wrong,
    None,
}

/// Compares the token of a request with the admin token. A wrong one is reported with a delay.
pub(crate) async fn check_token(monitoring: &Monitoring, headers: &HeaderMap) -> PresentedToken {
    let token = headers.get(header::AUTHORIZATION);
    match token.and_then(|value| bearer_token(value.as_bytes())) {
        None => PresentedToken::None,
        Some(token) if monitoring.state.admin_token.is(token) => PresentedToken::Valid,
        Some(_) => {
            monitoring.auth_failures.wait().await;
            PresentedToken::Wrong
        }
    }
}

fn bearer_token(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(b"Bearer ".len())?;
    let token = scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii());
    token.filter(|token| !token.is_empty())
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
