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
        retrying_since: at(0),
        next_attempt_at: None,
        rests_until: None,
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

/// All of one that is to be tried; what it was before, if it only stands in a store.
fn whole(entry: Entry) -> Delivery {
    match entry {
        Entry::Here(delivery) => *delivery,
        Entry::Stored(open) => Delivery {
            key: open.key,
            message: open.message,
            next_attempt_at: open.next_attempt_at,
            rests_until: open.rests_until,
            ..event(0, open.position.0, open.revision)
        },
    }
}

/// The next one that can be tried now.
fn next(lanes: &mut Lanes, seconds: i64) -> Option<Delivery> {
    lanes.next(at(seconds)).map(whole)
}

/// All that can be tried now.
fn all_ready(lanes: &mut Lanes, seconds: i64) -> Vec<Delivery> {
    std::iter::from_fn(|| next(lanes, seconds)).collect()
}

/// Takes over what a store knows.
fn restore(lanes: &mut Lanes, open: &[Delivery]) {
    lanes.restore(open.iter().map(PendingDelivery::from).collect());
}

/// The target has asked to be left alone with it.
fn told(mut delivery: Delivery) -> Delivery {
    delivery.rests_until = delivery.next_attempt_at;
    delivery
}

/// The next one to ask with, and when.
fn probe(lanes: &mut Lanes, seconds: i64) -> Option<Delivery> {
    let asks = lanes.next_probe(at(seconds)) == Some(at(seconds));
    let probe = lanes.probe(at(seconds)).map(whole);
    assert_eq!(asks, probe.is_some());
    probe
}

#[test]
fn messages_go_side_by_side_and_the_events_of_one_after_each_other() {
    let mut lanes = Lanes::default();
    for (message, position, revision) in [(1, 1, 1), (1, 2, 2), (2, 3, 1), (1, 4, 3)] {
        assert_eq!(lanes.add(event(message, position, revision)), None);
    }
    let flying = all_ready(&mut lanes, 0);
    assert_eq!(positions(&flying), [1, 3]);
    assert_eq!(lanes.open, 4);
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
    let first = next(&mut lanes, 0).unwrap();
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
    assert_eq!((lanes.open, lanes.unrecorded()), (4, 0));
    assert_eq!(lanes.next_due(), Some(at(10)));
    assert_eq!(next(&mut lanes, 9), None);
    let again = next(&mut lanes, 10).unwrap();
    // The others are known already.
    assert_eq!(positions(&lanes.ended(failed(again, 30))), [1]);
    let again = next(&mut lanes, 30).unwrap();
    assert_eq!(positions(&lanes.ended(delivered(again))), [1]);
    assert_eq!(positions(&all_ready(&mut lanes, 30)), [2]);
}

#[test]
fn none_is_recorded_before_an_earlier_one_of_its_message() {
    let mut lanes = Lanes::default();
    // Both were dead letters, and are tried again.
    restore(
        &mut lanes,
        &[failed(event(1, 1, 1), 0), failed(event(1, 2, 2), 0)],
    );
    let first = next(&mut lanes, 0).unwrap();
    assert_eq!(lanes.add(event(1, 3, 3)), None);
    lanes.ended(delivered(first));
    // The second one has failed before; but the third one only stands here.
    assert_eq!(lanes.add(event(1, 4, 4)), None);
    assert_eq!(lanes.position(LogPosition(4)), LogPosition(2));
    let second = next(&mut lanes, 0).unwrap();
    assert_eq!(positions(&lanes.ended(failed(second, 9))), [2, 3, 4]);
}

#[test]
fn one_that_is_open_is_not_added_again() {
    let mut lanes = Lanes::default();
    restore(&mut lanes, &[failed(event(1, 1, 1), 10)]);
    assert_eq!(lanes.add(event(1, 1, 1)), None);
    assert_eq!((lanes.open, lanes.unrecorded()), (1, 0));
    let first = next(&mut lanes, 10).unwrap();
    assert_eq!(lanes.add(event(1, 1, 1)), None);
    lanes.ended(delivered(first));
    assert_eq!((lanes.open, next(&mut lanes, 99)), (0, None));
}

