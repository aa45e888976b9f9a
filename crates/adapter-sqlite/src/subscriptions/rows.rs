//! Subscriptions as they stand in their table.

use domain::delivery::Attempt;
use domain::secret::SealedSecret;
use domain::subscription::{
    Description, ReplacedSecret, SubscriptionSecret, SubscriptionSecrets, SubscriptionState,
};
use domain::webhook::TargetUrl;
use domain::{ChannelId, EventFilter, EventType, LogPosition, Subscription, SubscriptionId};
use ports::StoreError;
use ports::subscriptions::SubscriptionStatus;
use serde_json::Value;

use crate::error::corrupt;
use crate::rows::{optional_time, time, uuid};

const SUBSCRIPTIONS: &str = "subscriptions";

#[derive(Debug)]
pub(crate) struct SubscriptionRow {
    pub(crate) id: Vec<u8>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) version: i64,
    pub(crate) url: String,
    pub(crate) channels: Option<String>,
    pub(crate) event_types: Option<String>,
    pub(crate) reveal: bool,
    pub(crate) description: String,
    pub(crate) secret: Vec<u8>,
    pub(crate) secret_created_at: i64,
    pub(crate) previous_secret: Option<Vec<u8>>,
    pub(crate) previous_secret_created_at: Option<i64>,
    pub(crate) previous_secret_expires_at: Option<i64>,
    pub(crate) state: String,
    pub(crate) pause_reason: Option<String>,
    pub(crate) state_since: Option<i64>,
    pub(crate) last_error: Option<String>,
    pub(crate) failing_since: Option<i64>,
    pub(crate) last_delivered_at: Option<i64>,
    pub(crate) position: i64,
    pub(crate) fence: i64,
    pub(crate) leased_by: Option<String>,
    /// Counted when a status is asked for.
    pub(crate) open: Option<i64>,
    pub(crate) dead: Option<i64>,
}

/// The channels of a filter as they stand in a row.
pub(crate) fn channels(filter: &EventFilter) -> Option<String> {
    let channels = filter.channels.as_ref()?;
    Some(list(channels.iter().map(ChannelId::as_str)))
}

/// The types of a filter as they stand in a row.
pub(crate) fn event_types(filter: &EventFilter) -> Option<String> {
    let types = filter.types.as_ref()?;
    Some(list(types.iter().map(|event_type| event_type.as_str())))
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    Value::Array(words.map(Value::from).collect()).to_string()
}

fn words(text: Option<&str>, column: &'static str) -> Result<Option<Vec<String>>, StoreError> {
    let words = text.map(serde_json::from_str).transpose();
    words.map_err(corrupt(SUBSCRIPTIONS, column))
}

impl SubscriptionRow {
    fn filter(&self) -> Result<EventFilter, StoreError> {
        let channels = words(self.channels.as_deref(), "channels")?.map(|channels| {
            let channels = channels.iter().map(|text| ChannelId::parse(text));
            channels.collect::<Result<_, _>>()
        });
        let types = words(self.event_types.as_deref(), "event_types")?.map(|types| {
            let types = types.iter().map(|text| text.parse::<EventType>());
            types.collect::<Result<_, _>>()
        });
        Ok(EventFilter {
            channels: channels
                .transpose()
                .map_err(corrupt(SUBSCRIPTIONS, "channels"))?,
            types: types
                .transpose()
                .map_err(corrupt(SUBSCRIPTIONS, "event_types"))?,
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

    pub(crate) fn subscription(&self) -> Result<Subscription, StoreError> {
        Ok(Subscription {
            id: SubscriptionId(uuid(&self.id, SUBSCRIPTIONS, "id")?),
            url: TargetUrl::parse(&self.url).map_err(corrupt(SUBSCRIPTIONS, "url"))?,
            filter: self.filter()?,
            reveal: self.reveal,
            description: Description::parse(&self.description)
                .map_err(corrupt(SUBSCRIPTIONS, "description"))?,
            state: self.state()?,
            secrets: SubscriptionSecrets {
                current: SubscriptionSecret {
                    sealed: SealedSecret(self.secret.clone()),
                    created_at: time(self.secret_created_at, SUBSCRIPTIONS, "secret_created_at")?,
                },
                previous: self.previous_secret()?,
            },
            created_at: time(self.created_at, SUBSCRIPTIONS, "created_at")?,
            updated_at: time(self.updated_at, SUBSCRIPTIONS, "updated_at")?,
            version: self.version,
        })
    }
}

impl TryFrom<SubscriptionRow> for SubscriptionStatus {
    type Error = StoreError;

    fn try_from(row: SubscriptionRow) -> Result<Self, StoreError> {
        let last_error = row.last_error.as_deref().map(Attempt::from_json);
        let count = |count: Option<i64>| u64::try_from(count.unwrap_or_default());
        Ok(Self {
            subscription: row.subscription()?,
            position: LogPosition(row.position),
            open: count(row.open).map_err(corrupt(SUBSCRIPTIONS, "open"))?,
            dead: count(row.dead).map_err(corrupt(SUBSCRIPTIONS, "dead"))?,
            last_delivered_at: optional_time(
                row.last_delivered_at,
                SUBSCRIPTIONS,
                "last_delivered_at",
            )?,
            last_error: last_error
                .transpose()
                .map_err(corrupt(SUBSCRIPTIONS, "last_error"))?,
            failing_since: optional_time(row.failing_since, SUBSCRIPTIONS, "failing_since")?,
            leased_by: row.leased_by,
        })
    }
}
