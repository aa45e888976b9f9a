//! What every [`AccessStore`] and [`AuditLog`] must do.

pub mod audit;
pub mod sessions;
pub mod tokens;

pub use audit::*;
pub use sessions::*;
pub use tokens::*;

use domain::access::{
    OperatorName, OperatorToken, OperatorTokenId, Rights, Role, Session, SessionHash, SessionId,
    TokenHash,
};
use ports::{AccessStore, AuditLog, Maintenance};
use uuid::Uuid;

use super::Stores;
use crate::builders::time;

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __access_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            token_is_read_as_it_was_added
            unknown_token_is_none
            tokens_are_listed_by_id
            id_hash_and_name_of_a_token_are_unique
            name_of_a_revoked_token_can_be_used_again
            of_racing_tokens_of_one_name_one_is_added
            revoking_a_token_ends_its_sessions
            revoking_a_token_again_keeps_the_first_time
            last_use_of_a_token_only_moves_forward

            session_is_found_by_the_hash_of_its_key
            sessions_of_one_token_are_ended_together
            live_sessions_are_listed_newest_first
            last_use_of_a_session_only_moves_forward
            pruning_removes_sessions_that_are_not_live

            entry_is_read_as_it_was_appended
            entry_with_a_known_id_changes_nothing
            pages_of_entries_have_no_gap_and_no_repetition
            filters_select_entries
            pruning_removes_the_oldest_entries_first
            older_entries_are_known_to_retention
        }
    };
}

/// A store of tokens, sessions and audit entries.
pub trait OperatorStore: AccessStore + AuditLog + Maintenance {}

impl<S> OperatorStore for S where S: AccessStore + AuditLog + Maintenance {}

type Operators = Stores<dyn OperatorStore>;

const UNAVAILABLE: &str = "the store is available";

fn uuid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn token_id(number: u8) -> OperatorTokenId {
    OperatorTokenId(uuid(number))
}

fn token_hash(number: u8) -> TokenHash {
    TokenHash([number; 32])
}

fn session_hash(number: u8) -> SessionHash {
    SessionHash([number; 32])
}

/// Returns a token of this name with the hash of the same number.
fn token(number: u8, name: &str) -> OperatorToken {
    OperatorToken {
        id: token_id(number),
        name: OperatorName::parse(name).expect("a name"),
        role: Role::Viewer,
        rights: Rights::default(),
        created_at: time(i64::from(number)),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
    }
}

async fn add(store: &dyn OperatorStore, token: &OperatorToken) -> bool {
    let hash = TokenHash(
        token
            .id
            .0
            .into_bytes()
            .repeat(2)
            .try_into()
            .expect("32 bytes"),
    );
    store.add_token(token, &hash).await.expect(UNAVAILABLE)
}

/// Adds a session of a token.
async fn add_session(store: &dyn OperatorStore, number: u8, token: u8, start: i64) -> Session {
    let id = SessionId(uuid(number));
    let source = "2001:db8::7".parse().expect("an address");
    let session = Session::start(id, token_id(token), source, time(start));
    let added = store.add_session(&session, &session_hash(number)).await;
    added.expect(UNAVAILABLE);
    session
}

async fn session(store: &dyn OperatorStore, number: u8) -> Option<Session> {
    let found = store.session(&session_hash(number)).await;
    found.expect(UNAVAILABLE)
}
