//! Events, and whether all of them were delivered.
//!
//! [`subscriber`] receives events from the program, [`feed`] reads them from the operator's API,
//! and [`delivery_check`] compares the two.

pub mod delivery_check;
pub mod feed;
mod request;
pub mod subscriber;

use anyhow::{Context as _, Result};
use domain::EventType;
use domain::event::EventId;
use serde::Deserialize;

/// An event, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    pub id: EventId,
    pub sid: String,
    pub revision: i64,
    pub kind: EventType,
}

impl Event {
    /// Sorts the events of one message.
    pub fn order(&self) -> (i64, bool) {
        (self.revision, self.kind == EventType::Contradicted)
    }
}

/// An event as JSON. None of these texts contains escapes.
#[derive(Deserialize)]
struct EventJson<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    subject: &'a str,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    revision: i64,
}

impl TryFrom<EventJson<'_>> for Event {
    type Error = anyhow::Error;

    fn try_from(json: EventJson<'_>) -> Result<Self> {
        Ok(Self {
            id: json.id.parse()?,
            sid: json.subject.to_owned(),
            revision: json.data.revision,
            kind: json.event_type.parse()?,
        })
    }
}

pub fn parse(json: &[u8]) -> Result<Event> {
    let event: EventJson<'_> = serde_json::from_slice(json).context("a body is no event")?;
    event.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_is_parsed_and_a_test_event_is_none() {
        let text = |kind: &str| {
            format!(
                r#"{{"id":"evt_4b0c0301be13f9d2ea214ab5b0910b19","source":"/channels/1",
                "type":"{kind}","subject":"SM1","data":{{"channel_id":"1","revision":2}}}}"#
            )
        };
        let event = parse(text("message.contradicted").as_bytes()).unwrap();
        assert_eq!((event.sid.as_str(), event.order()), ("SM1", (2, true)));
        let moved = parse(text("message.read").as_bytes()).unwrap();
        assert!(moved.order() < event.order());
        assert!(parse(text("receiptd.test").as_bytes()).is_err());
    }
}
