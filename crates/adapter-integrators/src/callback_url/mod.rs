//! The callback URL, split and joined as text: Twilio signs the URL exactly as it was configured,
//! so nothing may be normalised.

use std::borrow::Cow;

use domain::PublicUrl;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ports::integrator::UserAndPassword;

/// All characters except the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The parts of a channel's callback URL. The fragment is dropped: Twilio neither sends nor signs
/// it.
#[derive(Clone)]
pub struct CallbackUrl<'a> {
    scheme: &'a str,
    user_info: Option<&'a str>,
    host: &'a str,
    port: Option<&'a str>,
    path: Cow<'a, str>,
    query: Option<&'a str>,
}

impl<'a> CallbackUrl<'a> {
    /// Builds the URL for the path of an endpoint. `public_url` either ends with that path already,
    /// or with that of another endpoint of the channel, which is replaced; or it is the base that
    /// the path is appended to. A base may have a path of its own.
    #[must_use]
    pub fn new(public_url: &'a PublicUrl, endpoint_path: &str) -> Self {
        let url = public_url.reveal();
        let url = url.split_once('#').map_or(url, |(url, _fragment)| url);
        let (url, query) = match url.split_once('?') {
            Some((url, query)) => (url, Some(query)),
            None => (url, None),
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user_info, host_and_port) = match authority.rsplit_once('@') {
            Some((user_info, host_and_port)) => (Some(user_info), host_and_port),
            None => (None, authority),
        };
        let (host, port) = split_port(host_and_port);
        let path = if path.ends_with(endpoint_path) {
            Cow::Borrowed(path)
        } else {
            let base = without_other_endpoint(path, endpoint_path).unwrap_or(path);
            Cow::Owned(format!("{}{endpoint_path}", base.trim_end_matches('/')))
        };
        Self {
            scheme,
            user_info,
            host,
            port,
            path,
            query,
        }
    }

    /// Sets the query, in place of one that the URL has.
    #[must_use]
    pub fn with_query(self, query: Option<&'a str>) -> Self {
        Self { query, ..self }
    }

    /// Adds the query of a request, unless the URL has a query of its own.
    #[must_use]
    pub fn with_query_of_request(self, query: Option<&'a str>) -> Self {
        Self {
            query: self.query.or(query),
            ..self
        }
    }

    /// Returns the configured URL without credentials.
    #[must_use]
    pub fn without_credentials(&self) -> String {
        self.assemble(None, self.port)
    }

    /// Returns the configured URL with these credentials, percent-encoded.
    #[must_use]
    pub fn with_credentials(&self, user: &str, password: &str) -> String {
        self.assemble(Some(&escaped(user, password)), self.port)
    }

    /// Returns every form of the URL that Twilio is known to sign: with and without credentials,
    /// and with the port as configured, omitted, or the explicit default port.
    ///
    /// Configured credentials are used unchanged. Without them, the presented ones are used, both
    /// raw and percent-encoded, because Twilio took them from a URL whose escaping is unknown.
    #[must_use]
    pub fn variants(&self, presented: Option<&UserAndPassword>) -> Vec<String> {
        let mut user_infos = vec![None];
        if let Some(configured) = self.user_info {
            user_infos.push(Some(Cow::Borrowed(configured)));
        } else if let Some(presented) = presented {
            let (user, password) = (presented.user(), presented.password());
            user_infos.push(Some(format!("{user}:{password}").into()));
            user_infos.push(Some(escaped(user, password).into()));
        }
        let mut variants = Vec::with_capacity(9);
        for user_info in &user_infos {
            for port in [self.port, None, Some(self.default_port())] {
                let variant = self.assemble(user_info.as_deref(), port);
                if !variants.contains(&variant) {
                    variants.push(variant);
                }
            }
        }
        variants
    }

    fn default_port(&self) -> &'static str {
        if self.scheme.eq_ignore_ascii_case("http") {
            "80"
        } else {
            "443"
        }
    }

    fn assemble(&self, user_info: Option<&str>, port: Option<&str>) -> String {
        let Self {
            scheme, host, path, ..
        } = self;
        let optional = |before: &str, text: Option<&str>, after: &str| {
            text.map_or_else(String::new, |text| format!("{before}{text}{after}"))
        };
        let user_info = optional("", user_info, "@");
        let port = optional(":", port, "");
        let query = optional("?", self.query, "");
        format!("{scheme}://{user_info}{host}{port}{path}{query}")
    }
}

/// Returns the base of a URL path that ends with another endpoint of the same channel: that path
/// differs from `endpoint_path` in the segment before the last one only.
fn without_other_endpoint<'a>(path: &'a str, endpoint_path: &str) -> Option<&'a str> {
    let (start, channel) = endpoint_path.rsplit_once('/')?;
    let (integrator, _word) = start.rsplit_once('/')?;
    let (start, _word) = path
        .strip_suffix(channel)?
        .strip_suffix('/')?
        .rsplit_once('/')?;
    start
        .strip_suffix(integrator)
        .filter(|_| !integrator.is_empty())
}

/// Splits at the colon before the port, not at those within an IPv6 address.
fn split_port(host_and_port: &str) -> (&str, Option<&str>) {
    match host_and_port.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host_and_port, None),
    }
}

fn escaped(user: &str, password: &str) -> String {
    let escape = |text| utf8_percent_encode(text, RESERVED);
    format!("{}:{}", escape(user), escape(password))
}

#[cfg(test)]
mod tests;
