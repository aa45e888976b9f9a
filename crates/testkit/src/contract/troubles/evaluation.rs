//! Leasing the evaluation, and saving what it changed.

use std::time::Duration;

use domain::page::PageSize;
use ports::troubles::TroubleChanges;
use tokio::task::JoinSet;

use super::{Troubled, UNAVAILABLE, event, id, lease, open, pending, save, save_all};

pub async fn evaluation_is_leased_to_one_holder(stores: Troubled) {
    let minute = Duration::from_mins(1);
    let first = lease(&*stores.one, "a").await;
    let refused = stores.other.lease_evaluation("b", minute).await;
    assert_eq!(refused.expect(UNAVAILABLE), None);
    assert_eq!(lease(&*stores.one, "a").await, first);
    // The holder ends its lease.
    let last = stores.one.lease_evaluation("a", Duration::ZERO).await;
    assert_eq!(last.expect(UNAVAILABLE), Some(first));
    let next = lease(&*stores.other, "b").await;
    assert!(next.token > first.token);
}

pub async fn of_racing_holders_one_leases_the_evaluation(stores: Troubled) {
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let store = stores.nth(racer);
        racers.spawn(async move {
            let holder = format!("holder {racer}");
            let leased = store.lease_evaluation(&holder, Duration::from_mins(1));
            leased.await.expect(UNAVAILABLE)
        });
    }
    let leased = racers.join_all().await.into_iter().flatten();
    assert_eq!(leased.count(), 1);
}

pub async fn changes_of_an_earlier_holder_are_refused(stores: Troubled) {
    let earlier = stores.one.lease_evaluation("a", Duration::ZERO).await;
    let earlier = earlier.expect(UNAVAILABLE).expect("it is free");
    let changes = || TroubleChanges {
        saved: vec![open(1, "1")],
        events: vec![event(1, 1)],
        ..TroubleChanges::default()
    };
    let current = lease(&*stores.other, "b").await;
    assert!(!save(&*stores.one, &earlier, changes()).await);
    assert_eq!(stores.one.unresolved().await.expect(UNAVAILABLE), []);
    let events = stores.one.operator_events(0, PageSize::MAX).await;
    assert_eq!(events.expect(UNAVAILABLE), []);
    assert!(save(&*stores.other, &current, changes()).await);
    assert_eq!(
        stores.one.unresolved().await.expect(UNAVAILABLE),
        [open(1, "1")]
    );
}

pub async fn changes_are_saved_as_a_whole(stores: Troubled) {
    save_all(&*stores.one, &[pending(1, "1"), pending(2, "2")]).await;
    let lease = lease(&*stores.one, "a").await;
    let changes = TroubleChanges {
        saved: vec![open(2, "2"), pending(3, "1")],
        dropped: vec![id(1), id(9)],
        events: vec![event(1, 1)],
    };
    assert!(save(&*stores.one, &lease, changes).await);
    let unresolved = stores.other.unresolved().await.expect(UNAVAILABLE);
    assert_eq!(unresolved, [open(2, "2"), pending(3, "1")]);
    let events = stores.other.operator_events(0, PageSize::MAX).await;
    let events = events.expect(UNAVAILABLE);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, event(1, 1));
}
