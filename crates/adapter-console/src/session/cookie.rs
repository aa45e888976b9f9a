//! The cookie of a session.

use actix_web::http::header::{HeaderMap, HeaderValue};
use domain::access::session::SESSION_LIFETIME;
use domain::access::{ConsoleUrl, SessionKey};

use crate::cookies::{self, Cookie};

/// The name over https. Browsers take a cookie with this prefix only from the host itself, over
/// https and for all paths.
const HOST_NAME: &str = "__Host-receiptd";

/// The name over plain http, where browsers refuse the prefix.
const PLAIN_NAME: &str = "receiptd";

const fn name(url: &ConsoleUrl) -> &'static str {
    if url.is_https() {
        HOST_NAME
    } else {
        PLAIN_NAME
    }
}

/// Returns the key of the session that a request belongs to, if it has one.
pub(crate) fn key<'a>(headers: &'a HeaderMap, url: &ConsoleUrl) -> Option<&'a str> {
    cookies::get(headers, name(url)).filter(|key| !key.is_empty())
}

/// Returns the value of `Set-Cookie` that begins a session.
pub(crate) fn begin(key: &SessionKey, url: &ConsoleUrl) -> Option<HeaderValue> {
    let seconds = u32::try_from(SESSION_LIFETIME.as_secs()).unwrap_or(u32::MAX);
    set(&key.reveal(), seconds, url)
}

/// Returns the value of `Set-Cookie` that ends a session.
pub(crate) fn end(url: &ConsoleUrl) -> Option<HeaderValue> {
    set("", 0, url)
}

fn set(value: &str, max_age_seconds: u32, url: &ConsoleUrl) -> Option<HeaderValue> {
    let cookie = Cookie {
        name: name(url),
        value,
        max_age_seconds: Some(max_age_seconds),
        secure: url.is_https(),
    };
    cookie.header()
}
