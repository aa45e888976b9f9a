//! Opens the signing secrets of a subscription.

use domain::crypto::ServerSecret;
use domain::crypto::{SigningSecret, SigningSecrets};
use domain::subscription::SubscriptionSecret;
use domain::{Subscription, Timestamp};

/// The opened secrets, and when the previous one expires.
pub(crate) struct Secrets {
    current: SigningSecret,
    previous: Option<(SigningSecret, Timestamp)>,
}

impl Secrets {
    /// Opens the secrets; `None` if the current one was sealed under another server secret.
    pub(crate) fn open(subscription: &Subscription, secret: &ServerSecret) -> Option<Self> {
        let Subscription { id, secrets, .. } = subscription;
        let context = Subscription::secret_context(*id);
        let open = |stored: &SubscriptionSecret| {
            let text = secret.open(&stored.sealed, &context).ok()?;
            SigningSecret::parse(&text).ok()
        };
        let current = open(&secrets.current)?;
        let previous = secrets.previous.as_ref();
        Some(Self {
            current,
            previous: previous.and_then(|it| Some((open(&it.secret)?, it.expires_at))),
        })
    }

    /// Returns the secrets that sign at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> SigningSecrets {
        let live = self.previous.as_ref().filter(|(_, end)| now < *end);
        SigningSecrets {
            current: self.current.clone(),
            previous: live.map(|(secret, _)| secret.clone()),
        }
    }
}
