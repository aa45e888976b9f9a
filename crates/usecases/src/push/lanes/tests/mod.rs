//! The rules of the lanes, one by one.

mod model;

use domain::delivery::Attempts;
use domain::{DeliveryKey, DeliveryStatus, EventType};
use testkit::builders::{failed_attempt, key, subscription_id};

use super::*;

/// When everything happens, in seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::EPOCH.plus_micros(seconds * 1_000_000)
}

/// The event of a message at a place in the log.
fn event(message: u8, position: i64, revision: i64) -> Delivery {
    let event_type = EventType::Moved(DeliveryStatus::Sent);
    Delivery {
        key: DeliveryKey::new(subscription_id(1), position, event_type),
        position: LogPosition(position),
        event_type,
        message: key(&format!("SM{message}")),
        revision,
        state: DeliveryState::Retrying,
        attempts: Attempts::default(),
        created_at: at(0),
        next_attempt_at: None,
        finished_at: None,
        body: Some("{}".to_owned()),
    }
}

fn delivered(mut delivery: Delivery) -> Delivery {
    delivery.state = DeliveryState::Delivered;
    delivery.next_attempt_at = None;
    delivery
}

/// To be tried again at this time.
fn failed(mut delivery: Delivery, seconds: i64) -> Delivery {
    delivery.attempts.push(failed_attempt(seconds));
    delivery.state = DeliveryState::Retrying;
    delivery.next_attempt_at = Some(at(seconds));
    delivery
}

fn positions<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Vec<i64> {
    let deliveries = deliveries.into_iter();
    deliveries.map(|each| each.position.0).collect()
}

/// All that can be tried now.
fn all_ready(lanes: &mut Lanes, seconds: i64) -> Vec<Delivery> {
    std::iter::from_fn(|| lanes.next(at(seconds))).collect()
}

#[test]
fn messages_go_side_by_side_and_the_events_of_one_after_each_other() {
    let mut lanes = Lanes::default();
    for (message, position, revision) in [(1, 1, 1), (1, 2, 2), (2, 3, 1), (1, 4, 3)] {
        assert_eq!(lanes.add(event(message, position, revision)), None);
    }
    let flying = all_ready(&mut lanes, 0);
    assert_eq!(positions(&flying), [1, 3]);
    assert_eq!(lanes.open(), 4);
    for delivery in flying.into_iter().rev() {
        assert_eq!(lanes.ended(delivered(delivery)).len(), 1);
    }
    assert_eq!(positions(&all_ready(&mut lanes, 0)), [2]);
    assert!(!lanes.has_ready_at(at(0)));
}

#[test]
fn those_behind_one_that_failed_are_recorded_and_wait() {
    let mut lanes = Lanes::default();
    lanes.add(event(1, 1, 1));
    lanes.add(event(1, 2, 2));
    let first = lanes.next(at(0)).unwrap();
    // It is under way and may yet succeed.
    assert_eq!(lanes.add(event(1, 3, 3)), None);
    assert_eq!(lanes.position(LogPosition(3)), LogPosition(0));
    let recorded = lanes.ended(failed(first, 10));
    assert_eq!(positions(&recorded), [1, 2, 3]);
    let states: Vec<_> = recorded.iter().map(|each| each.state).collect();
    let (retrying, waiting) = (DeliveryState::Retrying, DeliveryState::Waiting);
    assert_eq!(states, [retrying, waiting, waiting]);
    assert_eq!(lanes.position(LogPosition(3)), LogPosition(3));

    let later = lanes.add(event(1, 4, 4)).unwrap();
    assert_eq!((later.state, later.next_attempt_at), (waiting, None));
    assert_eq!((lanes.open(), lanes.unrecorded()), (4, 0));
    assert_eq!(lanes.next_due(), Some(at(10)));
    assert_eq!(lanes.next(at(9)), None);
    let again = lanes.next(at(10)).unwrap();
    // The others are known already.
    assert_eq!(positions(&lanes.ended(failed(again, 30))), [1]);
    let again = lanes.next(at(30)).unwrap();
    assert_eq!(positions(&lanes.ended(delivered(again))), [1]);
    assert_eq!(positions(&all_ready(&mut lanes, 30)), [2]);
}

