//! How pages look to one browser: the theme and the zone of times, kept in cookies.

use actix_web::HttpResponse;
use actix_web::http::header;

use crate::cookies::Cookie;
use crate::fields::Form;
use crate::page;
use crate::visit::{THEME_COOKIE, Theme, Visit, ZONE_COOKIE};

/// How long a preference is kept: a year.
const MAX_AGE_SECONDS: u32 = 31_536_000;

/// Changes a preference and returns to the page it was changed on.
pub(crate) async fn change(_: Visit, form: Form) -> HttpResponse {
    let mut response = page::redirect(local_path(form.0.text("back")));
    let theme = form.0.get("theme").and_then(Theme::from_word);
    let theme = theme.map(|theme| (THEME_COOKIE, theme.as_str()));
    let zone = form.0.get("zone").map(|zone| match zone {
        "utc" => (ZONE_COOKIE, "utc"),
        _ => (ZONE_COOKIE, "configured"),
    });
    for (name, value) in theme.into_iter().chain(zone) {
        let cookie = Cookie {
            name,
            value,
            max_age_seconds: Some(MAX_AGE_SECONDS),
            secure: false,
        };
        if let Some(line) = cookie.header() {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
    response
}

/// Returns the path of a page of the console, whatever a form asks for: a redirect to another
/// site would lend it the trust that people have in this one.
pub(crate) fn local_path(path: &str) -> &str {
    let is_plain = |path: &str| {
        path.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    if path.starts_with("/console/") && is_plain(path) {
        path
    } else {
        "/console/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_to_pages_of_the_console_only() {
        assert_eq!(
            local_path("/console/messages?status=read"),
            "/console/messages?status=read"
        );
        for foreign in [
            "",
            "https://example.com/console/",
            "//example.com/console/",
            "/\\example.com",
            "/console/\r\nSet-Cookie: a=b",
            "/console\\@example.com",
            "/docs/",
        ] {
            assert_eq!(local_path(foreign), "/console/", "{foreign:?}");
        }
    }
}
