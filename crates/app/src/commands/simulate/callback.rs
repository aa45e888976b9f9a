//! The callback URL, parsed as integrators do.

use anyhow::{Context as _, Result, ensure};
use domain::ChannelId;
use reqwest::Url;
use traffic::integrator::Integrator;

use super::retries::CallRetries;

pub struct CallbackTarget {
    configured: Url,
    target: Url,
}

impl CallbackTarget {
    pub fn parse(text: &str) -> Result<Self> {
        let configured = Url::parse(text).context("--url is no URL")?;
        ensure!(
            matches!(configured.scheme(), "http" | "https"),
            "--url starts with http:// or https://"
        );
        let mut target = configured.clone();
        target.set_fragment(None);
        // This fails only for URLs without a host; those of HTTP have one.
        let _ = target.set_username("");
        let _ = target.set_password(None);
        Ok(Self { configured, target })
    }

    /// Returns the URL without credentials and fragment.
    pub const fn target(&self) -> &Url {
        &self.target
    }

    /// Returns the webhook user and password in the URL.
    pub fn credentials(&self) -> Option<(String, String)> {
        let password = self.configured.password()?;
        Some((decoded(self.configured.username())?, decoded(password)?))
    }

    /// Returns the channel: the last part of the path.
    pub fn channel(&self) -> Result<ChannelId> {
        let last = self
            .configured
            .path_segments()
            .and_then(|mut parts| parts.next_back());
        ChannelId::parse(last.unwrap_or_default())
            .context("--url ends in a channel id, like /social/on/whatsapp/twilio/report/ID")
    }

    /// Returns the integrator: the part of the path before the word and the channel id.
    pub fn integrator(&self) -> Result<Integrator> {
        let parts = self.configured.path_segments();
        let name = parts.and_then(|parts| parts.rev().nth(2));
        name.and_then(Integrator::named)
            .context("--url names no integrator that can be simulated; give --integrator")
    }

    pub fn retries(&self, integrator: Integrator) -> CallRetries {
        match integrator {
            Integrator::Twilio => CallRetries::of_fragment(self.configured.fragment()),
            _ if integrator.redelivers() => CallRetries::ALWAYS,
            _ => CallRetries::NEVER,
        }
    }
}

/// Percent-decodes a text, through a form of one field.
fn decoded(text: &str) -> Option<String> {
    let form = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let fields: Vec<(String, String)> = serde_urlencoded::from_str(&form).ok()?;
    fields.into_iter().next().map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_fragment_are_parsed_and_not_sent() {
        let callback = CallbackTarget::parse(
            "http://me:p%3A+%26w@127.0.0.1:8080/social/report/42?a=1#rc=5&rp=ct,rt,5xx",
        )
        .unwrap();
        assert_eq!(
            callback.target().as_str(),
            "http://127.0.0.1:8080/social/report/42?a=1"
        );
        assert_eq!(
            callback.credentials(),
            Some(("me".to_owned(), "p:+&w".to_owned()))
        );
        assert_eq!(callback.channel().unwrap().as_str(), "42");
    }

    #[test]
    fn integrator_is_named_in_the_path() {
        let url = "https://example.com/social/on/whatsapp/gupshup/message/42#rc=5";
        let callback = CallbackTarget::parse(url).unwrap();
        assert_eq!(callback.integrator().unwrap(), Integrator::Gupshup);
    }

    #[test]
    fn url_without_credentials_or_channel_is_noticed() {
        let callback = CallbackTarget::parse("http://127.0.0.1:8080/").unwrap();
        assert_eq!(callback.credentials(), None);
        assert!(callback.channel().is_err());
        assert!(callback.integrator().is_err());
        assert!(CallbackTarget::parse("ftp://x/1").is_err());
    }
}
