//! Browser sessions of operators.

use std::num::NonZeroU32;

use domain::Timestamp;
use domain::access::session::idle_since;
use domain::access::{OperatorTokenId, Session, SessionHash, SessionId};
use domain::page::PageSize;

use crate::PostgresStore;
use crate::rows::SessionRow;

impl PostgresStore {
    pub(crate) async fn insert_session(
        &self,
        session: &Session,
        hash: &SessionHash,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "insert into operator_sessions (
                 id, hash, token_id, started_at, last_used_at, expires_at, source
             )
             values ($1, $2, $3, $4, $5, $6, $7)",
            session.id.0,
            &hash.0,
            session.token.0,
            session.started_at.to_date_time(),
            session.last_used_at.to_date_time(),
            session.expires_at.to_date_time(),
            session.source.to_string(),
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    pub(crate) async fn session_row(
        &self,
        hash: &SessionHash,
    ) -> Result<Option<SessionRow>, sqlx::Error> {
        sqlx::query_as!(
            SessionRow,
            "select id, token_id, started_at, last_used_at, expires_at, source
             from operator_sessions
             where hash = $1",
            &hash.0,
        )
        .fetch_optional(&self.pool)
        .await
    }

    pub(crate) async fn session_rows(
        &self,
        now: Timestamp,
        limit: PageSize,
    ) -> Result<Vec<SessionRow>, sqlx::Error> {
        sqlx::query_as!(
            SessionRow,
            "select id, token_id, started_at, last_used_at, expires_at, source
             from operator_sessions
             where expires_at > $1 and last_used_at > $2
             order by id desc
             limit $3",
            now.to_date_time(),
            idle_since(now).to_date_time(),
            i64::from(limit.get()),
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(crate) async fn update_session_use(
        &self,
        id: SessionId,
        at: Timestamp,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update operator_sessions set last_used_at = $2 where id = $1 and last_used_at < $2",
            id.0,
            at.to_date_time(),
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    pub(crate) async fn delete_session(&self, id: SessionId) -> Result<bool, sqlx::Error> {
        let ended = sqlx::query!("delete from operator_sessions where id = $1", id.0)
            .execute(&self.pool)
            .await?;
        Ok(ended.rows_affected() > 0)
    }

    pub(crate) async fn delete_sessions(&self, token: OperatorTokenId) -> Result<u64, sqlx::Error> {
        let ended = sqlx::query!("delete from operator_sessions where token_id = $1", token.0)
            .execute(&self.pool)
            .await?;
        Ok(ended.rows_affected())
    }

    pub(crate) async fn delete_ended_sessions(
        &self,
        now: Timestamp,
        budget: NonZeroU32,
    ) -> Result<u64, sqlx::Error> {
        let pruned = sqlx::query!(
            "delete from operator_sessions where id = any (array(
                 select id from operator_sessions
                 where expires_at <= $1 or last_used_at <= $2
                 limit $3
             ))",
            now.to_date_time(),
            idle_since(now).to_date_time(),
            i64::from(budget.get()),
        )
        .execute(&self.pool)
        .await?;
        Ok(pruned.rows_affected())
    }
}
