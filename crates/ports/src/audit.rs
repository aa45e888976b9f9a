//! The audit log.

use async_trait::async_trait;
use domain::access::{AuditEntry, AuditEntryId, AuditFilter};
use domain::page::{Page, PageSize};

use crate::StoreError;

/// Stores what operators changed and saw. Entries are never changed;
/// [`Maintenance::prune_audit`](crate::Maintenance::prune_audit) removes old ones.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Adds an entry. One with the same id is kept as it is.
    async fn append(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// Returns a page of the entries that match a filter, by descending id. `after` is the last
    /// one of the page before.
    async fn entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditEntryId>,
        size: PageSize,
    ) -> Result<Page<AuditEntry, AuditEntryId>, StoreError>;
}
