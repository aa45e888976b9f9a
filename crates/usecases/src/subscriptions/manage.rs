//! Adds, changes and removes subscriptions.

use std::num::NonZeroU16;
use std::sync::Arc;

use domain::access::Permission;
use domain::crypto::ServerSecret;
use domain::crypto::SigningSecret;
use domain::subscription::{Description, PauseReason, SubscriptionState};
use domain::webhook::{SpecialNetwork, TargetUrl, special_network};
use domain::{
    DeliveryKey, EventFilter, LogPosition, MessageKey, Subscription, SubscriptionId, Timestamp,
};
use ports::event_log::LogRead;
use ports::subscriptions::{RecentAttempts, SubscriptionStatus};
use ports::webhook_sender::WebhookSender;
use ports::{
    DeliveryStore, Environment, OperatorEvents, ReportStore, StoreError, SubscriptionStore,
};

use crate::channels::directory::ChannelDirectory;
use crate::events::lag::Lag;
use crate::events::tail_cache::LogTailCache;

const MINUTE_MICROS: i64 = 60_000_000;

/// Outcomes of recent delivery attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// In the last minute.
    pub minute: RecentAttempts,
    /// In the last hour.
    pub hour: RecentAttempts,
}

/// Ports and shared parts that managing subscriptions uses.
pub struct SubscriptionDependencies {
    /// Stores subscriptions.
    pub store: Arc<dyn SubscriptionStore>,
    /// Stores deliveries.
    pub deliveries: Arc<dyn DeliveryStore>,
    /// The operator events, and how far they were sent.
    pub operator_events: Arc<dyn OperatorEvents>,
    /// The log that subscriptions read.
    pub log: Arc<LogTailCache>,
    /// Returns the reports of one message.
    pub reports: Arc<dyn ReportStore>,
    /// Sends test events.
    pub sender: Arc<dyn WebhookSender>,
    /// Knows the integrator of a channel, whose error codes events explain.
    pub directory: Arc<ChannelDirectory>,
    /// Seals and opens signing secrets.
    pub secret: ServerSecret,
    /// The clock, and random numbers.
    pub environment: Arc<dyn Environment>,
    /// Whether targets may be on private networks.
    pub private_targets: bool,
}

/// Adds, changes and removes subscriptions, and repeats their deliveries.
pub struct ManageSubscriptions(pub(super) SubscriptionDependencies);

/// A subscription to add.
#[derive(Debug)]
pub struct NewSubscription {
    /// Endpoint.
    pub url: TargetUrl,
    /// Which events are sent.
    pub filter: EventFilter,
    /// Whether events contain full addresses.
    pub reveal: bool,
    /// What it is for.
    pub description: Description,
    /// Signing secret; `None` generates one.
    pub secret: Option<SigningSecret>,
    /// Send events after this position; `None`: after the end of the log.
    pub from: Option<LogPosition>,
    /// Whether the operator may have unmasked data sent.
    pub may_reveal: bool,
}

/// Changes of a subscription; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct SubscriptionChanges {
    /// Endpoint.
    pub url: Option<TargetUrl>,
    /// Which events are sent.
    pub filter: Option<EventFilter>,
    /// Whether events contain full addresses.
    pub reveal: Option<bool>,
    /// What it is for.
    pub description: Option<Description>,
    /// Version that the changes are based on; `None` overwrites any.
    pub version: Option<i64>,
    /// Whether the operator may decide where unmasked data is sent.
    pub may_reveal: bool,
}

impl SubscriptionChanges {
    /// Binds the changes to the version that they were derived from. Fails if they are meant for
    /// another version.
    pub fn based_on(self, before: &Subscription) -> Result<Self, SubscriptionError> {
        match self.version {
            Some(version) if version != before.version => Err(SubscriptionError::Outdated),
            _ => Ok(Self {
                version: Some(before.version),
                ..self
            }),
        }
    }

    /// Fails if the changes have unmasked data sent where it was not sent before, and the operator
    /// may not decide that. Entering the present URL again counts as a new one; otherwise the
    /// answer would tell whether the hidden part of the URL was guessed.
    fn check_reveal(&self, before: &Subscription) -> Result<(), SubscriptionError> {
        let reveals = self.reveal.unwrap_or(before.reveal);
        let is_new = !before.reveal || self.url.is_some();
        if reveals && is_new && !self.may_reveal {
            return Err(SubscriptionError::RevealRequired);
        }
        Ok(())
    }
}

