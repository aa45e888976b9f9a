//! The signing secrets of a subscription, opened.

use domain::secret::ServerSecret;
use domain::subscription::SubscriptionSecret;
use domain::webhook::{SigningSecret, SigningSecrets};
use domain::{Subscription, Timestamp};

/// The secrets that sign, and until when.
pub(crate) struct Secrets {
    current: SigningSecret,
    previous: Option<(SigningSecret, Timestamp)>,
}

impl Secrets {
    /// `None` if the current one was sealed under another server secret.
    pub(crate) fn open(subscription: &Subscription, secret: &ServerSecret) -> Option<Self> {
        let Subscription { id, secrets, .. } = subscription;
        let context = Subscription::secret_context(*id);
        let open = |kept: &SubscriptionSecret| {
            let text = secret.open(&kept.sealed, &context).ok()?;
            SigningSecret::parse(&text).ok()
        };
        let current = open(&secrets.current)?;
        let previous = secrets.previous.as_ref();
        Some(Self {
            current,
            previous: previous.and_then(|it| Some((open(&it.secret)?, it.expires_at))),
        })
    }

    /// Those that sign at `now`.
    pub(crate) fn at(&self, now: Timestamp) -> SigningSecrets {
        let live = self.previous.as_ref().filter(|(_, end)| now < *end);
        SigningSecrets {
            current: self.current.clone(),
            previous: live.map(|(secret, _)| secret.clone()),
        }
    }
}
