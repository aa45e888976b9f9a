//! Operators of the service: tokens with roles and rights, browser sessions, and the audit log.

pub mod audit;
pub mod console_url;
pub mod operator;
pub mod session;
pub mod token;

pub use audit::{AuditAction, AuditEntry, AuditEntryId, AuditFilter};
pub use console_url::ConsoleUrl;
pub use operator::{Operator, OperatorName, Permission, Rights, Role};
pub use session::{CsrfToken, Session, SessionHash, SessionId, SessionKey};
pub use token::{OperatorToken, OperatorTokenId, TokenHash, TokenState, TokenText};
