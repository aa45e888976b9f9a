//! Who may use the operator's listener: tokens, sessions of the console, and the audit log.

pub mod audit;
pub mod authenticate;
pub mod manage_tokens;
mod prune_sessions;
pub mod sessions;
mod sign_in_limit;
mod sign_in_links;

use std::sync::Arc;

use domain::access::TokenHash;
use ports::{AccessStore, AuditLog, Environment};

pub use audit::{Actor, ListAudit, RecordAudit};
pub use authenticate::AuthenticateOperator;
pub use manage_tokens::ManageTokens;
pub use prune_sessions::PruneSessions;
pub use sessions::Sessions;
pub use sign_in_links::SignInLink;

/// The use cases of access. A process has one, whose clones share sign-in limits and links.
#[derive(Clone)]
pub struct AccessControl {
    /// Authenticates the tokens of requests.
    pub authenticate: Arc<AuthenticateOperator>,
    /// Adds, lists and revokes tokens.
    pub tokens: Arc<ManageTokens>,
    /// Signs in and out of the console.
    pub sessions: Arc<Sessions>,
    /// Adds entries to the audit log.
    pub audit: Arc<RecordAudit>,
    /// Lists the audit log.
    pub audit_log: Arc<ListAudit>,
}

impl AccessControl {
    /// Connects the use cases with a store. `bootstrap` is the hash of the configured token, whose
    /// operator is an admin with all rights.
    #[must_use]
    pub fn new(
        access: Arc<dyn AccessStore>,
        audit_log: Arc<dyn AuditLog>,
        bootstrap: TokenHash,
        environment: Arc<dyn Environment>,
    ) -> Self {
        let authenticate = Arc::new(AuthenticateOperator::new(
            Arc::clone(&access),
            bootstrap,
            Arc::clone(&environment),
        ));
        let audit = Arc::new(RecordAudit::new(
            Arc::clone(&audit_log),
            Arc::clone(&environment),
        ));
        Self {
            tokens: Arc::new(ManageTokens::new(
                Arc::clone(&access),
                Arc::clone(&environment),
            )),
            sessions: Arc::new(Sessions::new(
                access,
                Arc::clone(&authenticate),
                Arc::clone(&audit),
                environment,
            )),
            authenticate,
            audit,
            audit_log: Arc::new(ListAudit::new(audit_log)),
        }
    }
}
