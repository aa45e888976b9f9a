//! Operators' tokens and sessions.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::Timestamp;
use domain::access::{OperatorToken, OperatorTokenId, Session, SessionHash, SessionId, TokenHash};
use domain::page::PageSize;

use crate::StoreError;

/// Stores operators' tokens and sessions: their hashes, never their plain text.
#[async_trait]
pub trait AccessStore: Send + Sync {
    /// Adds a token with its hash. Returns `false`, and changes nothing, if a token has the same
    /// id or hash, or if one that is not revoked has the same name. Of racing calls with one name,
    /// one succeeds.
    async fn add_token(&self, token: &OperatorToken, hash: &TokenHash) -> Result<bool, StoreError>;

    /// Returns the token with this hash, also if it is expired or revoked.
    async fn token_by_hash(&self, hash: &TokenHash) -> Result<Option<OperatorToken>, StoreError>;

    /// Returns the token with this id, also if it is expired or revoked.
    async fn token(&self, id: OperatorTokenId) -> Result<Option<OperatorToken>, StoreError>;

    /// Returns all tokens, also expired and revoked ones, by id: the oldest first.
    async fn tokens(&self) -> Result<Vec<OperatorToken>, StoreError>;

    /// Revokes a token and ends its sessions, atomically. Returns the token; `None` if there is no
    /// such token. A repeated call keeps the first time, and ends sessions started since.
    async fn revoke_token(
        &self,
        id: OperatorTokenId,
        at: Timestamp,
    ) -> Result<Option<OperatorToken>, StoreError>;

    /// Stores when a token was last used. An earlier time than the stored one changes nothing, and
    /// neither does an unknown token.
    async fn note_token_use(&self, id: OperatorTokenId, at: Timestamp) -> Result<(), StoreError>;

    /// Adds a session with the hash of its key. Its token is not checked: the bootstrap token is
    /// not stored, and another one may be revoked at the same time. Callers must check the token
    /// each time they read the session.
    async fn add_session(&self, session: &Session, hash: &SessionHash) -> Result<(), StoreError>;

    /// Returns the session whose key has this hash, also if it has expired.
    async fn session(&self, hash: &SessionHash) -> Result<Option<Session>, StoreError>;

    /// Returns the sessions that are live at `now`, the newest first, at most `limit`.
    async fn sessions(&self, now: Timestamp, limit: PageSize) -> Result<Vec<Session>, StoreError>;

    /// Stores when a session was last used. An earlier time than the stored one changes nothing,
    /// and neither does an unknown session.
    async fn note_session_use(&self, id: SessionId, at: Timestamp) -> Result<(), StoreError>;

    /// Ends a session. Returns whether there was such a session.
    async fn end_session(&self, id: SessionId) -> Result<bool, StoreError>;

    /// Ends all sessions of a token and returns how many there were.
    async fn end_sessions(&self, token: OperatorTokenId) -> Result<u64, StoreError>;

    /// Removes at most `budget` sessions that are not live at `now`, and returns how many.
    async fn prune_sessions(&self, now: Timestamp, budget: NonZeroU32) -> Result<u64, StoreError>;
}
