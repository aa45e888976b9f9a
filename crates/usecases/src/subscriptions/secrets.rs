//! Rotates signing secrets, and sends test events that are signed with them.

use std::time::Duration;

use domain::crypto::SigningSecret;
use domain::subscription::SubscriptionSecret;
use domain::webhook::WebhookId;
use domain::{Subscription, SubscriptionId, Timestamp};
use ports::webhook_sender::{Delivered, OutgoingEvent, SendError, Target};

use crate::delivery::secrets::Secrets;
use crate::events::cloud_event::CloudEvent;
use crate::subscriptions::manage::{ManageSubscriptions, SubscriptionError};

/// How long a replaced secret continues to sign, by default.
pub const DEFAULT_OVERLAP: Duration = Duration::from_hours(24);

impl ManageSubscriptions {
    /// Replaces the signing secret, and returns the new one, which is shown only once. The replaced
    /// one also signs for `overlap`. Without a `secret` one is generated.
    ///
    /// Only two secrets sign at a time. While a secret from an earlier rotation still signs, this
    /// fails unless `end_previous` allows to end it now.
    pub async fn rotate(
        &self,
        id: SubscriptionId,
        secret: Option<SigningSecret>,
        overlap: Duration,
        end_previous: bool,
    ) -> Result<(Subscription, SigningSecret), SubscriptionError> {
        let before = self.find(id).await?.subscription;
        if let Some(previous) = before.secrets.previous
            && self.0.environment.now() < previous.expires_at
            && !end_previous
        {
            return Err(SubscriptionError::PreviousSecretSigns(previous.expires_at));
        }
        let secret = secret
            .unwrap_or_else(|| SigningSecret::from_random(&self.0.environment.secret_bytes()));
        let now = self.0.environment.now();
        let sealed = self.sealed(id, &secret, now);
        let overlap = i64::try_from(overlap.as_micros()).unwrap_or(i64::MAX);
        let expires_at = now.plus_micros(overlap);
        let changed = self.update(id, Some(before.version), |subscription| {
            let before = subscription.secrets.clone();
            subscription.secrets = before.replaced_by(sealed, expires_at);
            Ok(())
        });
        Ok((changed.await?, secret))
    }

    /// Sends a test event, which is not in the log, and returns the endpoint's answer.
    pub async fn test(
        &self,
        id: SubscriptionId,
    ) -> Result<Result<Delivered, SendError>, SubscriptionError> {
        let subscription = self.find(id).await?.subscription;
        let now = self.0.environment.now();
        let event_id = format!("test_{}", self.0.environment.uuid().simple());
        let body = CloudEvent::test(&event_id, now);
        let target = Target {
            secrets: Secrets::open(&subscription, &self.0.secret)
                .ok_or(SubscriptionError::UnreadableSecret)?
                .at(now),
            url: subscription.url,
        };
        let event = OutgoingEvent {
            id: webhook_id(&event_id),
            body: body.as_bytes().into(),
        };
        Ok(self.0.sender.deliver(&target, &event).await)
    }

    pub(super) fn sealed(
        &self,
        id: SubscriptionId,
        secret: &SigningSecret,
        now: Timestamp,
    ) -> SubscriptionSecret {
        let mut nonce = [0; 24];
        for (byte, random) in nonce.iter_mut().zip(self.0.environment.secret_bytes()) {
            *byte = random;
        }
        let context = Subscription::secret_context(id);
        SubscriptionSecret {
            sealed: self.0.secret.seal(&secret.reveal(), &context, nonce),
            created_at: now,
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "letters, digits and `_` are a webhook id"
)]
fn webhook_id(event_id: &str) -> WebhookId {
    WebhookId::parse(event_id).expect("a webhook id")
}
