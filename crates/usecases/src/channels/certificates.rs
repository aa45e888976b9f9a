//! Checks the certificates of all public URLs on request.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ChannelId, PublicUrl, Timestamp};
use ports::error::error_chain;
use ports::{ChannelStore, StoreError, UrlProbe};

use super::channel_test::target;
use crate::integrators::Integrators;

/// Looks at the certificates of all public URLs.
pub struct CheckCertificates {
    channels: Arc<dyn ChannelStore>,
    probe: Arc<dyn UrlProbe>,
    integrators: Integrators,
    public_url: PublicUrl,
    private_targets: bool,
}

/// The certificate of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedCertificate {
    /// The host and, if it is not 443, the port.
    pub host: String,
    /// The enabled channels that are called there, by id.
    pub channels: Vec<ChannelId>,
    /// When the certificate expires, or why none is known.
    pub expires_at: Result<Timestamp, String>,
}

impl CheckCertificates {
    /// Looks at the public URL of the service, and at those of channels. The latter may lead to
    /// private addresses only if `private_targets`.
    #[must_use]
    pub fn new(
        channels: Arc<dyn ChannelStore>,
        probe: Arc<dyn UrlProbe>,
        integrators: Integrators,
        public_url: PublicUrl,
        private_targets: bool,
    ) -> Self {
        Self {
            channels,
            probe,
            integrators,
            public_url,
            private_targets,
        }
    }

    /// Connects once to each host that enabled channels are called at over https, and returns their
    /// certificates by host.
    pub async fn run(&self) -> Result<Vec<CheckedCertificate>, StoreError> {
        let mut hosts = BTreeMap::new();
        for found in self.channels.all().await? {
            let channel = found.channel;
            let Some(integrator) = self.integrators.find(&channel.integrator) else {
                continue;
            };
            let own = channel.public_url.as_ref();
            let base = own.unwrap_or(&self.public_url);
            let private = own.is_none() || self.private_targets;
            let Ok(target) = target(integrator.as_ref(), &channel.id, base, private) else {
                continue;
            };
            if channel.enabled && target.url.url().scheme() == "https" {
                let host = target.url.url().authority().to_owned();
                let (_, channels) = hosts.entry(host).or_insert((target, Vec::new()));
                channels.push(channel.id);
            }
        }
        let mut checked = Vec::with_capacity(hosts.len());
        for (host, (target, channels)) in hosts {
            let connection = self.probe.connect(&target).await;
            let certificate = connection.certificates.first();
            let failed = connection
                .lookup
                .result
                .err()
                .or_else(|| connection.connect.and_then(|step| step.result.err()))
                .or_else(|| connection.handshake.and_then(|step| step.result.err()));
            let failed = failed.map(|error| error_chain(error.as_ref()));
            let expires_at = certificate
                .map(|certificate| certificate.expires_at)
                .ok_or_else(|| failed.unwrap_or_default());
            checked.push(CheckedCertificate {
                host,
                channels,
                expires_at,
            });
        }
        Ok(checked)
    }
}
