//! The rules of the queue, one by one.

mod model;

use domain::delivery::Attempts;
use domain::{DeliveryKey, DeliveryStatus, EventType};
use testkit::builders::{failed_attempt, key, subscription_id};

use super::*;

/// Returns a time, in seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::EPOCH.plus_micros(seconds * 1_000_000)
}

/// Returns the event of a message at a position in the log.
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
        cooldown_until: None,
        finished_at: None,
        body: Some("{}".to_owned()),
    }
}

fn delivered(mut delivery: Delivery) -> Delivery {
    delivery.state = DeliveryState::Delivered;
    delivery.next_attempt_at = None;
    delivery
}

/// Returns the delivery with a failed attempt, to be retried at this time.
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

/// Returns the delivery that is to be sent, with default values for what only the store has.
fn whole(queued: QueuedDelivery) -> Delivery {
    match queued {
        QueuedDelivery::InMemory(delivery) => *delivery,
        QueuedDelivery::Stored(pending) => Delivery {
            key: pending.key,
            message: pending.message,
            next_attempt_at: pending.next_attempt_at,
            cooldown_until: pending.cooldown_until,
            ..event(0, pending.position.0, pending.revision)
        },
    }
}

/// Takes the next delivery that is due.
fn next(queue: &mut PerMessageQueue, seconds: i64) -> Option<Delivery> {
    queue.take_next(at(seconds)).map(whole)
}

/// Takes all deliveries that are due.
fn all_ready(queue: &mut PerMessageQueue, seconds: i64) -> Vec<Delivery> {
    std::iter::from_fn(|| next(queue, seconds)).collect()
}

/// Restores pending deliveries.
fn restore(queue: &mut PerMessageQueue, pending: &[Delivery]) {
    queue.restore(pending.iter().map(PendingDelivery::from).collect());
}

/// Returns the delivery with a cooldown until its next attempt.
fn cooling_down(mut delivery: Delivery) -> Delivery {
    delivery.cooldown_until = delivery.next_attempt_at;
    delivery
}

/// Takes the next probe, and checks that its time was announced.
fn probe(queue: &mut PerMessageQueue, seconds: i64) -> Option<Delivery> {
    let announced = queue.next_probe_at(at(seconds)) == Some(at(seconds));
    let probe = queue.take_probe(at(seconds)).map(whole);
    assert_eq!(announced, probe.is_some());
    probe
}

#[test]
fn messages_are_sent_in_parallel_and_events_of_one_message_in_order() {
    let mut queue = PerMessageQueue::default();
    for (message, position, revision) in [(1, 1, 1), (1, 2, 2), (2, 3, 1), (1, 4, 3)] {
        assert_eq!(queue.add(event(message, position, revision)), None);
    }
    let in_flight = all_ready(&mut queue, 0);
    assert_eq!(positions(&in_flight), [1, 3]);
    assert_eq!(queue.pending, 4);
    for delivery in in_flight.into_iter().rev() {
        assert_eq!(queue.complete(delivered(delivery)).len(), 1);
    }
    assert_eq!(positions(&all_ready(&mut queue, 0)), [2]);
    assert!(!queue.has_due(at(0)));
}

#[test]
fn later_events_of_a_failed_one_are_stored_and_wait() {
    let mut queue = PerMessageQueue::default();
    queue.add(event(1, 1, 1));
    queue.add(event(1, 2, 2));
    let first = next(&mut queue, 0).unwrap();
    // It is in flight and may still succeed.
    assert_eq!(queue.add(event(1, 3, 3)), None);
    assert_eq!(queue.storable_position(LogPosition(3)), LogPosition(0));
    let recorded = queue.complete(failed(first, 10));
    assert_eq!(positions(&recorded), [1, 2, 3]);
    let states: Vec<_> = recorded.iter().map(|each| each.state).collect();
    let (retrying, waiting) = (DeliveryState::Retrying, DeliveryState::Waiting);
    assert_eq!(states, [retrying, waiting, waiting]);
    assert_eq!(queue.storable_position(LogPosition(3)), LogPosition(3));

    let later = queue.add(event(1, 4, 4)).unwrap();
    assert_eq!((later.state, later.next_attempt_at), (waiting, None));
    assert_eq!((queue.pending, queue.unstored()), (4, 0));
    assert_eq!(queue.next_scheduled(), Some(at(10)));
    assert_eq!(next(&mut queue, 9), None);
    let again = next(&mut queue, 10).unwrap();
    // The others are stored already.
    assert_eq!(positions(&queue.complete(failed(again, 30))), [1]);
    let again = next(&mut queue, 30).unwrap();
    assert_eq!(positions(&queue.complete(delivered(again))), [1]);
    assert_eq!(positions(&all_ready(&mut queue, 30)), [2]);
}

#[test]
fn no_event_is_stored_before_an_earlier_one_of_its_message() {
    let mut queue = PerMessageQueue::default();
    // Both were dead letters, and are retried.
    restore(
        &mut queue,
        &[failed(event(1, 1, 1), 0), failed(event(1, 2, 2), 0)],
    );
    let first = next(&mut queue, 0).unwrap();
    assert_eq!(queue.add(event(1, 3, 3)), None);
    queue.complete(delivered(first));
    // The second one has failed before, but the third one is not stored.
    assert_eq!(queue.add(event(1, 4, 4)), None);
    assert_eq!(queue.storable_position(LogPosition(4)), LogPosition(2));
    let second = next(&mut queue, 0).unwrap();
    assert_eq!(positions(&queue.complete(failed(second, 9))), [2, 3, 4]);
}

