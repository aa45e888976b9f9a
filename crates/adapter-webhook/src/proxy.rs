//! The proxy for outgoing events.

use std::fmt;

use reqwest::{Proxy, Url};

/// The URL of an HTTP proxy, which may hold a user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

/// The text is no URL of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is written http://HOST:PORT or http://USER:PASSWORD@HOST:PORT")]
pub struct InvalidProxyUrl;

impl ProxyUrl {
    /// Parses an `http://` or `https://` URL without a path.
    pub fn parse(text: &str) -> Result<Self, InvalidProxyUrl> {
        let url = Url::parse(text).map_err(|_| InvalidProxyUrl)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if matches!(url.scheme(), "http" | "https") && url.has_host() && bare {
            Ok(Self(url))
        } else {
            Err(InvalidProxyUrl)
        }
    }

    /// Returns the client setting that uses it for all requests.
    pub(crate) fn proxy(&self) -> Result<Proxy, reqwest::Error> {
        Proxy::all(self.0.clone())
    }
}

/// Shows the URL without user and password.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_is_shown_without_its_password() {
        let proxy = ProxyUrl::parse("http://user:secret@proxy.example.com:3128").unwrap();
        assert_eq!(proxy.to_string(), "http://proxy.example.com:3128");
        assert_eq!(format!("{proxy:?}"), proxy.to_string());
    }

    #[test]
    fn only_http_proxies_are_accepted() {
        for text in [
            "",
            "proxy:3128",
            "socks5://a",
            "http://",
            "http://a/b",
            "http://a?b",
        ] {
            assert_eq!(ProxyUrl::parse(text), Err(InvalidProxyUrl), "{text}");
        }
    }
}
