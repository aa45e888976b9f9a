//! Recording deliveries and progress.

use domain::delivery::{Attempt, AttemptError, DeliveryFilter};
use domain::webhook::AnswerExcerpt;
use domain::{Delivery, DeliveryKey, DeliveryState, EventType, LogPosition};
use ports::DeliveryQueue;
use ports::subscriptions::{MAX_PENDING, Progress};

use super::steps::{
    EventDelivery, add, claim, claimed, id, listed, pending, record, release, reports, several,
    status, stored,
};
use crate::builders::{delivery, failed_attempt, key_on, subscription, subscription_id, time};

/// Returns a delivery that uses everything a delivery can have.
fn full(report_id: i64) -> Delivery {
    let mut full = Delivery {
        position: LogPosition(i64::MAX),
        event_type: EventType::Contradicted,
        message: key_on("Tenant-7_main~x.1", "aSM-\"foreign\"-{id}"),
        revision: i64::from(i32::MAX),
        created_at: time(-1_234_567),
        retrying_since: time(-1_234_566),
        next_attempt_at: Some(time(253_402_300_799_999_999)),
        cooldown_until: Some(time(253_402_300_799_999_998)),
        body: Some(format!(
            "{{\"größe\":\"服务 👍 \\u0000\",\"long\":\"{}\"}}",
            "x".repeat(20_000)
        )),
        ..delivery(id(), report_id, DeliveryState::Retrying)
    };
    full.key = DeliveryKey::new(id(), report_id, full.event_type);
    for n in 0..15 {
        full.attempts.push(Attempt {
            at: time(n - 3),
            took_ms: u32::MAX,
            status: (n % 2 == 0).then_some(u16::MAX),
            error: (n % 3 == 0).then(|| AttemptError::new("größe \"服务\"\\\n👍 {1,2}, null")),
            answer: (n % 5 == 0).then(|| AnswerExcerpt::of(b"<b>no\0</b>\r\n\xff")),
        });
    }
    full
}

pub async fn a_delivery_is_read_as_it_was_recorded(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().zip(2..);
    let mut all: Vec<_> = states.map(|(state, n)| delivery(id(), n, state)).collect();
    all.extend([full(i64::MAX), full(i64::MIN), full(1)]);
    for delivery in &mut all {
        // After any number of attempts.
        delivery.attempts.push(failed_attempt(-1));
    }
    assert!(record(&*stores.one, &lease, 9, &all).await);
    for delivery in all {
        assert_eq!(stored(&*stores.other, delivery.key).await, Some(delivery));
    }
}

pub async fn recording_deliveries_is_idempotent(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().zip(2..);
    let all: Vec<_> = states.map(|(state, n)| delivery(id(), n, state)).collect();
    assert!(record(&*stores.one, &lease, 9, &all).await);
    let before = status(&*stores.one, id()).await;
    for store in [&*stores.other, &*stores.one] {
        assert!(record(store, &lease, 9, &all).await);
        assert_eq!(status(store, id()).await, before);
        let mut found = listed(store, &DeliveryFilter::of(id()), 3).await;
        found.reverse();
        assert_eq!(found, all);
    }
}

pub async fn recording_again_does_not_change_the_event_of_a_delivery(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let first = delivery(id(), 1, DeliveryState::Retrying);
    let later = Delivery {
        key: first.key,
        state: DeliveryState::Dead,
        next_attempt_at: None,
        cooldown_until: None,
        finished_at: Some(time(77)),
        ..full(1)
    };
    assert!(record(&*stores.one, &lease, 1, std::slice::from_ref(&first)).await);
    assert!(record(&*stores.one, &lease, 1, std::slice::from_ref(&later)).await);
    let wanted = Delivery {
        position: first.position,
        event_type: first.event_type,
        message: first.message,
        revision: first.revision,
        created_at: first.created_at,
        ..later
    };
    assert_eq!(stored(&*stores.other, first.key).await, Some(wanted));
}