#[test]
fn pending_event_is_not_added_again() {
    let mut queue = PerMessageQueue::default();
    restore(&mut queue, &[failed(event(1, 1, 1), 10)]);
    assert_eq!(queue.add(event(1, 1, 1)), None);
    assert_eq!((queue.pending, queue.unstored()), (1, 0));
    let first = next(&mut queue, 10).unwrap();
    assert_eq!(queue.add(event(1, 1, 1)), None);
    queue.complete(delivered(first));
    assert_eq!((queue.pending, next(&mut queue, 99)), (0, None));
}

#[test]
fn pending_deliveries_are_restored_in_the_order_of_events() {
    let mut queue = PerMessageQueue::default();
    let waiting = |position, revision| Delivery {
        state: DeliveryState::Waiting,
        ..event(1, position, revision)
    };
    restore(
        &mut queue,
        &[
            waiting(3, 3),
            waiting(2, 2),
            failed(event(1, 1, 1), 10),
            event(2, 4, 1),
        ],
    );
    assert_eq!(positions(&all_ready(&mut queue, 0)), [4]);
    for position in 1..=3 {
        let next = all_ready(&mut queue, 10);
        assert_eq!(positions(&next), [position]);
        queue.complete(delivered(next.into_iter().next().unwrap()));
    }
    assert_eq!(queue.storable_position(LogPosition(9)), LogPosition(9));
}

#[test]
fn probes_use_untried_messages_first_and_then_rotate() {
    let mut queue = PerMessageQueue::default();
    restore(
        &mut queue,
        &[
            failed(event(1, 1, 1), 20),
            failed(event(2, 2, 1), 10),
            event(3, 3, 1),
        ],
    );
    queue.add(event(4, 4, 1));
    let mut probed = Vec::new();
    for second in 0..8 {
        let delivery = probe(&mut queue, second).unwrap();
        probed.push(delivery.position.0);
        // One message is retried sooner than the others.
        let pause = if delivery.position.0 == 3 { 1 } else { 50 };
        queue.complete(failed(delivery, second + pause));
    }
    assert_eq!(probed, [3, 4, 2, 1, 3, 4, 2, 1]);
}

#[test]
fn deliveries_in_cooldown_are_not_probed_with() {
    let mut queue = PerMessageQueue::default();
    restore(
        &mut queue,
        &[
            cooling_down(failed(event(1, 1, 1), 20)),
            cooling_down(failed(event(2, 2, 1), 30)),
        ],
    );
    assert_eq!(probe(&mut queue, 19), None);
    assert_eq!(queue.next_probe_at(at(19)), Some(at(20)));
    assert_eq!(probe(&mut queue, 20).unwrap().position.0, 1);
    assert_eq!(probe(&mut queue, 20), None);
    assert_eq!(queue.next_probe_at(at(20)), Some(at(30)));
}

#[test]
fn failed_deliveries_are_ready_when_the_endpoint_works_again() {
    let mut queue = PerMessageQueue::default();
    restore(
        &mut queue,
        &[
            failed(event(1, 1, 1), 20),
            failed(event(2, 2, 1), 10),
            cooling_down(failed(event(3, 3, 1), 40)),
            failed(event(4, 4, 1), 50),
            cooling_down(failed(event(5, 5, 1), 5)),
        ],
    );
    queue.make_ready(at(5), |message| *message == key("SM4"));
    assert_eq!(queue.next_scheduled(), Some(at(40)));
    assert_eq!(positions(&all_ready(&mut queue, 5)), [5, 2, 1]);
    assert_eq!(positions(&all_ready(&mut queue, 60)), [3, 4]);
}

#[test]
fn rescheduled_delivery_is_sent_at_its_new_time() {
    let mut queue = PerMessageQueue::default();
    restore(&mut queue, &[failed(event(1, 1, 1), 0), event(1, 2, 2)]);
    let Some(QueuedDelivery::Stored(pending)) = queue.take_next(at(0)) else {
        panic!("it is read when it is sent");
    };
    queue.reschedule(&pending, at(3));
    assert_eq!(next(&mut queue, 2), None);
    assert_eq!(next(&mut queue, 3).unwrap().position.0, 1);
}

#[test]
fn more_pending_deliveries_can_be_restored_later() {
    let mut queue = PerMessageQueue::default();
    restore(&mut queue, &[failed(event(1, 1, 1), 9), event(2, 2, 1)]);
    restore(
        &mut queue,
        &[event(1, 3, 2), event(2, 4, 2), event(3, 5, 1)],
    );
    let ready = all_ready(&mut queue, 0);
    assert_eq!(positions(&ready), [2, 5]);
    queue.complete(delivered(ready.into_iter().next().unwrap()));
    assert_eq!(positions(&all_ready(&mut queue, 0)), [4]);
    assert_eq!(queue.stored(), 4);
}

#[test]
fn storable_position_is_before_the_first_unstored_event() {
    let mut queue = PerMessageQueue::default();
    for (message, position) in [(1, 10), (2, 20), (3, 30)] {
        queue.add(event(message, position, 1));
    }
    let read = LogPosition(35);
    let [one, two, three] = <[_; 3]>::try_from(all_ready(&mut queue, 0)).unwrap();
    queue.complete(delivered(two));
    assert_eq!(queue.storable_position(read), LogPosition(9));
    queue.complete(delivered(one));
    assert_eq!(queue.storable_position(read), LogPosition(29));
    queue.complete(delivered(three));
    assert_eq!(queue.storable_position(read), read);
}
