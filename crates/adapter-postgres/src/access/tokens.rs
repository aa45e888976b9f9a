//! Tokens of operators.

use domain::Timestamp;
use domain::access::{OperatorToken, OperatorTokenId, TokenHash};

use crate::PostgresStore;
use crate::rows::TokenRow;

impl PostgresStore {
    /// Returns whether it was added: `false` if its name, hash or id exists.
    pub(crate) async fn insert_token(
        &self,
        token: &OperatorToken,
        hash: &TokenHash,
    ) -> Result<bool, sqlx::Error> {
        let added = sqlx::query!(
            "insert into operator_tokens (
                 id, name, hash, role, can_reveal, can_audit, created_at, expires_at, last_used_at,
                 revoked_at
             )
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             on conflict do nothing",
            token.id.0,
            token.name.as_str(),
            &hash.0,
            token.role.as_str(),
            token.rights.reveal,
            token.rights.audit,
            token.created_at.to_date_time(),
            token.expires_at.map(Timestamp::to_date_time),
            token.last_used_at.map(Timestamp::to_date_time),
            token.revoked_at.map(Timestamp::to_date_time),
        )
        .execute(&self.pool)
        .await?;
        Ok(added.rows_affected() > 0)
    }

    pub(crate) async fn token_row_by_hash(
        &self,
        hash: &TokenHash,
    ) -> Result<Option<TokenRow>, sqlx::Error> {
        sqlx::query_as!(
            TokenRow,
            "select id, name, role, can_reveal, can_audit, created_at,
                 expires_at, last_used_at, revoked_at
             from operator_tokens
             where hash = $1",
            &hash.0,
        )
        .fetch_optional(&self.pool)
        .await
    }

    pub(crate) async fn token_row(
        &self,
        id: OperatorTokenId,
    ) -> Result<Option<TokenRow>, sqlx::Error> {
        sqlx::query_as!(
            TokenRow,
            "select id, name, role, can_reveal, can_audit, created_at,
                 expires_at, last_used_at, revoked_at
             from operator_tokens
             where id = $1",
            id.0,
        )
        .fetch_optional(&self.pool)
        .await
    }

    pub(crate) async fn token_rows(&self) -> Result<Vec<TokenRow>, sqlx::Error> {
        sqlx::query_as!(
            TokenRow,
            "select id, name, role, can_reveal, can_audit, created_at,
                 expires_at, last_used_at, revoked_at
             from operator_tokens
             order by id",
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(crate) async fn try_revoke_token(
        &self,
        id: OperatorTokenId,
        at: Timestamp,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "update operator_tokens set revoked_at = $2 where id = $1 and revoked_at is null",
            id.0,
            at.to_date_time(),
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!("delete from operator_sessions where token_id = $1", id.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    pub(crate) async fn update_token_use(
        &self,
        id: OperatorTokenId,
        at: Timestamp,
    ) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "update operator_tokens
             set last_used_at = $2
             where id = $1 and (last_used_at is null or last_used_at < $2)",
            id.0,
            at.to_date_time(),
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }
}
