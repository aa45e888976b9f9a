//! Whether every event was delivered, and in order.

use std::collections::{HashMap, HashSet};

use domain::event::EventId;

use super::Event;
use super::subscriber::Arrival;

/// What subscribers received, compared with what they should have. Counts of several add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCheck {
    /// Events that were expected.
    pub events: usize,
    /// Expected events that were never accepted.
    pub lost: usize,
    /// Events that arrived for the first time after a later event of their message.
    pub out_of_order: usize,
    /// Events that arrived after they had been accepted.
    pub repeated: usize,
    /// Events that arrived and were not expected.
    pub unknown: usize,
}

impl DeliveryCheck {
    /// Compares the expected events with the arrivals, in their order.
    pub fn compare(events: &[Event], arrivals: &[Arrival]) -> Self {
        let mut check = Self {
            events: events.len(),
            ..Self::default()
        };
        let expected: HashMap<EventId, &Event> =
            events.iter().map(|event| (event.id, event)).collect();
        let (mut arrived, mut accepted) = (HashSet::new(), HashSet::new());
        let mut latest: HashMap<&str, (i64, bool)> = HashMap::new();
        for Arrival {
            event,
            accepted: is_accepted,
            ..
        } in arrivals
        {
            check.repeated += usize::from(accepted.contains(&event.id));
            if *is_accepted {
                accepted.insert(event.id);
            }
            if !arrived.insert(event.id) {
                continue;
            }
            check.unknown += usize::from(expected.get(&event.id) != Some(&event));
            let latest = latest.entry(&event.sid).or_insert_with(|| event.order());
            check.out_of_order += usize::from(event.order() < *latest);
            *latest = event.order().max(*latest);
        }
        check.lost = expected.keys().filter(|id| !accepted.contains(*id)).count();
        check
    }

    pub const fn add(&mut self, other: Self) {
        self.events += other.events;
        self.lost += other.lost;
        self.out_of_order += other.out_of_order;
        self.repeated += other.repeated;
        self.unknown += other.unknown;
    }

    /// Returns whether exactly the expected events arrived, in order. Repetitions are allowed.
    pub const fn is_good(&self) -> bool {
        self.lost == 0 && self.out_of_order == 0 && self.unknown == 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use domain::{ChannelId, DeliveryStatus, EventType, MessageKey, MessageSid};

    use super::*;

    fn event(sid: u8, revision: i64) -> Event {
        let sid = format!("SM{sid:032}");
        let key = MessageKey {
            channel: ChannelId::parse("1").unwrap(),
            sid: MessageSid::parse(&sid).unwrap(),
        };
        let event_type = EventType::Moved(DeliveryStatus::Sent);
        Event {
            id: EventId::new(&key, revision, event_type),
            sid,
            revision,
            kind: event_type,
        }
    }

    fn check(events: &[Event], arrived: &[(u8, i64, bool)]) -> DeliveryCheck {
        let arrivals = arrived.iter().map(|(sid, revision, accepted)| Arrival {
            event: event(*sid, *revision),
            at: Instant::now(),
            accepted: *accepted,
        });
        DeliveryCheck::compare(events, &arrivals.collect::<Vec<_>>())
    }

    #[test]
    fn all_events_in_the_order_of_each_message_are_good() {
        let events = [event(1, 1), event(1, 3), event(2, 1)];
        let check = check(&events, &[(2, 1, true), (1, 1, true), (1, 3, true)]);
        assert!(check.is_good());
        assert_eq!((check.events, check.repeated), (3, 0));
    }

    #[test]
    fn event_that_was_never_accepted_is_lost() {
        let check = check(&[event(1, 1), event(1, 2)], &[(1, 1, false)]);
        assert_eq!((check.lost, check.repeated), (2, 0));
        assert!(!check.is_good());
    }

    #[test]
    fn earlier_event_after_a_later_one_is_out_of_order_and_a_repetition_is_not() {
        let events = [event(1, 1), event(1, 2)];
        let wrong = check(&events, &[(1, 2, true), (1, 1, true)]);
        assert_eq!((wrong.out_of_order, wrong.is_good()), (1, false));
        let again = check(
            &events,
            &[(1, 1, true), (1, 2, true), (1, 1, true), (1, 2, true)],
        );
        assert_eq!((again.repeated, again.is_good()), (2, true));
        let retried = check(&events, &[(1, 1, false), (1, 1, true), (1, 2, true)]);
        assert_eq!((retried.repeated, retried.is_good()), (0, true));
    }

    #[test]
    fn unexpected_event_is_noticed() {
        let check = check(&[event(1, 1)], &[(1, 1, true), (1, 2, true)]);
        assert_eq!((check.unknown, check.is_good()), (1, false));
    }
}