pub async fn the_body_of_a_delivered_event_is_not_kept(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let kept_with = |state, body: Option<&str>| Delivery {
        body: body.map(str::to_owned),
        ..delivery(id(), 1, state)
    };
    for state in [DeliveryState::Retrying, DeliveryState::Delivered] {
        let with_body = kept_with(state, Some("{}"));
        assert!(record(&*stores.one, &lease, 1, &[with_body]).await);
        let wanted = kept_with(state, Some("{}").filter(|_| state.is_pending()));
        assert_eq!(stored(&*stores.other, wanted.key).await, Some(wanted));
    }
}

pub async fn the_last_of_two_records_of_one_delivery_applies(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let states = [
        DeliveryState::Delivered,
        DeliveryState::Retrying,
        DeliveryState::Dead,
    ];
    let all = states.map(|state| delivery(id(), 1, state));
    assert!(record(&*stores.one, &lease, 1, &all).await);
    let [.., last] = all;
    assert_eq!(stored(&*stores.one, last.key).await, Some(last));
}

/// Failing since, deliveries; when one was last delivered, and when one last failed.
type Step = (Option<i64>, Vec<Delivery>, Option<i64>, Option<i64>);

pub async fn progress_is_persisted(stores: EventDelivery) {
    let store = &*stores.one;
    let lease = claimed(&stores).await;
    let failed = |report_id, at| {
        let mut failed = delivery(id(), report_id, DeliveryState::Retrying);
        failed.attempts = domain::delivery::Attempts::default();
        failed.attempts.push(failed_attempt(at));
        failed
    };
    let taken = |report_id, at| Delivery {
        finished_at: Some(time(at)),
        ..delivery(id(), report_id, DeliveryState::Delivered)
    };
    let steps: [Step; 6] = [
        (None, vec![], None, None),
        (Some(5), vec![failed(1, 50), failed(2, 40)], None, Some(50)),
        (Some(5), vec![failed(3, 45)], None, Some(50)),
        (None, vec![taken(4, 60), taken(5, 70)], Some(70), Some(50)),
        (None, vec![taken(6, 65), failed(7, 80)], Some(70), Some(80)),
        (Some(-1), vec![], Some(70), Some(80)),
    ];
    for ((failing_since, deliveries, delivered_at, error_at), position) in steps.iter().zip(1..) {
        let progress = Progress {
            position: LogPosition(position),
            failing_since: failing_since.map(time),
            deliveries,
        };
        let recorded = DeliveryQueue::record(store, &lease, progress).await;
        assert!(recorded.expect("the store is there"));
        let found = status(&*stores.other, id()).await;
        assert_eq!(found.position, LogPosition(position));
        assert_eq!(found.failing_since, failing_since.map(time));
        assert_eq!(found.last_delivered_at, delivered_at.map(time));
        assert_eq!(found.last_error, error_at.map(failed_attempt));
    }
    release(store, &lease).await;
    let leased = claim(&*stores.other).await;
    assert_eq!(leased.position, LogPosition(6));
    assert_eq!(leased.failing_since, Some(time(-1)));
}

pub async fn a_claim_returns_pending_deliveries_in_log_order(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    // Report ids of one message are not necessarily in the order of its revisions.
    let place = |report_id, position, revision, state| Delivery {
        position: LogPosition(position),
        revision,
        ..delivery(id(), report_id, state)
    };
    let contradicted = Delivery {
        key: DeliveryKey::new(id(), 7, EventType::Contradicted),
        ..place(7, 8, 3, DeliveryState::Waiting)
    };
    let wanted = [
        place(9, 5, 1, DeliveryState::Retrying),
        place(8, 8, 2, DeliveryState::Retrying),
        place(7, 8, 3, DeliveryState::Waiting),
        contradicted,
        place(6, 10, 1, DeliveryState::Waiting),
    ];
    let mut all = several([1, 2], DeliveryState::Delivered);
    all.extend(several([3], DeliveryState::Dead));
    all.extend(wanted.iter().rev().cloned());
    assert!(record(&*stores.one, &lease, 10, &all).await);
    release(&*stores.one, &lease).await;
    let leased = claim(&*stores.other).await;
    assert_eq!(
        (leased.pending, leased.more_pending),
        (pending(&wanted), false)
    );
}

