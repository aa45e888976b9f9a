//! Records and lists what operators changed and saw.

use std::net::IpAddr;
use std::sync::Arc;

use domain::access::audit::{AuditDetails, AuditObject};
use domain::access::{AuditAction, AuditEntry, AuditEntryId, AuditFilter, OperatorName};
use domain::page::{Page, PageSize};
use ports::error::error_chain;
use ports::{AuditLog, Environment, StoreError};

/// The operator of an action, and where the request came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The operator.
    pub name: OperatorName,
    /// The address of the request; `None` on the command line.
    pub source: Option<IpAddr>,
}

/// An action to record, without its operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    kind: AuditAction,
    object: Option<AuditObject>,
    details: Option<AuditDetails>,
}

impl Action {
    /// Creates an action.
    #[must_use]
    pub const fn new(kind: AuditAction) -> Self {
        Self {
            kind,
            object: None,
            details: None,
        }
    }

    /// Names the id of what it was done to.
    #[must_use]
    pub fn on(self, object: &str) -> Self {
        Self {
            object: Some(AuditObject::new(object)),
            ..self
        }
    }

    /// Says more about it. Never pass secrets or personal data of recipients.
    #[must_use]
    pub fn saying(self, details: &str) -> Self {
        Self {
            details: Some(AuditDetails::new(details)),
            ..self
        }
    }
}

/// Adds entries to the audit log.
pub struct RecordAudit {
    log: Arc<dyn AuditLog>,
    environment: Arc<dyn Environment>,
}

impl RecordAudit {
    /// Records in a log.
    #[must_use]
    pub fn new(log: Arc<dyn AuditLog>, environment: Arc<dyn Environment>) -> Self {
        Self { log, environment }
    }

    /// Records an action before it happens, such as showing unmasked data. If this fails, it must
    /// not happen.
    pub async fn before(&self, actor: &Actor, action: Action) -> Result<(), StoreError> {
        self.log.append(&self.entry(actor, action)).await
    }

    /// Records a change that was made. If the store fails now, the entry is logged as an error
    /// instead: the change cannot be undone.
    pub async fn after(&self, actor: &Actor, action: Action) {
        let entry = self.entry(actor, action);
        if let Err(error) = self.log.append(&entry).await {
            tracing::error!(
                error = error_chain(&error),
                at = %entry.at,
                operator = %entry.operator,
                action = entry.action.as_str(),
                object = entry.object.as_ref().map(AuditObject::as_str),
                details = entry.details.as_ref().map(AuditDetails::as_str),
                source = entry.source.map(tracing::field::display),
                "an audit entry was not stored; this line replaces it"
            );
        }
    }

    fn entry(&self, actor: &Actor, action: Action) -> AuditEntry {
        AuditEntry {
            id: AuditEntryId(self.environment.uuid()),
            at: self.environment.now(),
            operator: actor.name.clone(),
            action: action.kind,
            object: action.object,
            details: action.details,
            source: actor.source,
        }
    }
}

/// Lists the audit log.
pub struct ListAudit {
    log: Arc<dyn AuditLog>,
}

impl ListAudit {
    /// Lists the entries of a log.
    #[must_use]
    pub fn new(log: Arc<dyn AuditLog>) -> Self {
        Self { log }
    }

    /// Returns one page, the newest first.
    pub async fn run(
        &self,
        filter: &AuditFilter,
        after: Option<AuditEntryId>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, AuditEntryId>, StoreError> {
        self.log.entries(filter, after, size).await
    }
}
