//! What is asked of subscriptions.

use std::collections::BTreeSet;

use domain::webhook::SigningSecret;
use domain::{ChannelId, EventType, MessageKey, MessageSid};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::body::{Whole, optional_object};
use crate::api::error::{ApiError, valid};
use crate::api::query::set;

/// A subscription to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// Where events are sent: `https://` or `http://`.
    #[schema(example = "https://workbench.example.com/hooks/whatsapp")]
    pub url: String,
    /// Those of these channels; left out, of all.
    pub channels: Option<Vec<String>>,
    /// Those of these types; left out, of all.
    #[schema(example = json!(["message.delivered", "message.failed"]))]
    pub types: Option<Vec<String>>,
    /// Whether addresses stand in them in the clear instead of masked.
    #[serde(default)]
    pub reveal: bool,
    /// What it is for.
    pub description: Option<String>,
    /// The signing secret, `whsec_` and 24 to 64 bytes in base64; left out, one
    /// is made.
    pub secret: Option<String>,
    /// Behind which `next` of the pulled events it begins, or `oldest`. Without
    /// it and `since`: with the next event.
    pub after: Option<String>,
    /// It begins with the reports that arrived at this time or later.
    pub since: Option<String>,
}

/// What to change of a subscription; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionPatch {
    /// Where events are sent.
    pub url: Option<String>,
    /// Those of these channels; empty: of all.
    pub channels: Option<Vec<String>>,
    /// Those of these types; empty: of all.
    pub types: Option<Vec<String>>,
    /// Whether addresses stand in them in the clear.
    pub reveal: Option<bool>,
    /// What it is for.
    pub description: Option<String>,
    /// The version that was looked at; a newer one is not changed.
    #[schema(value_type = Option<i64>)]
    pub version: Option<Whole>,
}

/// How a secret is replaced.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// The new secret; left out, one is made.
    pub secret: Option<String>,
    /// How many hours the old one goes on signing: 24 unless asked otherwise, at
    /// most 720.
    #[schema(value_type = Option<i64>)]
    pub overlap_hours: Option<Whole>,
    /// Whether a secret from an earlier rotation may end at once that still signs. Without
    /// this the answer is then 409 `previous_secret_signs`.
    #[serde(default)]
    pub end_previous: bool,
}

/// From where events are sent again: one of the three.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// All behind this `next` of the pulled events, or `oldest`.
    pub after: Option<String>,
    /// All of reports that arrived at this time or later.
    pub since: Option<String>,
    /// Those of one message.
    #[serde(default, deserialize_with = "optional_object")]
    pub message: Option<MessageRef>,
}

/// A message by its names.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageRef {
    /// The channel it was sent through.
    pub channel_id: String,
    /// The integrator's id.
    pub message_sid: String,
}

/// An empty list lets all through.
pub(super) fn channels(ids: Option<&[String]>) -> Result<Option<BTreeSet<ChannelId>>, ApiError> {
    let ids = ids.filter(|ids| !ids.is_empty());
    let ids = ids.map(|ids| set("channels", ids.iter().map(String::as_str), ChannelId::parse));
    ids.transpose()
}

pub(super) fn types(words: Option<&[String]>) -> Result<Option<BTreeSet<EventType>>, ApiError> {
    let words = words.filter(|words| !words.is_empty());
    let words = words.map(|words| {
        let words = words.iter().map(String::as_str);
        set("types", words, str::parse::<EventType>)
    });
    words.transpose()
}

pub(super) fn secret(text: Option<&str>) -> Result<Option<SigningSecret>, ApiError> {
    valid("secret", text.map(SigningSecret::parse).transpose())
}

pub(super) fn message_key(message: &MessageRef) -> Result<MessageKey, ApiError> {
    Ok(MessageKey {
        channel: valid("channel_id", ChannelId::parse(&message.channel_id))?,
        sid: valid("message_sid", MessageSid::parse(&message.message_sid))?,
    })
}
