//! Events as clients see them: `CloudEvents` 1.0 in JSON, the same for polling, streaming and
//! webhooks.

use domain::error_code::explain;
use domain::event::MessageEvent;
use domain::{Address, DeliveryStatus, IntegratorName, Timestamp, mask_numbers};
use serde::Serialize;
use serde_json::Value;

/// Version of the schema of `data`. Adding a field keeps it; any other change makes a new one.
pub const DATA_SCHEMA: &str = "urn:receiptd:message-event:1";

/// An event in its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloudEvent {
    /// Version of the envelope.
    pub specversion: &'static str,
    /// Event id, the same in every repetition.
    pub id: String,
    /// Channel, as a path: `/channels/202105102694809992`.
    pub source: String,
    /// Event type, like `message.delivered`.
    #[serde(rename = "type")]
    pub event_type: &'static str,
    /// The integrator's message id.
    pub subject: String,
    /// When the report arrived.
    pub time: String,
    /// Media type of `data`.
    pub datacontenttype: &'static str,
    /// Schema of `data`.
    pub dataschema: &'static str,
    /// The message after the event.
    pub data: MessageData,
}

/// A message after an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MessageData {
    /// Channel id.
    pub channel_id: String,
    /// The integrator's message id.
    pub message_sid: String,
    /// Number of the change of the message, from 1. It grows with each event, except between two
    /// events of one report.
    pub revision: i64,
    /// Status after the event.
    pub status: &'static str,
    /// Status before the event; `null` if it is the first.
    pub previous_status: Option<&'static str>,
    /// Whether it was reported both as delivered and as failed.
    pub contradicted: bool,
    /// Recipient.
    pub to: String,
    /// Sender; `null` if the report has none.
    pub from: Option<String>,
    /// Where the report comes from: `callback`, or `reconciled` if it did not arrive and was read
    /// from the integrator's records.
    pub provenance: &'static str,
    /// Whether the addresses, and phone numbers in the error's text, are masked.
    pub masked: bool,
    /// Error of the first failure report with a code.
    pub error: Option<ErrorData>,
    /// When each status was first reported, from the lowest to the highest.
    pub timeline: Vec<StepData>,
}

/// An error and its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorData {
    /// The integrator's error code.
    pub code: String,
    /// The integrator's text, empty if it sent none. Phone numbers are masked like the addresses.
    pub text: String,
    /// When the failure was reported.
    pub reported_at: String,
    /// Title; `null` if the channel was removed.
    pub title: Option<&'static str>,
    /// What happened and what to do.
    pub explanation: Option<&'static str>,
    /// The party that has to act.
    pub actor: Option<&'static str>,
    /// Whether sending the same message again can help.
    pub permanence: Option<&'static str>,
}

/// A status that a message reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepData {
    /// The status.
    pub status: &'static str,
    /// When it was first reported.
    pub first_reported_at: String,
}

impl CloudEvent {
    /// Converts an event. Its error is explained if the integrator is known; phone numbers are
    /// masked unless `reveal` is set.
    #[must_use]
    pub fn new(event: &MessageEvent, integrator: Option<&IntegratorName>, reveal: bool) -> Self {
        Self {
            specversion: "1.0",
            id: event.id.to_string(),
            source: format!("/channels/{}", event.key.channel),
            event_type: event.event_type.as_str(),
            subject: event.key.sid.to_string(),
            time: event.reported_at.to_string(),
            datacontenttype: "application/json",
            dataschema: DATA_SCHEMA,
            data: MessageData::new(event, integrator, reveal),
        }
    }

    /// Returns the JSON of a test event.
    #[must_use]
    pub fn test(id: &str, now: Timestamp) -> String {
        serde_json::json!({
            "specversion": "1.0",
            "id": id,
            "source": "/test",
            "type": "receiptd.test",
            "time": now.to_string(),
            "datacontenttype": "application/json",
            "data": { "message": "a test of this subscription; nothing happened" },
        })
        .to_string()
    }

    /// Returns the JSON with its phone numbers masked; `None` if they are masked already.
    #[must_use]
    pub fn mask(json: &str) -> Option<String> {
        // In a text field the quotes would be escaped.
        if !json.contains(r#""masked":false"#) {
            return None;
        }
        let mut event: Value = serde_json::from_str(json).ok()?;
        let data = event.get_mut("data")?.as_object_mut()?;
        let text = data
            .get_mut("error")
            .and_then(|error| error.get_mut("text"));
        if let Some(text) = text {
            *text = text.as_str().map(mask_numbers).into();
        }
        for name in ["to", "from"] {
            let address = data.get(name).unwrap_or(&Value::Null);
            if address.is_null() {
                continue;
            }
            let masked = address
                .as_str()
                .and_then(|address| Address::parse(address).ok());
            // An invalid address is masked as a whole.
            let masked = masked.map_or_else(|| "***".to_owned(), |it| it.to_string());
            data.insert(name.to_owned(), masked.into());
        }
        data.insert("masked".to_owned(), true.into());
        Some(event.to_string())
    }

    /// Returns the JSON, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl MessageData {
    fn new(event: &MessageEvent, integrator: Option<&IntegratorName>, reveal: bool) -> Self {
        let shown = |address: &Address| {
            if reveal {
                address.reveal().to_owned()
            } else {
                address.to_string()
            }
        };
        let error = event.error.as_ref().map(|error| {
            let explained = integrator.map(|name| explain(name, &error.error.code));
            ErrorData {
                code: error.error.code.to_string(),
                text: if reveal {
                    error.error.text.reveal().to_owned()
                } else {
                    error.error.text.to_string()
                },
                reported_at: error.reported_at.to_string(),
                title: explained.map(|each| each.title),
                explanation: explained.map(|each| each.explanation),
                actor: explained.map(|each| each.actor.as_str()),
                permanence: explained.map(|each| each.permanence.as_str()),
            }
        });
        let step = |(status, at): (DeliveryStatus, Timestamp)| StepData {
            status: status.as_str(),
            first_reported_at: at.to_string(),
        };
        Self {
            channel_id: event.key.channel.to_string(),
            message_sid: event.key.sid.to_string(),
            revision: event.revision,
            status: event.status.as_str(),
            previous_status: event.previous.map(DeliveryStatus::as_str),
            contradicted: event.contradicted,
            to: shown(&event.recipient),
            from: event.sender.as_ref().map(shown),
            provenance: event.provenance.as_str(),
            masked: !reveal,
            error,
            timeline: event.timeline.steps().map(step).collect(),
        }
    }
}
