//! Which events the reports in the log make, by a reckoning of their own.

use bench::CHANNEL;
use bench::events::Event;
use domain::event::EventId;
use domain::{ChannelId, DeliveryStatus, EventType, MessageKey, MessageSid};

use anyhow::Result;

use crate::store::Kept;

/// All events of what is kept: a message that moves up makes one, and one that is
/// known to have both arrived and failed makes another.
pub fn happened(kept: &Kept) -> Result<Vec<Event>> {
    let channel = ChannelId::parse(CHANNEL)?;
    let mut events = Vec::new();
    for (sid, words) in &kept.words {
        let key = MessageKey {
            channel: channel.clone(),
            sid: MessageSid::parse(sid)?,
        };
        for (revision, event_type) in of_words(words.clone()) {
            events.push(Event {
                id: EventId::new(&key, revision, event_type),
                sid: sid.clone(),
                revision,
                event_type,
            });
        }
    }
    Ok(events)
}

fn of_words(mut words: Vec<(i64, String)>) -> Vec<(i64, EventType)> {
    words.sort_unstable();
    let mut events = Vec::new();
    let (mut highest, mut arrived, mut failed) = (None, false, false);
    for (revision, word) in words {
        let Some(status) = DeliveryStatus::from_word(&word) else {
            continue;
        };
        if highest < Some(status) {
            highest = Some(status);
            events.push((revision, EventType::Moved(status)));
        }
        let was_contradicted = arrived && failed;
        arrived |= status.is_arrival();
        failed |= status.is_failure();
        if arrived && failed && !was_contradicted {
            events.push((revision, EventType::Contradicted));
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_makes_an_event_when_it_moves_up_and_when_it_is_contradicted() {
        let words = [
            (3, "delivered"),
            (1, "teleported"),
            (2, "undelivered"),
            (4, "sent"),
            (5, "failed"),
            (6, "read"),
        ];
        let words = words.map(|(revision, word)| (revision, word.to_owned()));
        let moved = EventType::Moved;
        let expected = [
            (2, moved(DeliveryStatus::Undelivered)),
            (3, moved(DeliveryStatus::Delivered)),
            (3, EventType::Contradicted),
            (6, moved(DeliveryStatus::Read)),
        ];
        assert_eq!(of_words(words.to_vec()), expected);
    }
}
