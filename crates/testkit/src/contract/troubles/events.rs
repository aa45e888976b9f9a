//! Operator events, and how far subscriptions have received them.

use domain::SubscriptionId;
use domain::page::PageSize;
use ports::troubles::{OperatorEventPosition, TroubleChanges};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Troubled, TroubledStore, UNAVAILABLE, event, lease, save};
use crate::builders::time;

async fn save_events(store: &dyn TroubledStore, numbers: impl IntoIterator<Item = (u128, i64)>) {
    let lease = lease(store, "a").await;
    let changes = TroubleChanges {
        events: numbers
            .into_iter()
            .map(|(number, at)| event(number, at))
            .collect(),
        ..TroubleChanges::default()
    };
    assert!(save(store, &lease, changes).await);
}

pub async fn operator_events_are_read_in_the_order_in_which_they_were_saved(stores: Troubled) {
    save_events(&*stores.one, [(3, 30), (1, 10)]).await;
    save_events(&*stores.other, [(2, 20)]).await;
    let size = PageSize::new(2).expect("a size");
    let first = stores.one.operator_events(0, size).await;
    let first = first.expect(UNAVAILABLE);
    assert_eq!(first.len(), 2);
    assert_eq!(
        [&first[0].event, &first[1].event],
        [&event(3, 30), &event(1, 10)]
    );
    assert!(0 < first[0].sequence && first[0].sequence < first[1].sequence);
    let rest = stores.one.operator_events(first[1].sequence, size).await;
    let rest = rest.expect(UNAVAILABLE);
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].event, event(2, 20));
    let none = stores.one.operator_events(rest[0].sequence, size).await;
    assert_eq!(none.expect(UNAVAILABLE), []);
}

pub async fn racing_saves_leave_no_gap_behind_a_reader(stores: Troubled) {
    const SAVES: u128 = 40;
    let mut racers = JoinSet::new();
    for racer in 0..4 {
        let store = stores.nth(racer);
        racers.spawn(async move {
            let first = u128::try_from(racer).expect("a few");
            for number in (first..SAVES).step_by(4) {
                save_events(&*store, [(number, 1)]).await;
            }
        });
    }
    let (mut position, mut read) = (0, 0);
    while read < SAVES {
        let events = stores.one.operator_events(position, PageSize::MAX).await;
        for stored in events.expect(UNAVAILABLE) {
            assert!(stored.sequence > position);
            position = stored.sequence;
            read += 1;
        }
        tokio::task::yield_now().await;
    }
    racers.join_all().await;
    let all = stores.one.operator_events(0, PageSize::MAX).await;
    assert_eq!(all.expect(UNAVAILABLE).len(), 40);
}

pub async fn last_event_before_a_time_is_found(stores: Troubled) {
    let last = async |before| {
        let last = stores.other.last_operator_event(time(before)).await;
        last.expect(UNAVAILABLE)
    };
    assert_eq!(last(99).await, 0);
    save_events(&*stores.one, [(1, 10), (2, 20)]).await;
    let events = stores.one.operator_events(0, PageSize::MAX).await;
    let events = events.expect(UNAVAILABLE);
    let sequences = [events[0].sequence, events[1].sequence];
    assert_eq!([last(20).await, last(21).await], sequences);
    assert_eq!(last(10).await, 0);
}

fn subscription(number: u128) -> SubscriptionId {
    SubscriptionId(Uuid::from_u128(number))
}

fn position(sequence: i64, failures: u32) -> OperatorEventPosition {
    let at = |at| (failures > 0).then(|| time(at));
    OperatorEventPosition {
        sequence,
        failures,
        retry_at: at(7),
        failing_since: at(3),
    }
}

async fn set(store: &dyn TroubledStore, number: u128, position: &OperatorEventPosition) {
    let set = store.set_operator_event_position(subscription(number), position);
    set.await.expect(UNAVAILABLE);
}

async fn positions(store: &dyn TroubledStore) -> Vec<(SubscriptionId, OperatorEventPosition)> {
    store.operator_event_positions().await.expect(UNAVAILABLE)
}

pub async fn position_of_a_subscription_never_moves_back(stores: Troubled) {
    assert_eq!(positions(&*stores.one).await, []);
    for (next, stored) in [
        (position(0, 0), position(0, 0)),
        (position(0, 2), position(0, 2)),
        (position(5, 0), position(5, 0)),
        (position(4, 9), position(5, 0)),
        (position(5, 1), position(5, 1)),
    ] {
        set(&*stores.one, 1, &next).await;
        assert_eq!(positions(&*stores.other).await, [(subscription(1), stored)]);
    }
}

pub async fn positions_of_other_subscriptions_are_removed(stores: Troubled) {
    for number in 1..=3 {
        set(&*stores.one, number, &position(1, 0)).await;
    }
    let retained = [subscription(3), subscription(1), subscription(9)];
    let removed = stores.other.retain_operator_event_positions(&retained);
    removed.await.expect(UNAVAILABLE);
    let expected = [1, 3].map(|number| (subscription(number), position(1, 0)));
    assert_eq!(positions(&*stores.one).await, expected);
    let removed = stores.other.retain_operator_event_positions(&[]);
    removed.await.expect(UNAVAILABLE);
    assert_eq!(positions(&*stores.one).await, []);
}
