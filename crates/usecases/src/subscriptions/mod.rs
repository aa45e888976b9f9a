//! Subscriptions, as operators manage them; [`deliveries`] is about what became
//! of events.

pub mod deliveries;

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use domain::secret::ServerSecret;
use domain::subscription::{Description, PauseReason, SubscriptionSecret, SubscriptionState};
use domain::webhook::{SigningSecret, SpecialNetwork, TargetUrl, WebhookId, special_network};
use domain::{
    DeliveryKey, EventFilter, LogPosition, MessageKey, Subscription, SubscriptionId, Timestamp,
};
use ports::event_log::LogRead;
use ports::subscriptions::{RecentAttempts, SubscriptionStatus};
use ports::webhook_sender::{Delivered, OutgoingEvent, SendError, Target, WebhookSender};
use ports::{
    AttemptLog, Clock, DeliveryLog, EventLog as _, Ids, ReportStore, StoreError, SubscriptionStore,
};

use crate::delivery::secrets::Secrets;
use crate::{ChannelDirectory, CloudEvent, Lag, LogTailCache};
pub use deliveries::ReplayFrom;

/// How long a replaced secret goes on signing, unless asked otherwise.
pub const OVERLAP: Duration = Duration::from_hours(24);

/// A minute in microseconds.
const MINUTE: i64 = 60_000_000;

/// How attempts to deliver have ended lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// In the last minute.
    pub minute: RecentAttempts,
    /// In the last hour.
    pub hour: RecentAttempts,
}

/// What managing subscriptions needs.
pub struct SubscriptionParts {
    /// Keeps them.
    pub repository: Arc<dyn SubscriptionStore>,
    /// What became of deliveries.
    pub deliveries: Arc<dyn DeliveryLog>,
    /// How deliveries were tried lately.
    pub attempts: Arc<dyn AttemptLog>,
    /// Where they read from.
    pub log: Arc<LogTailCache>,
    /// Has the reports of one message.
    pub reports: Arc<dyn ReportStore>,
    /// Sends test events.
    pub sink: Arc<dyn WebhookSender>,
    /// Knows whose error codes a channel has.
    pub directory: Arc<ChannelDirectory>,
    /// Seals and opens signing secrets.
    pub secret: ServerSecret,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and secrets.
    pub ids: Arc<dyn Ids>,
    /// Whether targets may be on private networks.
    pub private_targets: bool,
}

/// Adds, changes and removes subscriptions, and looks after their deliveries.
pub struct ManageSubscriptions(SubscriptionParts);

/// A subscription to be added.
#[derive(Debug)]
pub struct NewSubscription {
    /// Where events are sent.
    pub url: TargetUrl,
    /// Which.
    pub filter: EventFilter,
    /// Whether addresses stand in them plainly.
    pub reveal: bool,
    /// What it is for.
    pub description: Description,
    /// What they are signed with; `None` makes a secret.
    pub secret: Option<SigningSecret>,
    /// Behind which position they begin; `None`: with the next one.
    pub from: Option<LogPosition>,
}

/// What to change of a subscription; `None` leaves as it is.
#[derive(Debug, Default)]
pub struct SubscriptionChanges {
    /// Where events are sent.
    pub url: Option<TargetUrl>,
    /// Which.
    pub filter: Option<EventFilter>,
    /// Whether addresses stand in them plainly.
    pub reveal: Option<bool>,
    /// What it is for.
    pub description: Option<Description>,
    /// The version the changes were made to, if that matters.
    pub version: Option<i64>,
}

