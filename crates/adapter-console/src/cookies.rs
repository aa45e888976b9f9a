//! Reads and writes cookies.

use std::fmt::Write as _;

use actix_web::http::header::{self, HeaderMap, HeaderValue};

/// Returns the value of a cookie of a request.
pub(crate) fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// A cookie to set. Values consist of characters that need no quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a str,
    /// How long the browser keeps it; 0 removes it, `None` keeps it until the browser is closed.
    pub(crate) max_age_seconds: Option<u32>,
    /// Whether it is sent over https only.
    pub(crate) secure: bool,
}

impl Cookie<'_> {
    /// Returns the value of `Set-Cookie`; `None` if it has characters that no header may have.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let Self {
            name,
            value,
            max_age_seconds,
            secure,
        } = self;
        let mut line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
        if let Some(seconds) = max_age_seconds {
            // Writing into a `String` cannot fail.
            let _ = write!(line, "; Max-Age={seconds}");
        }
        if *secure {
            line.push_str("; Secure");
        }
        HeaderValue::try_from(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static("a=1; receiptd=abc==; b=2");
        headers.append(header::COOKIE, value);
        assert_eq!(get(&headers, "receiptd"), Some("abc=="));
        assert_eq!(get(&headers, "eceiptd"), None);
    }

    #[test]
    fn a_cookie_is_not_readable_by_scripts_and_not_sent_by_other_sites() {
        let cookie = Cookie {
            name: "__Host-receiptd",
            value: "x",
            max_age_seconds: Some(60),
            secure: true,
        };
        assert_eq!(
            cookie.header().unwrap(),
            "__Host-receiptd=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
        );
    }
}