pub async fn a_claim_returns_at_most_the_maximum(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let most = i64::try_from(MAX_PENDING).expect("small");
    let all = several(1..=most + 1, DeliveryState::Retrying);
    assert!(record(&*stores.one, &lease, most + 1, &all).await);
    release(&*stores.one, &lease).await;
    let leased = claim(&*stores.other).await;
    assert!(leased.pending == pending(&all[..MAX_PENDING]) && leased.more_pending);
    for (after, left) in [(most - 1, 2), (most, 1), (most + 1, 0)] {
        let after = delivery(id(), after, DeliveryState::Retrying).order();
        let more = stores.one.more_pending(id(), after).await;
        let wanted = pending(&all[all.len() - left..]);
        assert_eq!(more.expect("the store is there"), wanted);
    }
    let none = stores
        .one
        .more_pending(subscription_id(2), all[0].order())
        .await;
    assert_eq!(none.expect("the store is there"), []);
    let done = several(1..2, DeliveryState::Delivered);
    assert!(record(&*stores.other, &leased.lease, most + 1, &done).await);
    release(&*stores.other, &leased.lease).await;
    let leased = claim(&*stores.other).await;
    assert!(leased.pending == pending(&all[1..]) && !leased.more_pending);
    let more = stores.one.more_pending(id(), all[0].order()).await;
    assert!(more.expect("the store is there") == pending(&all[1..]));
}

pub async fn pending_deliveries_are_read_completely(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().zip(2..);
    let mut all: Vec<_> = states.map(|(state, n)| delivery(id(), n, state)).collect();
    all.push(full(1));
    let unknown = delivery(id(), 99, DeliveryState::Retrying);
    assert!(record(&*stores.one, &lease, 9, &all).await);
    for delivery in all.into_iter().chain([unknown.clone()]) {
        let found = stores.other.pending_delivery(delivery.key).await;
        let wanted = Some(delivery).filter(|it| it.state.is_pending() && *it != unknown);
        assert_eq!(found.expect("the store is there"), wanted);
    }
}

pub async fn many_deliveries_are_recorded_at_once(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    for count in [0, 1, 3, 127, 128, 129, 255, 256, 257, 1_500] {
        let ids = 10_000 * count..10_000 * count + count;
        let all = several(ids.clone(), DeliveryState::Delivered);
        assert!(record(&*stores.one, &lease, 1, &all).await);
        let found = listed(&*stores.other, &DeliveryFilter::of(id()), 500).await;
        let found = found.iter().map(|it| it.key.report_id);
        assert!(found.take(all.len()).eq(ids.rev()), "{count}");
    }
}

pub async fn subscriptions_do_not_see_each_others_deliveries(stores: EventDelivery) {
    for number in 1..=3 {
        add(&*stores.one, &subscription(number)).await;
    }
    for _ in 1..=3 {
        let leased = claim(&*stores.one).await;
        let number = leased.lease.subscription.0.as_u128();
        let ids = (0..i64::try_from(number).expect("small")).map(|n| n * 2);
        let all: Vec<_> = ids
            .map(|n| delivery(leased.lease.subscription, n, DeliveryState::Retrying))
            .collect();
        assert!(record(&*stores.one, &leased.lease, 1, &all).await);
        release(&*stores.one, &leased.lease).await;
    }
    for (number, ids) in [(1, vec![0]), (2, vec![2, 0]), (3, vec![4, 2, 0])] {
        let subscription = subscription_id(number);
        let found = reports(&*stores.other, &DeliveryFilter::of(subscription)).await;
        assert_eq!(found, ids);
        assert_eq!(
            u128::from(status(&*stores.one, subscription).await.pending),
            number
        );
    }
    for _ in 1..=3 {
        let leased = claim(&*stores.other).await;
        let number = leased.lease.subscription.0.as_u128();
        assert_eq!(leased.pending.len() as u128, number);
    }
}