/// A subscription that goes on.
#[derive(Debug)]
pub struct Resumed {
    /// The subscription.
    pub subscription: Subscription,
    /// Whether events it was not told of are gone: it goes on from the oldest
    /// there is.
    pub skipped: bool,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// There is no such subscription.
    #[error("there is no subscription {0}")]
    NoSuchSubscription(SubscriptionId),
    /// There is no such delivery.
    #[error("there is no delivery {0}")]
    NoSuchDelivery(DeliveryKey),
    /// Nothing was reported of the message, or its reports are gone.
    #[error("there are no events of message {} on channel {}", .0.sid, .0.channel)]
    NoSuchMessage(MessageKey),
    /// Events may not go to where the URL leads.
    #[error("events may not go to {0} address; to allow it set RECEIPTD_PUSH_PRIVATE_TARGETS=true")]
    PrivateTarget(SpecialNetwork),
    /// Somebody else has changed it meanwhile.
    #[error("the subscription was changed meanwhile; look at it again")]
    Outdated,
    /// The log has not come to this position yet: what is recorded up to it would
    /// be missed.
    #[error("the log has not come to this position yet")]
    BeyondTheEnd,
    /// It was delivered already, waits for another one, or has nothing to send.
    #[error("the delivery is not one that can be tried again")]
    NotRetriable,
    /// A secret that was replaced before still signs, and would no more.
    #[error(
        "the secret before the current one still signs until {0}, and would sign no more: \
         subscribers that have not changed over would refuse all events. Wait, or ask for it \
         to end (end_previous)"
    )]
    PreviousSecretSigns(Timestamp),
    /// Its signing secret was sealed under another server secret.
    #[error("the signing secret does not open with this server secret")]
    Unsealable,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ManageSubscriptions {
    /// Manages subscriptions.
    #[must_use]
    pub const fn new(parts: SubscriptionParts) -> Self {
        Self(parts)
    }

    /// The log that events come from.
    #[must_use]
    pub const fn log(&self) -> &Arc<LogTailCache> {
        &self.0.log
    }

    /// Adds a subscription. Its secret is shown this once.
    pub async fn add(
        &self,
        new: NewSubscription,
    ) -> Result<(Subscription, SigningSecret), SubscriptionError> {
        self.check(&new.url)?;
        let from = match new.from {
            Some(position) => self.reached(position).await?,
            None => self.0.log.head().await?,
        };
        let id = SubscriptionId(self.0.ids.uuid());
        let secret = new
            .secret
            .unwrap_or_else(|| SigningSecret::from_random(&self.0.ids.secret_bytes()));
        let now = self.0.clock.now();
        let subscription = Subscription {
            id,
            url: new.url,
            filter: new.filter,
            reveal: new.reveal,
            description: new.description,
            state: SubscriptionState::Active,
            secrets: self.sealed(id, &secret, now).into(),
            created_at: now,
            updated_at: now,
            version: 1,
        };
        self.0.repository.add(&subscription, from).await?;
        Ok((subscription, secret))
    }

    /// All of them, oldest first.
    pub async fn list(&self) -> Result<Vec<SubscriptionStatus>, SubscriptionError> {
        Ok(self.0.repository.list().await?)
    }

    /// One of them.
    pub async fn find(&self, id: SubscriptionId) -> Result<SubscriptionStatus, SubscriptionError> {
        let found = self.0.repository.find(id).await?;
        found.ok_or(SubscriptionError::NoSuchSubscription(id))
    }

    /// How far one is behind the log.
    pub async fn lag(&self, status: &SubscriptionStatus) -> Result<Lag, SubscriptionError> {
        let filter = &status.subscription.filter;
        let now = self.0.clock.now();
        Ok(Lag::at(&self.0.log, status.position, filter, now).await?)
    }

    /// How trying to deliver its events has gone lately, by whichever workers.
    pub async fn rates(&self, id: SubscriptionId) -> Result<Rates, SubscriptionError> {
        let now = self.0.clock.now();
        let since = |micros: i64| now.plus_micros(-micros);
        Ok(Rates {
            minute: self.0.attempts.attempts(id, since(MINUTE)).await?,
            hour: self.0.attempts.attempts(id, since(60 * MINUTE)).await?,
        })
    }

    /// Changes one. If addresses are not to be seen any more, they are masked in
    /// what is kept of its events as well.
    pub async fn change(
        &self,
        id: SubscriptionId,
        changes: SubscriptionChanges,
    ) -> Result<Subscription, SubscriptionError> {
        if let Some(url) = &changes.url {
            self.check(url)?;
        }
        let (version, masks) = (changes.version, changes.reveal == Some(false));
        let made = self.with(id, version, |subscription| {
            let SubscriptionChanges {
                url,
                filter,
                reveal,
                description,
                version: _,
            } = changes;
            subscription.url = url.unwrap_or_else(|| subscription.url.clone());
            subscription.filter = filter.unwrap_or_else(|| subscription.filter.clone());
            subscription.reveal = reveal.unwrap_or(subscription.reveal);
            subscription.description =
                description.unwrap_or_else(|| subscription.description.clone());
        });
        let subscription = made.await?;
        if masks {
            self.mask_bodies(id).await?;
        }
        Ok(subscription)
    }

    /// Sends nothing more for the time being.
    pub async fn pause(&self, id: SubscriptionId) -> Result<Subscription, SubscriptionError> {
        let since = self.0.clock.now();
        self.with(id, None, |subscription| {
            if subscription.state == SubscriptionState::Active {
                let reason = PauseReason::Operator;
                subscription.state = SubscriptionState::Paused { reason, since };
            }
        })
        .await
    }

    /// Goes on from where it stands. One that fell behind the retention goes on
    /// from the oldest there is.
    pub async fn resume(&self, id: SubscriptionId) -> Result<Resumed, SubscriptionError> {
        let status = self.find(id).await?;
        let step = NonZeroU16::MIN;
        let read = self.0.log.read(Some(status.position), step).await?;
        if let LogRead::Pruned { oldest } = read {
            self.0.deliveries.skip(id, oldest).await?;
        }
        let resumed = self.with(id, None, |subscription| {
            subscription.state = SubscriptionState::Active;
        });
        Ok(Resumed {
            subscription: resumed.await?,
            skipped: matches!(read, LogRead::Pruned { .. }),
        })
    }

    /// Removes one, with its deliveries.
    pub async fn remove(&self, id: SubscriptionId) -> Result<(), SubscriptionError> {
        if self.0.repository.remove(id).await? {
            Ok(())
        } else {
            Err(SubscriptionError::NoSuchSubscription(id))
        }
    }

    /// Signs with another secret from now on, and with the one before as well
    /// for `overlap`. `None` makes a secret. It is shown this once.
    ///
    /// Only two secrets sign at a time. While one from an earlier rotation still does,
    /// nothing is changed unless `end_previous` says that it may end at once.
    pub async fn rotate(
        &self,
        id: SubscriptionId,
        secret: Option<SigningSecret>,
        overlap: Duration,
        end_previous: bool,
    ) -> Result<(Subscription, SigningSecret), SubscriptionError> {
        let before = self.find(id).await?.subscription;
        if let Some(previous) = before.secrets.previous
            && self.0.clock.now() < previous.expires_at
            && !end_previous
        {
            return Err(SubscriptionError::PreviousSecretSigns(previous.expires_at));
        }
        let secret =
            secret.unwrap_or_else(|| SigningSecret::from_random(&self.0.ids.secret_bytes()));
        let now = self.0.clock.now();
        let sealed = self.sealed(id, &secret, now);
        let overlap = i64::try_from(overlap.as_micros()).unwrap_or(i64::MAX);
        let expires_at = now.plus_micros(overlap);
        let changed = self.with(id, Some(before.version), |subscription| {
            let before = subscription.secrets.clone();
            subscription.secrets = before.replaced_by(sealed, expires_at);
        });
        Ok((changed.await?, secret))
    }

    /// Sends a made-up event, past the log, and says what the target did.
    pub async fn test(
        &self,
        id: SubscriptionId,
    ) -> Result<Result<Delivered, SendError>, SubscriptionError> {
        let subscription = self.find(id).await?.subscription;
        let now = self.0.clock.now();
        let event_id = format!("test_{}", self.0.ids.uuid().simple());
        // Letters, digits and `_`.
        let webhook_id =
            WebhookId::parse(&event_id).map_err(|_| SubscriptionError::NotRetriable)?;
        let body = CloudEvent::test(&event_id, now);
        let target = Target {
            secrets: Secrets::open(&subscription, &self.0.secret)
                .ok_or(SubscriptionError::Unsealable)?
                .at(now),
            url: subscription.url,
        };
        let event = OutgoingEvent {
            id: webhook_id,
            body: body.as_bytes().into(),
        };
        Ok(self.0.sink.deliver(&target, &event).await)
    }

    /// Changes the newest version, or the one that is asked for.
    async fn with(
        &self,
        id: SubscriptionId,
        version: Option<i64>,
        change: impl FnOnce(&mut Subscription),
    ) -> Result<Subscription, SubscriptionError> {
        let mut subscription = self.find(id).await?.subscription;
        if version.is_some_and(|version| version != subscription.version) {
            return Err(SubscriptionError::Outdated);
        }
        change(&mut subscription);
        subscription.version = subscription.version.saturating_add(1);
        subscription.updated_at = self.0.clock.now();
        if self.0.repository.change(&subscription).await? {
            Ok(subscription)
        } else {
            Err(SubscriptionError::Outdated)
        }
    }

    /// A position from outside, if the log has come to it.
    async fn reached(&self, position: LogPosition) -> Result<LogPosition, SubscriptionError> {
        if self.0.log.reaches(position).await? {
            Ok(position)
        } else {
            Err(SubscriptionError::BeyondTheEnd)
        }
    }

    fn check(&self, url: &TargetUrl) -> Result<(), SubscriptionError> {
        let special = url.literal_address().and_then(special_network);
        match special.filter(|_| !self.0.private_targets) {
            Some(network) => Err(SubscriptionError::PrivateTarget(network)),
            None => Ok(()),
        }
    }

    fn sealed(
        &self,
        id: SubscriptionId,
        secret: &SigningSecret,
        now: Timestamp,
    ) -> SubscriptionSecret {
        let mut nonce = [0; 24];
        for (byte, random) in nonce.iter_mut().zip(self.0.ids.secret_bytes()) {
            *byte = random;
        }
        let context = Subscription::secret_context(id);
        SubscriptionSecret {
            sealed: self.0.secret.seal(&secret.reveal(), &context, nonce),
            created_at: now,
        }
    }
}
