//! What every [`EventLog`] must do.

use domain::LogPosition;
use ports::EventLog;
use tokio::task::JoinSet;

use super::Stores;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __cursors_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            an_unknown_cursor_is_none
            a_cursor_moves_from_its_expected_position
            a_cursor_at_another_position_does_not_move
            moving_a_cursor_does_not_affect_others
            a_removed_cursor_can_be_created_again
            one_of_many_racing_moves_succeeds
            cursors_are_listed_in_byte_order_of_their_names
        }
    };
}

type Cursors = Stores<dyn EventLog>;

const HERE: Option<LogPosition> = Some(LogPosition(7));
const THERE: LogPosition = LogPosition(i64::MAX);

async fn advance(
    cursors: &dyn EventLog,
    name: &str,
    from: Option<LogPosition>,
    to: LogPosition,
) -> bool {
    let moved = cursors.advance_cursor(name, from, to).await;
    moved.expect("the store is there")
}

async fn load(cursors: &dyn EventLog, name: &str) -> Option<LogPosition> {
    cursors.cursor(name).await.expect("the store is there")
}

pub async fn an_unknown_cursor_is_none(stores: Cursors) {
    assert_eq!(load(&*stores.one, "a").await, None);
    assert!(!advance(&*stores.one, "a", HERE, THERE).await);
    assert_eq!(load(&*stores.one, "a").await, None);
}

pub async fn a_cursor_moves_from_its_expected_position(stores: Cursors) {
    assert!(advance(&*stores.one, "a", None, LogPosition(7)).await);
    assert_eq!(load(&*stores.other, "a").await, HERE);
    assert!(advance(&*stores.other, "a", HERE, THERE).await);
    assert_eq!(load(&*stores.one, "a").await, Some(THERE));
    // Backwards, for a replay; then to its current position, which has no effect.
    assert!(advance(&*stores.one, "a", Some(THERE), LogPosition(7)).await);
    assert!(advance(&*stores.one, "a", HERE, LogPosition(7)).await);
    assert_eq!(load(&*stores.one, "a").await, HERE);
}

pub async fn a_cursor_at_another_position_does_not_move(stores: Cursors) {
    assert!(advance(&*stores.one, "a", None, LogPosition(7)).await);
    for from in [None, Some(LogPosition::START), Some(THERE)] {
        assert!(!advance(&*stores.other, "a", from, THERE).await);
    }
    assert_eq!(load(&*stores.one, "a").await, HERE);
}

pub async fn moving_a_cursor_does_not_affect_others(stores: Cursors) {
    for (name, at) in [("a", 1), ("A", 2), ("a ", 3), ("é", 4)] {
        assert!(advance(&*stores.one, name, None, LogPosition(at)).await);
    }
    stores
        .one
        .remove_cursor("a")
        .await
        .expect("the store is there");
    for (name, at) in [("a", None), ("A", Some(2)), ("a ", Some(3)), ("é", Some(4))] {
        assert_eq!(load(&*stores.other, name).await, at.map(LogPosition));
    }
}

pub async fn a_removed_cursor_can_be_created_again(stores: Cursors) {
    assert!(advance(&*stores.one, "a", None, THERE).await);
    for _ in 0..2 {
        stores
            .other
            .remove_cursor("a")
            .await
            .expect("absence is no error");
    }
    assert_eq!(load(&*stores.one, "a").await, None);
    assert!(advance(&*stores.one, "a", None, LogPosition(7)).await);
    assert_eq!(load(&*stores.one, "a").await, HERE);
}

pub async fn one_of_many_racing_moves_succeeds(stores: Cursors) {
    let mut from = None;
    for round in 0..10 {
        let mut racers = JoinSet::new();
        for racer in 0..8_usize {
            let cursors = stores.nth(racer);
            let to = LogPosition(round * 10 + i64::try_from(racer).expect("small"));
            racers.spawn(async move { (advance(&*cursors, "a", from, to).await, to) });
        }
        let mut winners = racers.join_all().await;
        winners.retain(|(moved, _)| *moved);
        let [(_, to)] = winners[..] else {
            panic!("{winners:?}");
        };
        assert_eq!(load(&*stores.one, "a").await, Some(to));
        from = Some(to);
    }
}

pub async fn cursors_are_listed_in_byte_order_of_their_names(stores: Cursors) {
    let names = async |cursors: &dyn EventLog| {
        let listed = cursors.cursors().await.expect("the store is there");
        let listed = listed.into_iter();
        listed
            .map(|cursor| (cursor.name, cursor.position.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&*stores.one).await, []);
    for (name, at) in [
        ("b", 1),
        ("é", 2),
        ("B", 3),
        ("a-b", 4),
        ("a", 5),
        ("ab", 6),
    ] {
        assert!(advance(&*stores.one, name, None, LogPosition(at)).await);
    }
    stores
        .one
        .remove_cursor("ab")
        .await
        .expect("the store is there");
    let sorted = [("B", 3), ("a", 5), ("a-b", 4), ("b", 1), ("é", 2)];
    assert_eq!(
        names(&*stores.other).await,
        sorted.map(|(name, at)| (name.to_owned(), at))
    );
}
