//! Whether everything that happened was told, and in order.

use std::collections::{HashMap, HashSet};

use domain::event::EventId;

use super::Event;
use super::subscriber::Arrival;

/// What a subscriber was told, against what it should have been. Added up, of
/// several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Events that happened.
    pub events: usize,
    /// Those of them that were never taken.
    pub lost: usize,
    /// Events that came for the first time when a later one of their message
    /// had come before.
    pub out_of_order: usize,
    /// Events that came after they had been taken; their ids tell.
    pub repeated: usize,
    /// Events that came and never happened.
    pub invented: usize,
}

impl Told {
    /// Compares what happened with what came, in the order in which it came.
    #[must_use]
    pub fn compare(events: &[Event], arrivals: &[Arrival]) -> Self {
        let mut told = Self {
            events: events.len(),
            ..Self::default()
        };
        let happened: HashMap<EventId, &Event> =
            events.iter().map(|event| (event.id, event)).collect();
        let (mut came, mut taken) = (HashSet::new(), HashSet::new());
        let mut latest: HashMap<&str, (i64, bool)> = HashMap::new();
        for Arrival {
            event, taken: is, ..
        } in arrivals
        {
            told.repeated += usize::from(taken.contains(&event.id));
            if *is {
                taken.insert(event.id);
            }
            if !came.insert(event.id) {
                continue;
            }
            told.invented += usize::from(happened.get(&event.id) != Some(&event));
            let latest = latest.entry(&event.sid).or_insert_with(|| event.place());
            told.out_of_order += usize::from(event.place() < *latest);
            *latest = event.place().max(*latest);
        }
        told.lost = happened.keys().filter(|id| !taken.contains(*id)).count();
        told
    }

    /// Together with what another one was told.
    pub const fn add(&mut self, other: Self) {
        self.events += other.events;
        self.lost += other.lost;
        self.out_of_order += other.out_of_order;
        self.repeated += other.repeated;
        self.invented += other.invented;
    }

    /// Whether everything came, in order, and nothing else. Repetitions are
    /// allowed.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.lost == 0 && self.out_of_order == 0 && self.invented == 0
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
            event_type,
        }
    }

    fn told(events: &[Event], came: &[(u8, i64, bool)]) -> Told {
        let arrivals = came.iter().map(|(sid, revision, taken)| Arrival {
            event: event(*sid, *revision),
            at: Instant::now(),
            taken: *taken,
        });
        Told::compare(events, &arrivals.collect::<Vec<_>>())
    }

    #[test]
    fn everything_in_the_order_of_each_message_is_good() {
        let events = [event(1, 1), event(1, 3), event(2, 1)];
        let told = told(&events, &[(2, 1, true), (1, 1, true), (1, 3, true)]);
        assert!(told.is_good());
        assert_eq!((told.events, told.repeated), (3, 0));
    }

    #[test]
    fn what_was_never_taken_is_lost() {
        let told = told(&[event(1, 1), event(1, 2)], &[(1, 1, false)]);
        assert_eq!((told.lost, told.repeated), (2, 0));
        assert!(!told.is_good());
    }

    #[test]
    fn an_earlier_event_that_comes_first_later_is_out_of_order_and_a_repetition_is_not() {
        let events = [event(1, 1), event(1, 2)];
        let wrong = told(&events, &[(1, 2, true), (1, 1, true)]);
        assert_eq!((wrong.out_of_order, wrong.is_good()), (1, false));
        let again = told(
            &events,
            &[(1, 1, true), (1, 2, true), (1, 1, true), (1, 2, true)],
        );
        assert_eq!((again.repeated, again.is_good()), (2, true));
        let retried = told(&events, &[(1, 1, false), (1, 1, true), (1, 2, true)]);
        assert_eq!((retried.repeated, retried.is_good()), (0, true));
    }

    #[test]
    fn an_event_that_never_happened_is_noticed() {
        let told = told(&[event(1, 1)], &[(1, 1, true), (1, 2, true)]);
        assert_eq!((told.invented, told.is_good()), (1, false));
    }
}
