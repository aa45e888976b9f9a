//! The bodies of requests for subscriptions.

use std::collections::BTreeSet;

use domain::crypto::SigningSecret;
use domain::{ChannelId, EventFilter, MessageKey, MessageSid};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::error::{ApiError, valid};
use crate::api::json_body::{Whole, optional_object};
use crate::api::query::set;

/// A subscription to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionRequest {
    /// The URL events are sent to: `https://` or `http://`.
    #[schema(example = "https://workbench.example.com/hooks/whatsapp")]
    pub url: String,
    /// Only events of these channels; left out for all.
    pub channels: Option<Vec<String>>,
    /// Only events of these types; left out for all message events.
    #[schema(example = json!(["message.delivered", "message.failed"]))]
    pub types: Option<Vec<String>>,
    /// Whether addresses in events are unmasked.
    #[serde(default)]
    pub reveal: bool,
    /// A description for people.
    pub description: Option<String>,
    /// The signing secret, `whsec_` and 24 to 64 bytes in base64; generated if left out.
    pub secret: Option<String>,
    /// Where it begins: after this `next` of the pulled events, or `oldest`. Without this and
    /// `since`: with the next event.
    pub after: Option<String>,
    /// Begin with the reports that arrived at this time or later.
    pub since: Option<String>,
}

/// Changes of a subscription; fields that are left out stay unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionPatch {
    /// The URL events are sent to.
    pub url: Option<String>,
    /// Only events of these channels; empty for all.
    pub channels: Option<Vec<String>>,
    /// Only events of these types; empty for all message events.
    pub types: Option<Vec<String>>,
    /// Whether addresses in events are unmasked.
    pub reveal: Option<bool>,
    /// A description for people.
    pub description: Option<String>,
    /// The version to change; the request fails if it is not the current one.
    #[schema(value_type = Option<i64>)]
    pub version: Option<Whole>,
}

impl SubscriptionPatch {
    /// Returns the fields, and whether each is to be changed.
    pub(super) fn changed(&self) -> [(&'static str, bool); 5] {
        [
            ("url", self.url.is_some()),
            ("channels", self.channels.is_some()),
            ("types", self.types.is_some()),
            ("reveal", self.reveal.is_some()),
            ("description", self.description.is_some()),
        ]
    }
}

/// The replacement of a secret.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// The new secret; generated if left out.
    pub secret: Option<String>,
    /// For how many hours the old secret also signs, at most 720; the default is 24.
    #[schema(value_type = Option<i64>)]
    pub overlap_hours: Option<Whole>,
    /// Whether to end a secret from an earlier rotation that still signs. Without this the answer
    /// is 409 `previous_secret_signs` in that case.
    #[serde(default)]
    pub end_previous: bool,
}

/// Which events to send again: give one of the three.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// All events after this `next` of the pulled events, or `oldest`.
    pub after: Option<String>,
    /// All events of reports that arrived at this time or later.
    pub since: Option<String>,
    /// The events of one message.
    #[serde(default, deserialize_with = "optional_object")]
    pub message: Option<MessageRef>,
}

/// The ids of a message.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageRef {
    /// The channel it was sent through.
    pub channel_id: String,
    /// The integrator's id.
    pub message_sid: String,
}

/// Reads a filter by channel; an empty list passes all.
pub(super) fn channels(ids: Option<&[String]>) -> Result<Option<BTreeSet<ChannelId>>, ApiError> {
    let ids = ids.filter(|ids| !ids.is_empty());
    let ids = ids.map(|ids| set("channels", ids.iter().map(String::as_str), ChannelId::parse));
    ids.transpose()
}

/// Sets the types of a filter; an empty list passes all message events.
pub(super) fn set_types(filter: &mut EventFilter, names: &[String]) -> Result<(), ApiError> {
    if names.is_empty() {
        filter.clear_types();
        return Ok(());
    }
    valid("types", filter.set_types(names.iter().map(String::as_str)))
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
