//! The URL of the console.

use std::fmt;

use url::Url;

/// The URL at which browsers reach the console: a scheme, a host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleUrl {
    origin: String,
    host: String,
    is_https: bool,
}

/// The text is not such a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL of the console is http:// or https://, a host and perhaps a port, without a path, \
     like https://receiptd.example.com"
)]
pub struct InvalidConsoleUrl;

impl ConsoleUrl {
    /// Parses a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidConsoleUrl> {
        let url = Url::parse(text).map_err(|_| InvalidConsoleUrl)?;
        let is_https = url.scheme() == "https";
        let is_plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !(is_https || url.scheme() == "http") || !is_plain {
            return Err(InvalidConsoleUrl);
        }
        let host = url.host_str().ok_or(InvalidConsoleUrl)?.to_owned();
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            host,
            is_https,
        })
    }

    /// Returns whether browsers use TLS, so that cookies can have the prefix `__Host-`.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.is_https
    }

    /// Returns the origin as browsers send it: scheme, host, and the port if it is not the
    /// scheme's own.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the host without its port; an IPv6 address is in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for ConsoleUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "https://Ops.example.com/",
        "https://ops.example.com",
        "ops.example.com",
        true
    )]
    #[case(
        "https://ops.example.com:443",
        "https://ops.example.com",
        "ops.example.com",
        true
    )]
    #[case("http://127.0.0.1:8081", "http://127.0.0.1:8081", "127.0.0.1", false)]
    #[case("http://[::1]:8081", "http://[::1]:8081", "[::1]", false)]
    fn url_is_reduced_to_its_origin(
        #[case] text: &str,
        #[case] origin: &str,
        #[case] host: &str,
        #[case] is_https: bool,
    ) {
        let url = ConsoleUrl::parse(text).unwrap();
        assert_eq!(url.origin(), origin);
        assert_eq!(url.to_string(), origin);
        assert_eq!(url.host(), host);
        assert_eq!(url.is_https(), is_https);
    }

    #[rstest]
    #[case("")]
    #[case("ops.example.com")]
    #[case("ftp://ops.example.com")]
    #[case("https://")]
    #[case("https://ops.example.com/console")]
    #[case("https://ops.example.com/?a")]
    #[case("https://user:password@ops.example.com")]
    fn other_texts_are_refused(#[case] text: &str) {
        assert_eq!(ConsoleUrl::parse(text), Err(InvalidConsoleUrl));
    }
}
