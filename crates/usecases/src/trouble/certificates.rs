//! Finds certificates that expire, for the rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::trouble::rules::certificate_expiring;
use domain::trouble::{TroubleKey, TroubleKind, TroubleSubject};
use domain::webhook::TargetUrl;
use domain::{PublicUrl, Timestamp};
use ports::url_probe::ProbeTarget;
use ports::{ChannelWithCredentials, UrlProbe};

use super::findings::Findings;

/// How often a certificate is looked at: once an hour.
const CHECK_INTERVAL_MICROS: i64 = 3_600 * 1_000_000;

/// What looking at certificates needs.
#[derive(Clone)]
pub struct CertificateSource {
    /// Calls the public URLs.
    pub probe: Arc<dyn UrlProbe>,
    /// Public URL of channels that have none of their own. It may lead to private addresses.
    pub public_url: PublicUrl,
    /// Whether public URLs of channels may lead to private addresses too.
    pub private_targets: bool,
}

/// The certificates that were looked at, by URL.
#[derive(Debug, Default)]
pub(super) struct Certificates(BTreeMap<String, Seen>);

/// When a URL was called, and when its certificate expires; `None` if it presented none.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Certificates {
    /// Judges the public URL of the service and those of channels. Calls one of them that was not
    /// called for an hour.
    pub(super) async fn judge(
        &mut self,
        source: &CertificateSource,
        channels: &[&ChannelWithCredentials],
        now: Timestamp,
        findings: &mut Findings,
    ) {
        let urls = urls(source, channels);
        let outdated = |seen: &Seen| {
            // A clock that was set back must not keep it forever.
            !(seen.at..seen.at.plus_micros(CHECK_INTERVAL_MICROS)).contains(&now)
        };
        self.0
            .retain(|url, _| urls.iter().any(|(_, known, _)| known == url));
        let due = urls
            .iter()
            .find(|(_, url, _)| self.0.get(url).is_none_or(outdated));
        if let Some((_, url, private)) = due {
            let expires_at = expiry(source, url, *private).await;
            // One that cannot be seen now may have been seen before.
            let before = self.0.get(url).and_then(|seen| seen.expires_at);
            let seen = Seen {
                at: now,
                expires_at: expires_at.or(before),
            };
            self.0.insert(url.clone(), seen);
        }
        for (subject, url, _) in urls {
            let kind = TroubleKind::CertificateExpiring;
            let Some(seen) = self.0.get(&url) else {
                findings.not_judged(kind);
                continue;
            };
            let found = seen
                .expires_at
                .and_then(|expires_at| certificate_expiring(expires_at, now));
            findings.add(TroubleKey { kind, subject }, found);
        }
    }
}

/// Returns what has a public URL with a certificate: its subject, the URL, and whether that may
/// lead to private addresses.
fn urls(
    source: &CertificateSource,
    channels: &[&ChannelWithCredentials],
) -> Vec<(TroubleSubject, String, bool)> {
    let of_service = (TroubleSubject::Service, &source.public_url, true);
    let of_channels = channels.iter().filter_map(|found| {
        let url = found.channel.public_url.as_ref()?;
        let subject = TroubleSubject::Channel(found.channel.id.clone());
        Some((subject, url, source.private_targets))
    });
    [of_service]
        .into_iter()
        .chain(of_channels)
        .map(|(subject, url, private)| (subject, url.without_credentials(), private))
        .filter(|(_, url, _)| url.starts_with("https:"))
        .collect()
}

/// Returns when the certificate of a URL expires; `None` if it presents none.
async fn expiry(source: &CertificateSource, url: &str, private: bool) -> Option<Timestamp> {
    let url = TargetUrl::parse(url).ok()?;
    let target = ProbeTarget { url, private };
    let connection = source.probe.connect(&target).await;
    let certificates = connection.certificates.iter();
    // The first of the chain that expires ends its validity.
    certificates.map(|certificate| certificate.expires_at).min()
}
