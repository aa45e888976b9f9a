//! Tokens.

use domain::access::{OperatorToken, Rights, Role};
use tokio::task::JoinSet;

use super::{Operators, UNAVAILABLE, add, add_session, session, token, token_hash, token_id};
use crate::builders::time;

pub async fn token_is_read_as_it_was_added(stores: Operators) {
    let all = OperatorToken {
        role: Role::Admin,
        rights: Rights::ALL,
        expires_at: Some(time(253_402_300_799_999_999)),
        last_used_at: Some(time(7)),
        revoked_at: Some(time(8)),
        ..token(2, "Änne O-1@example.com")
    };
    let reveal = Rights {
        reveal: true,
        audit: false,
    };
    let some = OperatorToken {
        role: Role::Operator,
        rights: reveal,
        ..token(3, "some")
    };
    for added in [token(1, "plain"), all, some] {
        assert!(add(&*stores.one, &added).await);
        let by_id = stores.other.token(added.id).await.expect(UNAVAILABLE);
        assert_eq!(by_id.as_ref(), Some(&added));
        let hash = token_hash(added.id.0.as_bytes()[0]);
        let by_hash = stores.other.token_by_hash(&hash).await.expect(UNAVAILABLE);
        assert_eq!(by_hash, Some(added));
    }
}

pub async fn unknown_token_is_none(stores: Operators) {
    assert!(add(&*stores.one, &token(1, "a")).await);
    let by_hash = stores.one.token_by_hash(&token_hash(2)).await;
    assert_eq!(by_hash.expect(UNAVAILABLE), None);
    let by_id = stores.one.token(token_id(2)).await;
    assert_eq!(by_id.expect(UNAVAILABLE), None);
    let revoked = stores.one.revoke_token(token_id(2), time(1)).await;
    assert_eq!(revoked.expect(UNAVAILABLE), None);
    let noted = stores.one.note_token_use(token_id(2), time(1)).await;
    noted.expect(UNAVAILABLE);
}

pub async fn tokens_are_listed_by_id(stores: Operators) {
    assert_eq!(stores.one.tokens().await.expect(UNAVAILABLE), []);
    let tokens = [token(1, "z"), token(2, "a"), token(200, "m")];
    for added in tokens.iter().rev() {
        assert!(add(&*stores.one, added).await);
    }
    assert_eq!(stores.other.tokens().await.expect(UNAVAILABLE), tokens);
}

pub async fn id_hash_and_name_of_a_token_are_unique(stores: Operators) {
    let first = token(1, "a");
    assert!(add(&*stores.one, &first).await);
    let same_id = stores.other.add_token(&token(1, "b"), &token_hash(2)).await;
    assert!(!same_id.expect(UNAVAILABLE));
    let same_hash = stores.other.add_token(&token(2, "b"), &token_hash(1)).await;
    assert!(!same_hash.expect(UNAVAILABLE));
    assert!(!add(&*stores.other, &token(3, "a")).await);
    assert!(add(&*stores.other, &token(4, "A")).await, "case matters");
    let found = stores.one.token(first.id).await.expect(UNAVAILABLE);
    assert_eq!(found, Some(first));
}

pub async fn name_of_a_revoked_token_can_be_used_again(stores: Operators) {
    for number in 1..4 {
        assert!(add(&*stores.one, &token(number, "a")).await);
        let revoked = stores.other.revoke_token(token_id(number), time(9)).await;
        assert!(revoked.expect(UNAVAILABLE).is_some());
    }
    assert_eq!(stores.one.tokens().await.expect(UNAVAILABLE).len(), 3);
}

pub async fn of_racing_tokens_of_one_name_one_is_added(stores: Operators) {
    let mut racers = JoinSet::new();
    for racer in 1..17_u8 {
        let store = stores.nth(racer.into());
        racers.spawn(async move { add(&*store, &token(racer, "a")).await });
    }
    let added = racers.join_all().await;
    assert_eq!(added.into_iter().filter(|added| *added).count(), 1);
    assert_eq!(stores.one.tokens().await.expect(UNAVAILABLE).len(), 1);
}

pub async fn revoking_a_token_ends_its_sessions(stores: Operators) {
    for number in [1, 2] {
        assert!(add(&*stores.one, &token(number, &format!("{number}"))).await);
    }
    for (number, of) in [(1, 1), (2, 1), (3, 2)] {
        add_session(&*stores.one, number, of, 0).await;
    }
    let revoked = stores.other.revoke_token(token_id(1), time(9)).await;
    let expected = OperatorToken {
        revoked_at: Some(time(9)),
        ..token(1, "1")
    };
    assert_eq!(revoked.expect(UNAVAILABLE), Some(expected));
    for (number, ended) in [(1, true), (2, true), (3, false)] {
        assert_eq!(session(&*stores.one, number).await.is_none(), ended);
    }
}

pub async fn revoking_a_token_again_keeps_the_first_time(stores: Operators) {
    assert!(add(&*stores.one, &token(1, "a")).await);
    for at in [5, 4, 6] {
        add_session(&*stores.one, 1, 1, 0).await;
        let revoked = stores.other.revoke_token(token_id(1), time(at)).await;
        let revoked = revoked.expect(UNAVAILABLE).expect("there is one");
        assert_eq!(revoked.revoked_at, Some(time(5)));
        assert_eq!(session(&*stores.one, 1).await, None);
    }
}

pub async fn last_use_of_a_token_only_moves_forward(stores: Operators) {
    for number in [1, 2] {
        assert!(add(&*stores.one, &token(number, &format!("{number}"))).await);
    }
    for (at, expected) in [(5, 5), (4, 5), (6, 6)] {
        let noted = stores.one.note_token_use(token_id(1), time(at)).await;
        noted.expect(UNAVAILABLE);
        let found = stores.other.token(token_id(1)).await.expect(UNAVAILABLE);
        let used = found.expect("there is one").last_used_at;
        assert_eq!(used, Some(time(expected)));
    }
    let other = stores.one.token(token_id(2)).await.expect(UNAVAILABLE);
    assert_eq!(other, Some(token(2, "2")));
}