#[test]
fn what_a_store_knows_is_taken_over_in_the_order_of_events() {
    let mut lanes = Lanes::default();
    let waiting = |position, revision| Delivery {
        state: DeliveryState::Waiting,
        ..event(1, position, revision)
    };
    restore(
        &mut lanes,
        &[
            waiting(3, 3),
            waiting(2, 2),
            failed(event(1, 1, 1), 10),
            event(2, 4, 1),
        ],
    );
    assert_eq!(positions(&all_ready(&mut lanes, 0)), [4]);
    for position in 1..=3 {
        let next = all_ready(&mut lanes, 10);
        assert_eq!(positions(&next), [position]);
        lanes.ended(delivered(next.into_iter().next().unwrap()));
    }
    assert_eq!(lanes.position(LogPosition(9)), LogPosition(9));
}

#[test]
fn a_probe_is_one_that_was_not_tried_and_then_each_has_its_turn() {
    let mut lanes = Lanes::default();
    restore(
        &mut lanes,
        &[
            failed(event(1, 1, 1), 20),
            failed(event(2, 2, 1), 10),
            event(3, 3, 1),
        ],
    );
    lanes.add(event(4, 4, 1));
    let mut probed = Vec::new();
    for second in 0..8 {
        let delivery = probe(&mut lanes, second).unwrap();
        probed.push(delivery.position.0);
        // One fails more often than the others, and is due the first again.
        let pause = if delivery.position.0 == 3 { 1 } else { 50 };
        lanes.ended(failed(delivery, second + pause));
    }
    assert_eq!(probed, [3, 4, 2, 1, 3, 4, 2, 1]);
}

#[test]
fn what_is_to_be_left_alone_is_no_probe_before_its_time() {
    let mut lanes = Lanes::default();
    restore(
        &mut lanes,
        &[
            told(failed(event(1, 1, 1), 20)),
            told(failed(event(2, 2, 1), 30)),
        ],
    );
    assert_eq!(probe(&mut lanes, 19), None);
    assert_eq!(lanes.next_probe(at(19)), Some(at(20)));
    assert_eq!(probe(&mut lanes, 20).unwrap().position.0, 1);
    assert_eq!(probe(&mut lanes, 20), None);
    assert_eq!(lanes.next_probe(at(20)), Some(at(30)));
}

#[test]
fn what_failed_may_be_tried_at_once_when_the_target_is_back() {
    let mut lanes = Lanes::default();
    restore(
        &mut lanes,
        &[
            failed(event(1, 1, 1), 20),
            failed(event(2, 2, 1), 10),
            told(failed(event(3, 3, 1), 40)),
            failed(event(4, 4, 1), 50),
            told(failed(event(5, 5, 1), 5)),
        ],
    );
    lanes.make_all_due(at(5), |message| *message == key("SM4"));
    assert_eq!(lanes.next_due(), Some(at(40)));
    assert_eq!(positions(&all_ready(&mut lanes, 5)), [5, 2, 1]);
    assert_eq!(positions(&all_ready(&mut lanes, 60)), [3, 4]);
}

#[test]
fn one_that_was_not_read_comes_again() {
    let mut lanes = Lanes::default();
    restore(&mut lanes, &[failed(event(1, 1, 1), 0), event(1, 2, 2)]);
    let Some(Entry::Stored(open)) = lanes.next(at(0)) else {
        panic!("it is read when it is tried");
    };
    lanes.postponed(&open, at(3));
    assert_eq!(next(&mut lanes, 2), None);
    assert_eq!(next(&mut lanes, 3).unwrap().position.0, 1);
}

#[test]
fn more_may_be_taken_over_later() {
    let mut lanes = Lanes::default();
    restore(&mut lanes, &[failed(event(1, 1, 1), 9), event(2, 2, 1)]);
    restore(
        &mut lanes,
        &[event(1, 3, 2), event(2, 4, 2), event(3, 5, 1)],
    );
    let ready = all_ready(&mut lanes, 0);
    assert_eq!(positions(&ready), [2, 5]);
    lanes.ended(delivered(ready.into_iter().next().unwrap()));
    assert_eq!(positions(&all_ready(&mut lanes, 0)), [4]);
    assert_eq!(lanes.recorded(), 4);
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
