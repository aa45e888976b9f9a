//! Sessions.

use std::num::NonZeroU32;

use domain::access::session::{SESSION_IDLE_TIMEOUT, SESSION_LIFETIME};
use domain::access::{OperatorTokenId, SessionId};
use domain::page::PageSize;

use super::{OperatorStore, Operators, UNAVAILABLE, add_session, session, token_id, uuid};
use crate::builders::time;

/// Microseconds that a session lasts without a request.
fn idle() -> i64 {
    i64::try_from(SESSION_IDLE_TIMEOUT.as_micros()).expect("two hours")
}

/// Microseconds that a session lasts at most.
fn lifetime() -> i64 {
    i64::try_from(SESSION_LIFETIME.as_micros()).expect("twelve hours")
}

async fn live(store: &dyn OperatorStore, now: i64, limit: u16) -> Vec<SessionId> {
    let limit = PageSize::new(limit).expect("1 to 500");
    let sessions = store.sessions(time(now), limit).await.expect(UNAVAILABLE);
    sessions.into_iter().map(|session| session.id).collect()
}

async fn note_use(store: &dyn OperatorStore, number: u8, at: i64) {
    let noted = store.note_session_use(SessionId(uuid(number)), time(at));
    noted.await.expect(UNAVAILABLE);
}

pub async fn session_is_found_by_the_hash_of_its_key(stores: Operators) {
    assert_eq!(session(&*stores.one, 1).await, None);
    // Of no stored token, as those of the bootstrap token.
    let added = add_session(&*stores.one, 1, 9, 7).await;
    add_session(&*stores.one, 2, 9, 7).await;
    assert_eq!(session(&*stores.other, 1).await, Some(added));
    assert_eq!(session(&*stores.other, 3).await, None);
    let id = SessionId(uuid(1));
    assert!(stores.other.end_session(id).await.expect(UNAVAILABLE));
    assert!(!stores.one.end_session(id).await.expect(UNAVAILABLE));
    assert_eq!(session(&*stores.one, 1).await, None);
    assert!(session(&*stores.one, 2).await.is_some());
}

pub async fn sessions_of_one_token_are_ended_together(stores: Operators) {
    for (number, of) in [(1, 1), (2, 1), (3, 2)] {
        add_session(&*stores.one, number, of, 0).await;
    }
    let end = async |token: OperatorTokenId| {
        let ended = stores.other.end_sessions(token).await;
        ended.expect(UNAVAILABLE)
    };
    assert_eq!(end(token_id(1)).await, 2);
    assert_eq!(end(token_id(1)).await, 0);
    assert_eq!(session(&*stores.one, 1).await, None);
    assert!(session(&*stores.one, 3).await.is_some());
}

pub async fn live_sessions_are_listed_newest_first(stores: Operators) {
    for (number, start) in [(2, 10), (1, 0), (3, 20)] {
        add_session(&*stores.one, number, 1, start).await;
    }
    let ids = |numbers: &[u8]| -> Vec<_> {
        let ids = numbers.iter().map(|number| SessionId(uuid(*number)));
        ids.collect()
    };
    assert_eq!(live(&*stores.other, 20, 50).await, ids(&[3, 2, 1]));
    assert_eq!(live(&*stores.other, 20, 2).await, ids(&[3, 2]));
    assert_eq!(live(&*stores.other, idle(), 50).await, ids(&[3, 2]));
    assert_eq!(live(&*stores.other, idle() + 20, 50).await, []);
    note_use(&*stores.one, 2, lifetime()).await;
    assert_eq!(live(&*stores.one, lifetime() + 9, 50).await, ids(&[2]));
    assert_eq!(live(&*stores.one, lifetime() + 10, 50).await, []);
}

pub async fn last_use_of_a_session_only_moves_forward(stores: Operators) {
    for number in [1, 2] {
        add_session(&*stores.one, number, 1, 3).await;
    }
    for (at, expected) in [(5, 5), (4, 5), (6, 6)] {
        note_use(&*stores.one, 1, at).await;
        let found = session(&*stores.other, 1).await.expect("it is there");
        assert_eq!(found.last_used_at, time(expected));
    }
    note_use(&*stores.one, 9, 9).await;
    let other = session(&*stores.one, 2).await.expect("it is there");
    assert_eq!(other.last_used_at, time(3));
}

pub async fn pruning_removes_sessions_that_are_not_live(stores: Operators) {
    let prune = async |now, budget| {
        let budget = NonZeroU32::new(budget).expect("not zero");
        let pruned = stores.other.prune_sessions(time(now), budget).await;
        pruned.expect(UNAVAILABLE)
    };
    assert_eq!(prune(0, 9).await, 0);
    for (number, start) in [(1, 0), (2, 0), (3, 0), (4, 1)] {
        add_session(&*stores.one, number, 1, start).await;
    }
    assert_eq!(prune(idle() - 1, 9).await, 0);
    assert_eq!(prune(idle(), 2).await, 2);
    assert_eq!(prune(idle(), 2).await, 1);
    assert_eq!(prune(idle(), 2).await, 0);
    assert!(session(&*stores.one, 4).await.is_some());
    note_use(&*stores.one, 4, lifetime()).await;
    assert_eq!(prune(lifetime(), 2).await, 0);
    assert_eq!(prune(lifetime() + 1, 2).await, 1);
}
