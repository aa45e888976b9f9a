//! Whether a form was sent from a page of the console, as the browser tells.

use actix_web::http::header::{self, HeaderMap, HeaderName};
use domain::access::ConsoleUrl;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns whether the browser says that a request comes from a page of this origin.
///
/// Browsers send `Sec-Fetch-Site` over https and to this machine. Over plain http from elsewhere
/// there is only `Origin`, which must be that of the configured URL.
pub(crate) fn is_own(headers: &HeaderMap, url: &ConsoleUrl) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    match text(SEC_FETCH_SITE) {
        Some(site) => site == "same-origin",
        None => text(header::ORIGIN) == Some(url.origin()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Some("same-origin"), None, true)]
    #[case(Some("same-origin"), Some("https://evil.example"), true)]
    #[case(Some("same-site"), Some("https://ops.example.com"), false)]
    #[case(Some("cross-site"), Some("https://ops.example.com"), false)]
    #[case(Some("none"), None, false)]
    #[case(None, Some("https://ops.example.com"), true)]
    #[case(None, Some("https://ops.example.com.evil.example"), false)]
    #[case(None, Some("http://ops.example.com"), false)]
    #[case(None, Some("null"), false)]
    #[case(None, None, false)]
    fn forms_of_other_sites_are_told_apart(
        #[case] site: Option<&'static str>,
        #[case] origin: Option<&'static str>,
        #[case] own: bool,
    ) {
        let url = ConsoleUrl::parse("https://ops.example.com").unwrap();
        let mut headers = HeaderMap::new();
        let lines = [(SEC_FETCH_SITE, site), (header::ORIGIN, origin)];
        for (name, value) in lines {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        assert_eq!(is_own(&headers, &url), own);
    }
}