/// A changed subscription.
#[derive(Debug)]
pub struct ChangedSubscription {
    /// The subscription.
    pub subscription: Subscription,
    /// Whether its stored events were masked, if they had to be. If not, workers mask them before
    /// they send them, and the same change masks them.
    pub masked: Result<(), StoreError>,
}

/// A resumed subscription.
#[derive(Debug)]
pub struct Resumed {
    /// The subscription.
    pub subscription: Subscription,
    /// Whether retention removed events that it had not received: it continues with the oldest
    /// report.
    pub skipped: bool,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionError {
    /// There is no such subscription.
    #[error("there is no subscription {0}")]
    NoSuchSubscription(SubscriptionId),
    /// There is no such delivery.
    #[error("there is no delivery {0}")]
    NoSuchDelivery(DeliveryKey),
    /// There are no reports of the message, or retention removed them.
    #[error("there are no events of message {} on channel {}", .0.sid, .0.channel)]
    NoSuchMessage(MessageKey),
    /// The operator may not decide where unmasked data is sent.
    #[error("this needs {}", Permission::Reveal.requirement())]
    RevealRequired,
    /// The endpoint is in a private network.
    #[error("events may not go to {0} address")]
    PrivateTarget(SpecialNetwork),
    /// The subscription was changed concurrently.
    #[error("the subscription was changed in the meantime; read it again")]
    Outdated,
    /// The position is beyond the end of the log: reports recorded up to it would be missed.
    #[error("the position is beyond the end of the log")]
    BeyondEnd,
    /// The delivery is delivered, waits for an earlier one, is due already, or has no body.
    #[error("the delivery cannot be retried")]
    NotRetriable,
    /// The previous secret still signs, and another rotation would end it.
    #[error(
        "the previous secret still signs until {0}, and another rotation would end it: subscribers \
         that have not switched would refuse all events. Wait, or end it now (end_previous)"
    )]
    PreviousSecretSigns(Timestamp),
    /// The signing secret was sealed under another server secret.
    #[error("the signing secret cannot be opened with this server secret")]
    UnreadableSecret,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ManageSubscriptions {
    /// Manages subscriptions.
    #[must_use]
    pub const fn new(parts: SubscriptionDependencies) -> Self {
        Self(parts)
    }

    /// Returns the log that events come from.
    #[must_use]
    pub const fn log(&self) -> &Arc<LogTailCache> {
        &self.0.log
    }

    /// Adds a subscription, and returns it with its secret, which is shown only once.
    pub async fn add(
        &self,
        new: NewSubscription,
    ) -> Result<(Subscription, SigningSecret), SubscriptionError> {
        if new.reveal && !new.may_reveal {
            return Err(SubscriptionError::RevealRequired);
        }
        self.check_target(&new.url)?;
        let from = match new.from {
            Some(position) => self.check_reached(position).await?,
            None => self.0.log.head().await?,
        };
        let id = SubscriptionId(self.0.environment.uuid());
        let secret = new
            .secret
            .unwrap_or_else(|| SigningSecret::from_random(&self.0.environment.secret_bytes()));
        let now = self.0.environment.now();
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
        self.0.store.add(&subscription, from).await?;
        Ok((subscription, secret))
    }

    /// Returns all subscriptions, oldest first.
    pub async fn list(&self) -> Result<Vec<SubscriptionStatus>, SubscriptionError> {
        Ok(self.0.store.list().await?)
    }

    /// Returns one subscription.
    pub async fn find(&self, id: SubscriptionId) -> Result<SubscriptionStatus, SubscriptionError> {
        let found = self.0.store.find(id).await?;
        found.ok_or(SubscriptionError::NoSuchSubscription(id))
    }

    /// Returns how far a subscription lags the log.
    pub async fn lag(&self, status: &SubscriptionStatus) -> Result<Lag, SubscriptionError> {
        let filter = &status.subscription.filter;
        let now = self.0.environment.now();
        Ok(Lag::at(&self.0.log, status.position, filter, now).await?)
    }

    /// Returns the outcomes of recent attempts, of all workers.
    pub async fn rates(&self, id: SubscriptionId) -> Result<Rates, SubscriptionError> {
        let now = self.0.environment.now();
        let since = |micros: i64| now.plus_micros(-micros);
        Ok(Rates {
            minute: self.0.deliveries.attempts(id, since(MINUTE_MICROS)).await?,
            hour: self
                .0
                .deliveries
                .attempts(id, since(60 * MINUTE_MICROS))
                .await?,
        })
    }

    /// Changes a subscription. If addresses are masked from now on, they are masked in its stored
    /// events too.
    pub async fn change(
        &self,
        id: SubscriptionId,
        changes: SubscriptionChanges,
    ) -> Result<ChangedSubscription, SubscriptionError> {
        if let Some(url) = &changes.url {
            self.check_target(url)?;
        }
        let (version, masks) = (changes.version, changes.reveal == Some(false));
        let update = self.update(id, version, |subscription| {
            changes.check_reveal(subscription)?;
            let SubscriptionChanges {
                url,
                filter,
                reveal,
                description,
                version: _,
                may_reveal: _,
            } = changes;
            subscription.url = url.unwrap_or_else(|| subscription.url.clone());
            subscription.filter = filter.unwrap_or_else(|| subscription.filter.clone());
            subscription.reveal = reveal.unwrap_or(subscription.reveal);
            subscription.description =
                description.unwrap_or_else(|| subscription.description.clone());
            Ok(())
        });
        let subscription = update.await?;
        let masked = if masks {
            self.mask_bodies(id).await
        } else {
            Ok(())
        };
        Ok(ChangedSubscription {
            subscription,
            masked,
        })
    }

    /// Pauses a subscription; its events stay in the log.
    pub async fn pause(&self, id: SubscriptionId) -> Result<Subscription, SubscriptionError> {
        let since = self.0.environment.now();
        self.update(id, None, |subscription| {
            if subscription.state == SubscriptionState::Active {
                let reason = PauseReason::Operator;
                subscription.state = SubscriptionState::Paused { reason, since };
            }
            Ok(())
        })
        .await
    }

    /// Resumes a subscription at its position. If retention passed the position, it continues with
    /// the oldest report.
    pub async fn resume(&self, id: SubscriptionId) -> Result<Resumed, SubscriptionError> {
        let status = self.find(id).await?;
        let step = NonZeroU16::MIN;
        let read = self.0.log.read(Some(status.position), step).await?;
        if let LogRead::Pruned { oldest } = read {
            self.0.deliveries.skip(id, oldest).await?;
        }
        let resumed = self.update(id, None, |subscription| {
            subscription.state = SubscriptionState::Active;
            Ok(())
        });
        Ok(Resumed {
            subscription: resumed.await?,
            skipped: matches!(read, LogRead::Pruned { .. }),
        })
    }

    /// Removes a subscription and its deliveries.
    pub async fn remove(&self, id: SubscriptionId) -> Result<(), SubscriptionError> {
        if self.0.store.remove(id).await? {
            Ok(())
        } else {
            Err(SubscriptionError::NoSuchSubscription(id))
        }
    }

    /// Changes a subscription if it has the expected version, if one is given, and `change` accepts
    /// that version.
    pub(super) async fn update(
        &self,
        id: SubscriptionId,
        version: Option<i64>,
        change: impl FnOnce(&mut Subscription) -> Result<(), SubscriptionError>,
    ) -> Result<Subscription, SubscriptionError> {
        let mut subscription = self.find(id).await?.subscription;
        if version.is_some_and(|version| version != subscription.version) {
            return Err(SubscriptionError::Outdated);
        }
        change(&mut subscription)?;
        subscription.version = subscription.version.saturating_add(1);
        subscription.updated_at = self.0.environment.now();
        if self.0.store.change(&subscription).await? {
            Ok(subscription)
        } else {
            Err(SubscriptionError::Outdated)
        }
    }

    /// Returns a client's position if the log extends to it.
    pub(super) async fn check_reached(
        &self,
        position: LogPosition,
    ) -> Result<LogPosition, SubscriptionError> {
        if self.0.log.reaches(position).await? {
            Ok(position)
        } else {
            Err(SubscriptionError::BeyondEnd)
        }
    }

    fn check_target(&self, url: &TargetUrl) -> Result<(), SubscriptionError> {
        let special = url.literal_address().and_then(special_network);
        match special.filter(|_| !self.0.private_targets) {
            Some(network) => Err(SubscriptionError::PrivateTarget(network)),
            None => Ok(()),
        }
    }
}
