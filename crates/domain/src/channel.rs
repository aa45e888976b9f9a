//! Channels: configured accesses to WhatsApp.

use std::fmt;
use std::sync::Arc;

use crate::webhook::TargetUrl;
use crate::{Address, IntegratorName, RetentionDays, Timestamp, crypto::SealedSecret};

/// The id of a channel, an opaque text like `202105102694809992`. It is part of the report path, so
/// it consists of characters that need no escaping there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(Arc<str>);

/// The text is not a channel id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a channel id is 1 to 64 letters, digits and -._~ and not only dots")]
pub struct InvalidChannelId;

impl ChannelId {
    /// Parses an id.
    pub fn parse(text: &str) -> Result<Self, InvalidChannelId> {
        if crate::text::is_path_segment(text, 64) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidChannelId)
        }
    }

    /// Returns the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The display name of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelName(String);

/// The text is not a channel name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a channel name is 1 to 200 characters without control characters")]
pub struct InvalidChannelName;

impl ChannelName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, InvalidChannelName> {
        if crate::text::is_plain_line(text, 200) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidChannelName)
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The public URL of the receiver: the base (`https://reports.example.com`) or the whole callback
/// URL of a channel. It is not normalised, since signatures cover it as it was typed.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// The text is not a public URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a public URL starts with https:// or http://, names a host and has at most 1024 printable \
     ASCII characters without spaces"
)]
pub struct InvalidPublicUrl;

impl PublicUrl {
    /// Parses a URL.
    pub fn parse(text: &str) -> Result<Self, InvalidPublicUrl> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or(InvalidPublicUrl)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let named = !host.is_empty() && !host.starts_with(':');
        if named && crate::text::is_ascii_token(text, 1024) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPublicUrl)
        }
    }

    /// Returns the URL with its credentials.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the URL without user name, password, query, fragment and final slash.
    #[must_use]
    pub fn without_credentials(&self) -> String {
        let url = self.0.split(['?', '#']).next().unwrap_or_default();
        let Some((scheme, rest)) = url.split_once("://") else {
            return String::new();
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority.rsplit('@').next().unwrap_or_default();
        let path = path.trim_end_matches('/');
        format!("{scheme}://{host}{path}")
    }
}

/// Shows the URL without credentials.
impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return f.write_str("***");
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => write!(f, "{scheme}://***@{host}{path}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicUrl({self})")
    }
}

/// A configured WhatsApp access of one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its id in the report path.
    pub id: ChannelId,
    /// The integrator that reports on its messages.
    pub integrator: IntegratorName,
    /// Its display name.
    pub name: ChannelName,
    /// Whether its reports are accepted. Those of a disabled channel are refused and stored as
    /// rejections.
    pub enabled: bool,
    /// The senders whose reports are accepted; empty accepts all.
    pub senders: Vec<Address>,
    /// The public URL of this channel, if it differs from that of the service.
    pub public_url: Option<PublicUrl>,
    /// The integrator's [signing tokens](crate::crypto::SigningTokens), sealed. If set, every
    /// report must be signed with one.
    pub signing_token: Option<SealedSecret>,
    /// The retention of its messages, if it differs from that of the service.
    pub keep_messages_days: Option<RetentionDays>,
    /// Where requests with something that is no report are forwarded to; `None` drops them.
    pub forward_url: Option<TargetUrl>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Incremented by every change, from 1. A change to an older version is refused.
    pub version: i64,
}

/// Counts of unsuccessful calls of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCalls {
    /// Requests without credentials, which were asked for them. Half of all good calls of some
    /// integrators begin so.
    pub challenged: u64,
    /// Requests with wrong credentials.
    pub refused: u64,
    /// Requests with the right credentials whose report was rejected.
    pub rejected: u64,
    /// When credentials were last wrong.
    pub last_refused_at: Option<Timestamp>,
}

impl Channel {
    /// Returns whether reports of messages from `sender` are accepted. The list may leave out
    /// schemes. A report that names no sender is accepted: its caller is authenticated.
    #[must_use]
    pub fn allows(&self, sender: Option<&Address>) -> bool {
        let is_listed = |sender| self.senders.iter().any(|allowed| allowed.is_like(sender));
        self.senders.is_empty() || sender.is_none_or(is_listed)
    }

    /// Returns the text that a sealed signing token is bound to, so that it opens for
    /// this channel only.
    #[must_use]
    pub fn signing_token_context(id: &ChannelId) -> String {
        format!("channel/{id}/signing-token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("202105102694809992", true)]
    #[case("Tenant-7_main~x.1", true)]
    #[case("", false)]
    #[case("..", false)]
    #[case("a/b", false)]
    #[case("a b", false)]
    #[case("ä", false)]
    #[case(&"9".repeat(64), true)]
    #[case(&"9".repeat(65), false)]
    fn a_channel_id_needs_no_escaping(#[case] text: &str, #[case] good: bool) {
        assert_eq!(ChannelId::parse(text).is_ok(), good);
    }

    #[rstest]
    #[case("https://u:p@example.com/x", "https://***@example.com/x")]
    #[case("https://example.com:8443", "https://example.com:8443")]
    #[case("https://example.com/a@b", "https://example.com/a@b")]
    fn a_public_url_hides_its_credentials(#[case] url: &str, #[case] shown: &str) {
        assert_eq!(PublicUrl::parse(url).unwrap().to_string(), shown);
    }

    #[rstest]
    #[case("https://u:p@example.com/x/?a=1#b", "https://example.com/x")]
    #[case("http://example.com:8080", "http://example.com:8080")]
    #[case("https://example.com/a@b", "https://example.com/a@b")]
    fn a_public_url_can_be_shown_without_credentials(#[case] url: &str, #[case] shown: &str) {
        let url = PublicUrl::parse(url).unwrap();
        assert_eq!(url.without_credentials(), shown);
    }

    #[rstest]
    #[case("example.com")]
    #[case("ftp://example.com")]
    #[case("https://")]
    #[case("https://u:p@")]
    #[case("https://:80")]
    #[case("https://exa mple.com")]
    fn invalid_public_urls_are_refused(#[case] url: &str) {
        assert_eq!(PublicUrl::parse(url), Err(InvalidPublicUrl));
    }
}
