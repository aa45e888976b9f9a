//! The port [`AccessStore`]; its statements are in `tokens.rs` and `sessions.rs`.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::Timestamp;
use domain::access::{OperatorToken, OperatorTokenId, Session, SessionHash, SessionId, TokenHash};
use domain::page::PageSize;
use ports::{AccessStore, StoreError};
use sql_rows::access::{SESSIONS, TOKENS};

use crate::PostgresStore;
use crate::runtime::Query as _;

#[async_trait]
impl AccessStore for PostgresStore {
    async fn add_token(&self, token: &OperatorToken, hash: &TokenHash) -> Result<bool, StoreError> {
        let added = self.insert_token(token, hash);
        added.run(&self.runtime, "add token", TOKENS).await
    }

    async fn token_by_hash(&self, hash: &TokenHash) -> Result<Option<OperatorToken>, StoreError> {
        let row = self.token_row_by_hash(hash);
        let row = row.run(&self.runtime, "find token of request", TOKENS);
        row.await?.map(OperatorToken::try_from).transpose()
    }

    async fn token(&self, id: OperatorTokenId) -> Result<Option<OperatorToken>, StoreError> {
        let row = self.token_row(id);
        let row = row.run(&self.runtime, "find token", TOKENS).await?;
        row.map(OperatorToken::try_from).transpose()
    }

    async fn tokens(&self) -> Result<Vec<OperatorToken>, StoreError> {
        let rows = self.token_rows();
        let rows = rows.run(&self.runtime, "list tokens", TOKENS).await?;
        rows.into_iter().map(OperatorToken::try_from).collect()
    }

    async fn revoke_token(
        &self,
        id: OperatorTokenId,
        at: Timestamp,
    ) -> Result<Option<OperatorToken>, StoreError> {
        let revoked = self.try_revoke_token(id, at);
        revoked.run(&self.runtime, "revoke token", TOKENS).await?;
        self.token(id).await
    }

    async fn note_token_use(&self, id: OperatorTokenId, at: Timestamp) -> Result<(), StoreError> {
        let noted = self.update_token_use(id, at);
        noted.run(&self.runtime, "note use of token", TOKENS).await
    }

    async fn add_session(&self, session: &Session, hash: &SessionHash) -> Result<(), StoreError> {
        let added = self.insert_session(session, hash);
        added.run(&self.runtime, "add session", SESSIONS).await
    }

    async fn session(&self, hash: &SessionHash) -> Result<Option<Session>, StoreError> {
        let row = self.session_row(hash);
        let row = row.run(&self.runtime, "find session", SESSIONS).await?;
        row.map(Session::try_from).transpose()
    }

    async fn sessions(&self, now: Timestamp, limit: PageSize) -> Result<Vec<Session>, StoreError> {
        let rows = self.session_rows(now, limit);
        let rows = rows.run(&self.runtime, "list sessions", SESSIONS).await?;
        rows.into_iter().map(Session::try_from).collect()
    }

    async fn note_session_use(&self, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
        let noted = self.update_session_use(id, at);
        noted
            .run(&self.runtime, "note use of session", SESSIONS)
            .await
    }

    async fn end_session(&self, id: SessionId) -> Result<bool, StoreError> {
        let ended = self.delete_session(id);
        ended.run(&self.runtime, "end session", SESSIONS).await
    }

    async fn end_sessions(&self, token: OperatorTokenId) -> Result<u64, StoreError> {
        let ended = self.delete_sessions(token);
        ended
            .run(&self.runtime, "end sessions of token", SESSIONS)
            .await
    }

    async fn prune_sessions(&self, now: Timestamp, budget: NonZeroU32) -> Result<u64, StoreError> {
        let pruned = self.delete_ended_sessions(now, budget);
        pruned.run(&self.runtime, "prune sessions", SESSIONS).await
    }
}
