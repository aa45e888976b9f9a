//! The admin token opens the API and the metrics.

use std::fmt;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::problem::Problem;
use crate::transport;
use crate::watch::Watch;

/// The SHA-256 of the token that opens the operator's listener.
#[derive(Clone, Copy)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// Keeps the hash of a token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self::from_sha256(Sha256::digest(token).into())
    }

    /// Takes a hash that was made before.
    #[must_use]
    pub const fn from_sha256(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// Whether a token is the one. Takes the same time wherever it differs.
    #[must_use]
    pub fn is(&self, token: &[u8]) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.0.ct_eq(&hash).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

/// Lets a request with the admin token pass. Answers hold personal data and
/// secrets, so nobody on the way may keep them.
pub(crate) async fn only_with_token(
    watch: web::Data<Watch>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = match token_shown(&watch, request.headers()).await {
        TokenShown::Right => {
            transport::authenticate(request.request());
            next.call(request).await?.map_into_boxed_body()
        }
        TokenShown::Wrong => request.into_response(unauthorized(
            "this is not the admin token",
            r#"Bearer realm="receiptd", error="invalid_token""#,
        )),
        TokenShown::None => request.into_response(unauthorized(
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

/// Which token a request shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenShown {
    /// The admin token.
    Right,
    /// Another one.
    Wrong,
    /// None at all.
    None,
}

/// Compares the token that a request shows. After a wrong one the answer is delayed.
pub(crate) async fn token_shown(watch: &Watch, headers: &HeaderMap) -> TokenShown {
    match bearer(headers) {
        None => TokenShown::None,
        Some(token) if watch.state.admin_token.is(token) => TokenShown::Right,
        Some(_) => {
            watch.guessing.wait().await;
            TokenShown::Wrong
        }
    }
}

/// The token that a request shows.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    token_of(headers.get(header::AUTHORIZATION)?.as_bytes())
}

fn token_of(header: &[u8]) -> Option<&[u8]> {
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
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        assert_eq!(token_of(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(token_of(b"bearer  abc "), Some(&b"abc"[..]));
        assert_eq!(token_of(b"Basic abc"), None);
        assert_eq!(token_of(b"Bearer"), None);
        assert_eq!(token_of(b"Bearer  "), None);
    }

    #[test]
    fn the_hash_of_the_token_is_compared() {
        let token = AdminToken::new("token");
        assert!(token.is(b"token"));
        assert!(!token.is(b"Token"));
        assert_eq!(format!("{token:?}"), "AdminToken(***)");
    }
}
