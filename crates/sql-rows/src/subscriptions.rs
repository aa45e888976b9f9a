//! Rows of webhook subscriptions.

use domain::crypto::SealedSecret;
use domain::subscription::{
    Description, ReplacedSecret, SubscriptionSecret, SubscriptionSecrets, SubscriptionState,
};
use domain::webhook::TargetUrl;
use domain::{ChannelId, EventFilter, LogPosition, Subscription, SubscriptionId};
use ports::StoreError;
use ports::subscriptions::{Lease, LeasedSubscription, MAX_PENDING, SubscriptionStatus};
use uuid::Uuid;

use crate::attempts::attempt_from_json;
use crate::deliveries::{PendingRow, pending_deliveries};
use crate::error::corrupt;
use crate::values::{StoredList, StoredTime, count, optional_time, time};

const SUBSCRIPTIONS: &str = "subscriptions";

/// A row of `subscriptions`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct SubscriptionRow<T, L> {
    pub id: Uuid,
    pub created_at: T,
    pub updated_at: T,
    pub version: i64,
    pub url: String,
    pub channels: Option<L>,
    pub event_types: Option<L>,
    pub reveal: bool,
    pub description: String,
    pub secret: Vec<u8>,
    pub secret_created_at: T,
    pub previous_secret: Option<Vec<u8>>,
    pub previous_secret_created_at: Option<T>,
    pub previous_secret_expires_at: Option<T>,
    pub state: String,
    pub pause_reason: Option<String>,
    pub state_since: Option<T>,
    pub last_error: Option<String>,
    pub failing_since: Option<T>,
    pub last_delivered_at: Option<T>,
    pub position: i64,
    pub fence: i64,
    pub leased_by: Option<String>,
    /// How many deliveries are pending; not selected by a claim.
    pub pending: Option<i64>,
    /// How many dead letters there are; not selected by a claim.
    pub dead: Option<i64>,
}

/// Returns the value of the column `channels`.
#[must_use]
pub fn channels(filter: &EventFilter) -> Option<Vec<&str>> {
    let channels = filter.channels.as_ref()?;
    Some(channels.iter().map(ChannelId::as_str).collect())
}

/// Returns the value of the column `event_types`.
#[must_use]
pub fn event_types(filter: &EventFilter) -> Option<Vec<&'static str>> {
    filter.type_names()
}

impl<T: StoredTime, L: StoredList<String>> SubscriptionRow<T, L> {
    /// Converts a claimed row; `pending` has one row more than [`MAX_PENDING`] if there are as
    /// many.
    pub fn leased(self, pending: Vec<PendingRow<T>>) -> Result<LeasedSubscription, StoreError> {
        let (token, position, failing_since) = (self.fence, self.position, self.failing_since);
        let subscription = self.subscription()?;
        let mut pending = pending_deliveries(pending, subscription.id)?;
        let more_pending = pending.len() > MAX_PENDING;
        pending.truncate(MAX_PENDING);
        Ok(LeasedSubscription {
            lease: Lease {
                subscription: subscription.id,
                token,
            },
            subscription,
            position: LogPosition(position),
            failing_since: optional_time(failing_since, SUBSCRIPTIONS, "failing_since")?,
            pending,
            more_pending,
        })
    }

    fn subscription(self) -> Result<Subscription, StoreError> {
        let state = self.state()?;
        let previous = self.previous_secret()?;
        let filter = filter(self.channels, self.event_types)?;
        Ok(Subscription {
            id: SubscriptionId(self.id),
            url: TargetUrl::parse(&self.url).map_err(corrupt(SUBSCRIPTIONS, "url"))?,
            filter,
            reveal: self.reveal,
            description: Description::parse(&self.description)
                .map_err(corrupt(SUBSCRIPTIONS, "description"))?,
            state,
            secrets: SubscriptionSecrets {
                current: SubscriptionSecret {
                    sealed: SealedSecret(self.secret),
                    created_at: time(self.secret_created_at, SUBSCRIPTIONS, "secret_created_at")?,
                },
                previous,
            },
            created_at: time(self.created_at, SUBSCRIPTIONS, "created_at")?,
            updated_at: time(self.updated_at, SUBSCRIPTIONS, "updated_at")?,
            version: self.version,
        })
    }

    fn state(&self) -> Result<SubscriptionState, StoreError> {
        let reason = self.pause_reason.as_deref().map(str::parse).transpose();
        let reason = reason.map_err(corrupt(SUBSCRIPTIONS, "pause_reason"))?;
        let since = optional_time(self.state_since, SUBSCRIPTIONS, "state_since")?;
        SubscriptionState::from_parts(&self.state, reason, since)
            .map_err(corrupt(SUBSCRIPTIONS, "state"))
    }

    fn previous_secret(&self) -> Result<Option<ReplacedSecret>, StoreError> {
        let (Some(sealed), Some(created_at), Some(expires_at)) = (
            &self.previous_secret,
            self.previous_secret_created_at,
            self.previous_secret_expires_at,
        ) else {
            return Ok(None);
        };
        Ok(Some(ReplacedSecret {
            secret: SubscriptionSecret {
                sealed: SealedSecret(sealed.clone()),
                created_at: time(created_at, SUBSCRIPTIONS, "previous_secret_created_at")?,
            },
            expires_at: time(expires_at, SUBSCRIPTIONS, "previous_secret_expires_at")?,
        }))
    }
}

fn filter<L: StoredList<String>>(
    channels: Option<L>,
    event_types: Option<L>,
) -> Result<EventFilter, StoreError> {
    let words = |list: Option<L>, column| {
        let words = list.map(StoredList::into_list).transpose();
        words.map_err(corrupt(SUBSCRIPTIONS, column))
    };
    let channels = words(channels, "channels")?.map(|words| {
        let channels = words.iter().map(|word| ChannelId::parse(word));
        channels.collect::<Result<_, _>>()
    });
    let mut filter = EventFilter {
        channels: channels
            .transpose()
            .map_err(corrupt(SUBSCRIPTIONS, "channels"))?,
        ..EventFilter::default()
    };
    if let Some(names) = words(event_types, "event_types")? {
        filter
            .set_types(names.iter().map(String::as_str))
            .map_err(corrupt(SUBSCRIPTIONS, "event_types"))?;
    }
    Ok(filter)
}

impl<T: StoredTime, L: StoredList<String>> TryFrom<SubscriptionRow<T, L>> for SubscriptionStatus {
    type Error = StoreError;

    fn try_from(mut row: SubscriptionRow<T, L>) -> Result<Self, StoreError> {
        let count =
            |number: Option<i64>, column| count(number.unwrap_or_default(), SUBSCRIPTIONS, column);
        let last_error = row.last_error.as_deref().map(attempt_from_json).transpose();
        let last_delivered_at = row.last_delivered_at;
        Ok(Self {
            position: LogPosition(row.position),
            pending: count(row.pending, "pending")?,
            dead: count(row.dead, "dead")?,
            last_delivered_at: optional_time(
                last_delivered_at,
                SUBSCRIPTIONS,
                "last_delivered_at",
            )?,
            last_error: last_error.map_err(corrupt(SUBSCRIPTIONS, "last_error"))?,
            failing_since: optional_time(row.failing_since, SUBSCRIPTIONS, "failing_since")?,
            leased_by: row.leased_by.take(),
            subscription: row.subscription()?,
        })
    }
}
