//! Which events follow from the reports in the log, computed independently of the program.

use anyhow::Result;
use domain::event::EventId;
use domain::{ChannelId, DeliveryStatus, EventType, MessageKey, MessageSid};

use super::store::StoredData;
use crate::CHANNEL;
use crate::events::Event;

/// Returns all events of the stored reports: one whenever a message advances, and one when it is
/// known to have both arrived and failed.
pub fn expected_events(stored: &StoredData) -> Result<Vec<Event>> {
    let channel = ChannelId::parse(CHANNEL)?;
    let mut events = Vec::new();
    for (sid, statuses) in &stored.statuses {
        let key = MessageKey {
            channel: channel.clone(),
            sid: MessageSid::parse(sid)?,
        };
        for (revision, event_type) in of_statuses(statuses.clone()) {
            events.push(Event {
                id: EventId::new(&key, revision, event_type),
                sid: sid.clone(),
                revision,
                kind: event_type,
            });
        }
    }
    Ok(events)
}

fn of_statuses(mut statuses: Vec<(i64, String)>) -> Vec<(i64, EventType)> {
    statuses.sort_unstable();
    let mut events = Vec::new();
    let (mut highest, mut arrived, mut failed) = (None, false, false);
    for (revision, status) in statuses {
        let Ok(status) = status.parse::<DeliveryStatus>() else {
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
    fn events_follow_when_a_message_advances_and_when_it_is_contradicted() {
        let statuses = [
            (3, "delivered"),
            (1, "teleported"),
            (2, "undelivered"),
            (4, "sent"),
            (5, "failed"),
            (6, "read"),
        ];
        let statuses = statuses.map(|(revision, status)| (revision, status.to_owned()));
        let moved = EventType::Moved;
        let expected = [
            (2, moved(DeliveryStatus::Undelivered)),
            (3, moved(DeliveryStatus::Delivered)),
            (3, EventType::Contradicted),
            (6, moved(DeliveryStatus::Read)),
        ];
        assert_eq!(of_statuses(statuses.to_vec()), expected);
    }
}
