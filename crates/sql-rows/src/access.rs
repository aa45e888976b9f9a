//! Rows of operators' tokens and sessions, and of the audit log.

use std::net::IpAddr;

use domain::access::audit::{AuditDetails, AuditObject};
use domain::access::{
    AuditEntry, AuditEntryId, OperatorName, OperatorToken, OperatorTokenId, Rights, Role, Session,
    SessionId,
};
use ports::StoreError;
use uuid::Uuid;

use crate::error::corrupt;
use crate::values::{StoredTime, optional_time, time};

/// The table of tokens.
pub const TOKENS: &str = "operator_tokens";

/// The table of sessions.
pub const SESSIONS: &str = "operator_sessions";

/// The audit log.
pub const AUDIT_LOG: &str = "audit_log";

/// A row of `operator_tokens`, without its hash.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct TokenRow<T> {
    pub id: Uuid,
    pub name: String,
    pub role: String,
    pub can_reveal: bool,
    pub can_audit: bool,
    pub created_at: T,
    pub expires_at: Option<T>,
    pub last_used_at: Option<T>,
    pub revoked_at: Option<T>,
}

impl<T: StoredTime> TryFrom<TokenRow<T>> for OperatorToken {
    type Error = StoreError;

    fn try_from(row: TokenRow<T>) -> Result<Self, StoreError> {
        Ok(Self {
            id: OperatorTokenId(row.id),
            name: OperatorName::parse(&row.name).map_err(corrupt(TOKENS, "name"))?,
            role: row.role.parse::<Role>().map_err(corrupt(TOKENS, "role"))?,
            rights: Rights {
                reveal: row.can_reveal,
                audit: row.can_audit,
            },
            created_at: time(row.created_at, TOKENS, "created_at")?,
            expires_at: optional_time(row.expires_at, TOKENS, "expires_at")?,
            last_used_at: optional_time(row.last_used_at, TOKENS, "last_used_at")?,
            revoked_at: optional_time(row.revoked_at, TOKENS, "revoked_at")?,
        })
    }
}

/// A row of `operator_sessions`, without its hash.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct SessionRow<T> {
    pub id: Uuid,
    pub token_id: Uuid,
    pub started_at: T,
    pub last_used_at: T,
    pub expires_at: T,
    pub source: String,
}

impl<T: StoredTime> TryFrom<SessionRow<T>> for Session {
    type Error = StoreError;

    fn try_from(row: SessionRow<T>) -> Result<Self, StoreError> {
        let source = row.source.parse::<IpAddr>();
        Ok(Self {
            id: SessionId(row.id),
            token: OperatorTokenId(row.token_id),
            started_at: time(row.started_at, SESSIONS, "started_at")?,
            last_used_at: time(row.last_used_at, SESSIONS, "last_used_at")?,
            expires_at: time(row.expires_at, SESSIONS, "expires_at")?,
            source: source.map_err(corrupt(SESSIONS, "source"))?,
        })
    }
}

/// A row of `audit_log`.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct AuditRow<T> {
    pub id: Uuid,
    pub at: T,
    pub operator: String,
    pub action: String,
    pub object: Option<String>,
    pub details: Option<String>,
    pub source: Option<String>,
}

impl<T: StoredTime> TryFrom<AuditRow<T>> for AuditEntry {
    type Error = StoreError;

    fn try_from(row: AuditRow<T>) -> Result<Self, StoreError> {
        let operator = OperatorName::parse(&row.operator);
        let source = row.source.map(|text| text.parse::<IpAddr>()).transpose();
        Ok(Self {
            id: AuditEntryId(row.id),
            at: time(row.at, AUDIT_LOG, "at")?,
            operator: operator.map_err(corrupt(AUDIT_LOG, "operator"))?,
            action: row.action.parse().map_err(corrupt(AUDIT_LOG, "action"))?,
            object: row.object.as_deref().map(AuditObject::new),
            details: row.details.as_deref().map(AuditDetails::new),
            source: source.map_err(corrupt(AUDIT_LOG, "source"))?,
        })
    }
}