#[test]
fn none_is_recorded_before_an_earlier_one_of_its_message() {
    let mut lanes = Lanes::default();
    // Both were dead letters, and are tried again.
    lanes.restore(vec![failed(event(1, 1, 1), 0), failed(event(1, 2, 2), 0)]);
    let first = lanes.next(at(0)).unwrap();
    assert_eq!(lanes.add(event(1, 3, 3)), None);
    lanes.ended(delivered(first));
    // The second one has failed before; but the third one only stands here.
    assert_eq!(lanes.add(event(1, 4, 4)), None);
    assert_eq!(lanes.position(LogPosition(4)), LogPosition(2));
    let second = lanes.next(at(0)).unwrap();
    assert_eq!(positions(&lanes.ended(failed(second, 9))), [2, 3, 4]);
}

#[test]
fn one_that_is_open_is_not_added_again() {
    let mut lanes = Lanes::default();
    lanes.restore(vec![failed(event(1, 1, 1), 10)]);
    assert_eq!(lanes.add(event(1, 1, 1)), None);
    assert_eq!((lanes.open(), lanes.unrecorded()), (1, 0));
    let first = lanes.next(at(10)).unwrap();
    assert_eq!(lanes.add(event(1, 1, 1)), None);
    lanes.ended(delivered(first));
    assert_eq!((lanes.open(), lanes.next(at(99))), (0, None));
}

#[test]
fn what_a_store_knows_is_taken_over_in_the_order_of_events() {
    let mut lanes = Lanes::default();
    let waiting = |position, revision| Delivery {
        state: DeliveryState::Waiting,
        ..event(1, position, revision)
    };
    lanes.restore(vec![
        waiting(3, 3),
        waiting(2, 2),
        failed(event(1, 1, 1), 10),
        event(2, 4, 1),
    ]);
    assert_eq!(positions(&all_ready(&mut lanes, 0)), [4]);
    for position in 1..=3 {
        let next = all_ready(&mut lanes, 10);
        assert_eq!(positions(&next), [position]);
        lanes.ended(delivered(next.into_iter().next().unwrap()));
    }
    assert_eq!(lanes.position(LogPosition(9)), LogPosition(9));
}

#[test]
fn a_probe_is_the_one_that_is_due_first_even_before_its_time() {
    let mut lanes = Lanes::default();
    lanes.restore(vec![
        failed(event(1, 1, 1), 20),
        failed(event(2, 2, 1), 10),
        event(3, 3, 1),
    ]);
    let probes: Vec<_> = (0..3).filter_map(|_| lanes.probe()).collect();
    assert_eq!(positions(&probes), [2, 1, 3]);
    assert_eq!(lanes.probe(), None);
}

#[test]
fn what_failed_may_be_tried_at_once_when_the_target_is_back() {
    let mut lanes = Lanes::default();
    lanes.restore(vec![failed(event(1, 1, 1), 20), failed(event(2, 2, 1), 10)]);
    lanes.make_all_due();
    assert_eq!(lanes.next_due(), None);
    assert_eq!(positions(&all_ready(&mut lanes, 0)), [2, 1]);
}

#[test]
fn the_position_stands_before_the_first_event_that_only_stands_here() {
    let mut lanes = Lanes::default();
    for (message, position) in [(1, 10), (2, 20), (3, 30)] {
        lanes.add(event(message, position, 1));
    }
    let read = LogPosition(35);
    let [one, two, three] = <[_; 3]>::try_from(all_ready(&mut lanes, 0)).unwrap();
    lanes.ended(delivered(two));
    assert_eq!(lanes.position(read), LogPosition(9));
    lanes.ended(delivered(one));
    assert_eq!(lanes.position(read), LogPosition(29));
    lanes.ended(delivered(three));
    assert_eq!(lanes.position(read), read);
}
