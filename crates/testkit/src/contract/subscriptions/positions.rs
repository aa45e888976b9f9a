//! Moving the position of a subscription by hand.

use domain::{DeliveryState, LogPosition};

use super::steps::{
    EventDelivery, add, claim, claimed, id, pending, record, release, several, status,
};
use crate::builders::{subscription, subscription_id};

pub async fn a_rewound_subscription_continues_from_its_new_position(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    add(&*stores.one, &subscription(2)).await;
    let left = several(1..3, DeliveryState::Retrying);
    assert!(record(&*stores.one, &lease, 7, &left).await);
    // A later position is refused: rewinding must not skip events.
    for (to, stands) in [
        (i64::MAX, 7),
        (8, 7),
        (7, 7),
        (3, 3),
        (4, 3),
        (0, 0),
        (7, 0),
    ] {
        let rewound = stores.other.rewind(id(), LogPosition(to)).await;
        assert!(rewound.expect("the store is there"));
        let found = status(&*stores.one, id()).await;
        assert_eq!(
            (found.position.0, found.pending),
            (stands, 2),
            "back to {to}"
        );
    }
    release(&*stores.one, &lease).await;
    let leased = [claim(&*stores.one).await, claim(&*stores.one).await];
    let leased = leased.iter().find(|it| it.lease.subscription == id());
    let leased = leased.expect("one of the two");
    assert_eq!(
        (leased.position, &leased.pending),
        (LogPosition::START, &pending(&left))
    );
    let none = stores.one.rewind(subscription_id(3), LogPosition(1)).await;
    assert!(!none.expect("the store is there"));
}

pub async fn skipping_moves_a_subscription_forwards_only(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    add(&*stores.one, &subscription(2)).await;
    let pending = several(1..3, DeliveryState::Retrying);
    assert!(record(&*stores.one, &lease, 7, &pending).await);
    for (to, stands) in [(0, 7), (7, 7), (9, 9), (8, 9)] {
        let skipped = stores.other.skip(id(), LogPosition(to)).await;
        assert!(skipped.expect("the store is there"));
        let found = status(&*stores.one, id()).await;
        assert_eq!((found.position.0, found.pending), (stands, 2), "on to {to}");
    }
    // The previous holder's position is outdated, so its lease must be lost.
    assert!(!record(&*stores.one, &lease, 8, &pending).await);
    let other = status(&*stores.one, subscription_id(2)).await;
    assert_eq!(other.position, LogPosition::START);
    let none = stores.one.skip(subscription_id(3), LogPosition(1)).await;
    assert!(!none.expect("the store is there"));
}
