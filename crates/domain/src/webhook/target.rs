//! The URL of an endpoint.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Position, Url};

/// The maximum length of a URL.
const LENGTH_MAX: usize = 2_048;

/// The URL to which events are sent, in the normalised form that is also used to connect:
/// `http://0x7f.1` is `http://127.0.0.1/`, so that no other spelling bypasses a check.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUrl(Url);

/// Why a text is not a valid URL of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTargetUrl {
    /// It is not a URL, or has characters that must be escaped.
    #[error(
        "a target is a URL like https://example.com/events, of 1 to 2048 printable ASCII \
         characters without spaces"
    )]
    Malformed,
    /// It has another scheme.
    #[error("a target starts with https:// or http://")]
    Scheme,
    /// It has a user or a password.
    #[error("a target has no user name and no password; a token can be in its query")]
    Credentials,
    /// It has a fragment, which is never sent.
    #[error("a target has no fragment (the part after #)")]
    Fragment,
}

impl TargetUrl {
    /// Parses a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidTargetUrl> {
        if !crate::text::is_ascii_token(text, LENGTH_MAX) {
            return Err(InvalidTargetUrl::Malformed);
        }
        let url = Url::parse(text).map_err(|_| InvalidTargetUrl::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidTargetUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTargetUrl::Credentials);
        }
        if url.fragment().is_some() {
            return Err(InvalidTargetUrl::Fragment);
        }
        // Escaping may exceed the maximum length.
        if url.as_str().len() > LENGTH_MAX {
            return Err(InvalidTargetUrl::Malformed);
        }
        Ok(Self(url))
    }

    /// Returns the parsed URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// Returns the whole URL. Its query may contain a token: do not log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }

    /// Returns the literal address of the host, like `127.0.0.1`. It needs no DNS lookup, so it has
    /// to be checked separately.
    #[must_use]
    pub fn literal_address(&self) -> Option<IpAddr> {
        match self.0.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        }
    }
}

/// Shows the URL without its query.
impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..Position::AfterPath])?;
        f.write_str(if self.0.query().is_some() { "?***" } else { "" })
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://example.com/events?token=1", "https://example.com/events?***")]
    #[case("HTTP://Example.COM:80", "http://example.com/")]
    #[case("http://[::1]:9/", "http://[::1]:9/")]
    fn a_target_is_shown_without_its_query(#[case] text: &str, #[case] shown: &str) {
        let target = TargetUrl::parse(text).unwrap();
        assert_eq!(target.to_string(), shown);
        assert_eq!(format!("{target:?}"), format!("TargetUrl({shown})"));
    }

    #[rstest]
    #[case("example.com", InvalidTargetUrl::Malformed)]
    #[case("https://", InvalidTargetUrl::Malformed)]
    #[case("https://exa mple.com/", InvalidTargetUrl::Malformed)]
    #[case("https://exämple.com/", InvalidTargetUrl::Malformed)]
    #[case("https://example.com/\n", InvalidTargetUrl::Malformed)]
    #[case("ftp://example.com/", InvalidTargetUrl::Scheme)]
    #[case("file:///etc/passwd", InvalidTargetUrl::Scheme)]
    #[case("https://user@example.com/", InvalidTargetUrl::Credentials)]
    #[case("https://:password@example.com/", InvalidTargetUrl::Credentials)]
    #[case("https://example.com/#top", InvalidTargetUrl::Fragment)]
    #[case(&format!("https://example.com/{}", "a".repeat(2_029)), InvalidTargetUrl::Malformed)]
    #[case(&format!("https://example.com/?{}", "\"".repeat(1_000)), InvalidTargetUrl::Malformed)]
    fn invalid_target_urls_are_refused(#[case] text: &str, #[case] error: InvalidTargetUrl) {
        assert_eq!(TargetUrl::parse(text), Err(error));
    }

    #[test]
    fn a_target_may_have_2048_characters() {
        let text = format!("https://example.com/{}", "a".repeat(2_028));
        assert_eq!(TargetUrl::parse(&text).unwrap().reveal(), text);
    }

    #[rstest]
    #[case("http://127.0.0.1/")]
    #[case("http://2130706433/")]
    #[case("http://0x7f000001/")]
    #[case("http://0x7f.1/")]
    #[case("http://0177.0.0.1/")]
    #[case("http://127.1/")]
    #[case("http://127.0.0.1./")]
    #[case("http://%31%32%37.0.0.1/")]
    #[case("http:\\\\127.0.0.1\\")]
    #[case("http:127.0.0.1")]
    fn odd_spellings_of_an_address_are_that_address(#[case] text: &str) {
        let address = TargetUrl::parse(text).unwrap().literal_address();
        assert_eq!(address, Some([127, 0, 0, 1].into()));
    }

    #[test]
    fn a_name_is_no_literal_address() {
        let target = TargetUrl::parse("http://127.0.0.1.example.com/").unwrap();
        assert_eq!(target.literal_address(), None);
    }
}
