//! Who is told what happened to messages, and whether all of it was told.
//!
//! [`subscriber`] is whom the program pushes events to, [`feed`] asks the
//! operator's interface for them, [`told`] compares the two. What is measured of
//! events stands in [`suite`].

pub mod feed;
pub mod measure;
pub mod ratios;
mod request;
pub mod row;
pub mod subscriber;
pub mod suite;
pub mod told;

use anyhow::{Context as _, Result};
use domain::EventType;
use domain::event::EventId;
use serde::Deserialize;

/// What happened to a message, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// The same for every repetition.
    pub id: EventId,
    /// The message.
    pub sid: String,
    /// Which change of the message it was.
    pub revision: i64,
    /// What happened.
    pub event_type: EventType,
}

impl Event {
    /// Its place among the events of its message.
    #[must_use]
    pub fn place(&self) -> (i64, bool) {
        (self.revision, self.event_type == EventType::Contradicted)
    }
}

/// An event on the wire. Nothing that is read of it has anything to escape.
#[derive(Deserialize)]
struct Form<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    subject: &'a str,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    revision: i64,
}

impl TryFrom<Form<'_>> for Event {
    type Error = anyhow::Error;

    fn try_from(form: Form<'_>) -> Result<Self> {
        Ok(Self {
            id: form.id.parse()?,
            sid: form.subject.to_owned(),
            revision: form.data.revision,
            event_type: form.event_type.parse()?,
        })
    }
}

/// Reads one event.
pub fn read(json: &[u8]) -> Result<Event> {
    let form: Form<'_> = serde_json::from_slice(json).context("a body is no event")?;
    form.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_and_a_test_event_is_none() {
        let text = |kind: &str| {
            format!(
                r#"{{"id":"evt_4b0c0301be13f9d2ea214ab5b0910b19","source":"/channels/1",
                "type":"{kind}","subject":"SM1","data":{{"channel_id":"1","revision":2}}}}"#
            )
        };
        let event = read(text("message.contradicted").as_bytes()).unwrap();
        assert_eq!((event.sid.as_str(), event.place()), ("SM1", (2, true)));
        let moved = read(text("message.read").as_bytes()).unwrap();
        assert!(moved.place() < event.place());
        assert!(read(text("receiptd.test").as_bytes()).is_err());
    }
}
